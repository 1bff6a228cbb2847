"""Deleted mail that can still be restored: what is kept when messages go, and how they come back.

A deleted message holds its content as a place in a mailbox does, but counts for no quota. `retention` ends it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from mailservers.models import OUTBOX_USE, DeletedMessage, Flag, Mailbox, MailboxMessage
from mailservers.store.errors import TooManyKeywords
from mailservers.store.mailboxes import create_mailbox, subscribe
from mailservers.store.placing import MailboxState, lock_mailboxes, save_mailboxes
from mailservers.store.quota import lock_accounts, take
from mailservers.store.retention import STEP, forget_deleted
from mailservers.store.threads import assign_to_stored
from mailservers.store.transaction import Transaction

CHUNK = 500  # values in one IN (...)
PAGE = 50


@dataclass(frozen=True, slots=True)
class DeletedRow:
    """One deleted message, for lists."""

    id: int
    mailbox_name: str
    deleted_at: datetime
    internal_date: datetime
    message_id: int
    size: int
    subject: str
    from_name: str
    from_address: str
    to: str
    preview: str


_COLUMNS = (
    "id",
    "mailbox_name",
    "deleted_at",
    "internal_date",
    "message_id",
    "message__size",
    "message__subject",
    "message__from_name",
    "message__from_address",
    "message__to",
    "message__preview",
)


def deleted_page(owner_id: int, before: int = 0, limit: int = PAGE) -> list[DeletedRow]:
    """The last deleted first; those before the row id `before`, if given. Empty where nothing is kept any more."""
    rows = DeletedMessage.objects.filter(owner_id=owner_id)
    if before:
        rows = rows.filter(pk__lt=before)
    if settings.UNDELETE_DAYS <= 0:
        return []
    return [DeletedRow(*row) for row in rows.order_by("-pk").values_list(*_COLUMNS)[:limit]]


def restore(tx: Transaction, owner_id: int, ids: Sequence[int], mailbox_name: str = "") -> int:
    """Put deleted messages back, all or none; how many there were. They go where they were, or into `mailbox_name`;
    what was deleted from Trash or the Outbox goes into the INBOX. A mailbox that is gone is made again. Raises
    `OverQuota`, `InvalidMailboxName`."""
    rows = DeletedMessage.objects.select_for_update().filter(owner_id=owner_id, pk__in=list(ids)[:STEP])
    columns = ("pk", "message_id", "mailbox_name", "flags", "keywords", "internal_date", "message__size")
    found = list(rows.order_by("pk").values_list(*columns))
    if not found:
        return 0
    targets = _targets(tx, owner_id, {mailbox_name or row[2] for row in found})
    states = lock_mailboxes(targets.values())
    accounts = lock_accounts([owner_id])
    take(accounts, {owner_id: (sum(row[6] for row in found), len(found))})
    threads = assign_to_stored(tx, owner_id, [row[1] for row in found])
    places = []
    for _, message_id, name, flags, keywords, date, size in found:
        state = states[targets[mailbox_name or name]]
        flags &= ~Flag.DELETED
        places.append(
            MailboxMessage(
                mailbox_id=state.id,
                uid=state.uid_next,
                message_id=message_id,
                modseq=state.advance(),
                flags=flags,
                keywords=" ".join(_learn(state, keywords.split())),
                internal_date=date,
                save_date=tx.now,
                thread_id=threads[message_id],
            )
        )
        state.uid_next += 1
        state.count(flags, size)
    MailboxMessage.objects.bulk_create(places, batch_size=CHUNK)
    save_mailboxes(tx, states.values(), accounts)
    DeletedMessage.objects.filter(pk__in=[row[0] for row in found]).delete()
    return len(found)


def _targets(tx: Transaction, owner_id: int, names: set[str]) -> dict[str, int]:
    """Mailbox ids by the names the messages had."""
    boxes = Mailbox.objects.filter(owner_id=owner_id, name__in=names)
    here = {name: (pk, use) for pk, name, use in boxes.values_list("pk", "name", "special_use")}
    inbox = Mailbox.objects.values_list("pk", flat=True).get(owner_id=owner_id, name="INBOX")
    targets: dict[str, int] = {}
    for name in sorted(names):
        pk, use = here.get(name, (None, ""))
        if use in ("\\Trash", OUTBOX_USE):
            pk = inbox
        if pk is None:
            again = Mailbox.objects.filter(owner_id=owner_id, name=name).values_list("pk", flat=True).first()
            pk = again if again is not None else create_mailbox(tx, owner_id, name)
            subscribe(tx, owner_id, name)
        targets[name] = pk
    return targets


def _learn(state: MailboxState, keywords: Sequence[str]) -> tuple[str, ...]:
    try:
        return state.learn(keywords)
    except TooManyKeywords:  # the mailbox has learnt others meanwhile: better without than not at all
        return ()


def purge(tx: Transaction, owner_id: int, ids: Sequence[int] | None = None) -> int:
    """Give up deleted messages for good, up to STEP at a time: those of `ids`, or any; how many there were."""
    rows = DeletedMessage.objects.filter(owner_id=owner_id)
    if ids is not None:
        rows = rows.filter(pk__in=list(ids)[:STEP])
    return forget_deleted(tx, list(rows.order_by("pk").values_list("pk", "message_id")[:STEP]))


def deleted_by_mailbox(owner_id: int) -> dict[str, int]:
    """How many of an owner's deleted messages came from which mailbox."""
    counts: dict[str, int] = defaultdict(int)
    for name in DeletedMessage.objects.filter(owner_id=owner_id).values_list("mailbox_name", flat=True).iterator():
        counts[name] += 1
    return dict(counts)
