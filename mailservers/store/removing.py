"""Expunging, and forgetting contents that no mailbox and no queue holds any more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.conf import settings
from django.db import connection

from mailservers.models import Expunged, Flag, MailboxMessage
from mailservers.store.bodies import remove_body
from mailservers.store.placing import MailboxState, lock_mailbox, save_mailboxes
from mailservers.store.statements import fetch, marks, write
from mailservers.store.transaction import Transaction

CHUNK = 500  # values in one IN (...)


def expunge(
    tx: Transaction,
    owner_id: int,
    mailbox_id: int,
    uids: Sequence[int] | None = None,
    *,
    deleted_only: bool = True,
    keep: bool = True,
) -> tuple[int, list[int]]:
    """Remove messages: those with \\Deleted, among `uids` if given. `deleted_only` False removes every one of `uids`
    (the webmail's and POP3's delete). The mailbox's modseq afterwards and the UIDs removed.

    For UNDELETE_DAYS the owner can have them back; not with `keep` False (older versions of a draft)."""
    state = lock_mailbox(owner_id, mailbox_id)
    gone = remove_places(tx, state, select_places(mailbox_id, uids, deleted_only=deleted_only), keep=keep)
    save_mailboxes(tx, [state])
    return state.modseq, gone


Place = tuple[int, int, int, int]  # uid, message id, flags, size


def select_places(mailbox_id: int, uids: Sequence[int] | None, *, deleted_only: bool = False) -> list[Place]:
    """Rows to work on, in UID order; UIDs that are not there are passed over."""
    places = MailboxMessage.objects.filter(mailbox_id=mailbox_id).order_by("uid")
    if deleted_only:  # bit test without a database-specific operator in the filter
        places = places.extra(where=["mailservers_mailboxmessage.flags & %s <> 0"], params=[Flag.DELETED.value])
    columns = ("uid", "message_id", "flags", "message__size")
    if uids is None:
        return list(places.values_list(*columns))
    rows: list[Place] = []
    wanted = sorted(set(uids))
    for start in range(0, len(wanted), CHUNK):
        rows += places.filter(uid__in=wanted[start : start + CHUNK]).values_list(*columns)
    return rows


def remove_places(tx: Transaction, state: MailboxState, places: Sequence[Place], *, keep: bool) -> list[int]:
    """Take rows out of a locked mailbox, remember their UIDs as expunged; `keep` them restorable, or forget
    contents that nothing holds any more."""
    if not places:
        return []
    modseq = state.advance()
    uids = [uid for uid, *_ in places]
    is_kept = keep and keep_places(tx, state.id, uids)
    for start in range(0, len(uids), CHUNK):
        MailboxMessage.objects.filter(mailbox_id=state.id, uid__in=uids[start : start + CHUNK]).delete()
    Expunged.objects.bulk_create(
        (Expunged(mailbox_id=state.id, uid=uid, modseq=modseq) for uid in uids), batch_size=CHUNK
    )
    for _, _, flags, size in places:
        state.count(flags, size, -1)
    if not is_kept:
        forget_messages(tx, [message_id for _, message_id, _, _ in places])
    return uids


_KEEP = """
    INSERT INTO mailservers_deletedmessage
        (owner_id, message_id, mailbox_name, flags, keywords, internal_date, deleted_at, clock_s)
    SELECT b.owner_id, p.message_id, b.name, p.flags, p.keywords, p.internal_date, %s,
        COALESCE((SELECT elapsed_s FROM mailservers_retentionclock WHERE id = 1), 0)
    FROM mailservers_mailboxmessage p JOIN mailservers_mailbox b ON b.id = p.mailbox_id
    WHERE p.mailbox_id = %s AND p.uid IN ({}) ORDER BY p.uid
"""


def keep_places(tx: Transaction, mailbox_id: int, uids: Sequence[int]) -> bool:
    """Note places that are about to go as deleted, to be restored from; False when that is turned off."""
    if settings.UNDELETE_DAYS <= 0:
        return False
    now = connection.ops.adapt_datetimefield_value(tx.now)
    with connection.cursor() as cursor:
        for start in range(0, len(uids), CHUNK):
            chunk = uids[start : start + CHUNK]
            cursor.execute(_KEEP.format(", ".join(["%s"] * len(chunk))), [now, mailbox_id, *chunk])
    return True


_UNHELD = """
    SELECT m.id, d.file FROM mailservers_message m LEFT JOIN mailservers_messagedata d ON d.message_id = m.id
    WHERE m.id IN ({})
        AND NOT EXISTS (SELECT 1 FROM mailservers_mailboxmessage h WHERE h.message_id = m.id)
        AND NOT EXISTS (SELECT 1 FROM mailservers_deletedmessage h WHERE h.message_id = m.id)
        AND NOT EXISTS (SELECT 1 FROM mailservers_queuedmessage h WHERE h.message_id = m.id)
        AND NOT EXISTS (SELECT 1 FROM mailservers_receivedreport h WHERE h.message_id = m.id)
"""
_FORGET = (  # nothing cascades: what refers to them was looked for
    "UPDATE mailservers_messagetext SET is_gone = TRUE WHERE id IN ({})",  # store.searching takes them out
    "DELETE FROM mailservers_messagedata WHERE message_id IN ({})",
    "DELETE FROM mailservers_messageverdict WHERE message_id IN ({})",
    "DELETE FROM mailservers_message WHERE id IN ({})",
)


def forget_messages(tx: Transaction, message_ids: Sequence[int]) -> None:
    """Delete those contents that nothing refers to any more; their files go after the commit."""
    wanted = sorted(set(message_ids))
    for start in range(0, len(wanted), CHUNK):
        some = wanted[start : start + CHUNK]
        rows = fetch(_UNHELD.format(marks(len(some))), some)
        for _, name in rows:
            if name:
                tx.after_commit.append(partial(remove_body, name))
        ids = [pk for pk, _ in rows]
        for statement in _FORGET if ids else ():
            write(statement.format(marks(len(ids))), ids)
