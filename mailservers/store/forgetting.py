"""Forgetting old expunges, so that what QRESYNC needs does not grow for ever (RFC 7162 section 5.3).

A mailbox keeps its newest EXPUNGES_KEPT and says up to which mod-sequence older ones may be missing
(`Mailbox.forgotten_modseq`); whoever asks from before that is answered by comparing with what is there. It is said in
one round and done in the next, a day later: a reader that saw the old word has long finished when the rows go.
"""

from __future__ import annotations

from django.db.models import Count

from mailservers.models import Expunged, Mailbox
from mailservers.store.transaction import Transaction

EXPUNGES_KEPT = 10_000  # of a mailbox; a step of many is kept or forgotten whole


def mailboxes_with_many_expunges() -> list[int]:
    """Those that have something to forget, or have said that they will."""
    counted = Expunged.objects.values("mailbox").annotate(n=Count("id")).filter(n__gt=EXPUNGES_KEPT)
    return list(counted.values_list("mailbox", flat=True))


def forget_expunges(tx: Transaction, mailbox_id: int) -> None:
    """Delete what the last round said would go, then say what goes next."""
    said = Mailbox.objects.filter(pk=mailbox_id).values_list("forgotten_modseq", flat=True).first()
    if said is None:
        return
    expunged = Expunged.objects.filter(mailbox_id=mailbox_id)
    expunged.filter(modseq__lte=said)._raw_delete(expunged.db)  # nothing refers to them
    newest_too_old = expunged.order_by("-modseq").values_list("modseq", flat=True)[EXPUNGES_KEPT : EXPUNGES_KEPT + 1]
    for modseq in newest_too_old:
        Mailbox.objects.filter(pk=mailbox_id).update(forgotten_modseq=modseq)
