"""The Outbox: the mailbox in which a user sees what waits to be sent.

A place in it belongs to a queued message (`QueuedMessage.outbox`, `outbox_uid`) and lives as long as that does:

- Mail that is held (RFC 4865, undo, "send later", for an administrator) gets its place in the transaction that
  accepts it; other mail when it was put off for the first time. What is sent at once is never here.
- When sending has begun, a held message gets its copy in Sent (`sent_to`).
- The place goes with the last recipient, in the transaction that takes the message out of the queue.

Nothing here asks for the quota: the system puts these places there, and they count as any others do. The mailbox is
made when it is first needed; `mailservers.store.access` says what its owner may do with it.

Locks are taken in the order: queued messages, recipients, mailboxes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from mailservers.models import OUTBOX_USE, Flag, Mailbox, MailboxMessage, Message, QueuedMessage
from mailservers.store.mailboxes import create_mailbox, subscribe
from mailservers.store.placing import Placed, lock_mailbox, lock_mailboxes, save_mailboxes
from mailservers.store.removing import remove_places, select_places
from mailservers.store.statements import fetch, marks
from mailservers.store.threads import assign_to_stored
from mailservers.store.transaction import Transaction

NAME = "Outbox"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued message, as far as the Outbox is concerned."""

    id: int
    sender_id: int | None
    message_id: int
    outbox_id: int | None
    outbox_uid: int | None
    sent_to_id: int | None


_COLUMNS = tuple(Waiting.__dataclass_fields__)


def lock_queued(ids: Iterable[int]) -> dict[int, Waiting]:
    """Queued messages under their locks: one at a time decides about a message's end."""
    wanted = list(ids)
    if not wanted:
        return {}
    suffix = " FOR UPDATE" if connection.features.has_select_for_update else ""
    rows = fetch(
        f"SELECT {', '.join(_COLUMNS)} FROM mailservers_queuedmessage"
        f" WHERE id IN ({marks(len(wanted))}) ORDER BY id{suffix}",
        wanted,
    )
    return {row[0]: Waiting(*row) for row in rows}


def outbox_id(tx: Transaction, owner_id: int) -> int:
    """The user's Outbox, made if need be; another name where a mailbox of the user's has that one."""
    found = Mailbox.objects.filter(owner_id=owner_id, special_use=OUTBOX_USE).order_by("pk")
    for pk in found.values_list("pk", flat=True)[:1]:
        return pk
    taken = set(Mailbox.objects.filter(owner_id=owner_id, name__startswith=NAME).values_list("name", flat=True))
    name = next(name for name in (NAME, *(f"{NAME} {n}" for n in range(2, len(taken) + 3))) if name not in taken)
    pk = create_mailbox(tx, owner_id, name, OUTBOX_USE)
    subscribe(tx, owner_id, name)
    return pk


def enter(tx: Transaction, trace_id: str, sent_to: int | None = None) -> None:
    """The message just queued under this trace waits: its own content goes into its sender's Outbox."""
    queued = QueuedMessage.objects.filter(trace_id=trace_id, outbox=None).exclude(sender=None)
    enter_all(tx, [Waiting(*row) for row in queued.values_list(*_COLUMNS)], sent_to)


def link(tx: Transaction, trace_id: str, placed: Placed, sent_to: int | None) -> None:
    """The message just queued under this trace has its place in the Outbox already."""
    queued = QueuedMessage.objects.filter(trace_id=trace_id)
    queued.update(outbox_id=placed.mailbox_id, outbox_uid=placed.uid, sent_to_id=sent_to)


def enter_all(tx: Transaction, waiting: Iterable[Waiting], sent_to: int | None = None) -> None:
    """These wait: each gets a place in its sender's Outbox."""
    for sender_id, rows in _by_owner(waiting).items():
        box = outbox_id(tx, sender_id)
        for row, uid in zip(rows, _put(tx, sender_id, box, [row.message_id for row in rows]), strict=True):
            QueuedMessage.objects.filter(pk=row.id).update(outbox_id=box, outbox_uid=uid, sent_to_id=sent_to)


def begin(tx: Transaction, waiting: Iterable[Waiting]) -> None:
    """Sending has begun: the copies that were to be in Sent then are put there."""
    due = [row for row in waiting if row.sent_to_id is not None]
    lock_mailboxes(pk for row in due for pk in (row.sent_to_id, row.outbox_id) if pk is not None)
    for row in due:
        if row.sent_to_id is None or row.sender_id is None or row.outbox_id is None or row.outbox_uid is None:
            continue
        place = MailboxMessage.objects.filter(mailbox_id=row.outbox_id, uid=row.outbox_uid)
        _put(tx, row.sender_id, row.sent_to_id, list(place.values_list("message_id", flat=True)))
        QueuedMessage.objects.filter(pk=row.id).update(sent_to=None)


def leave(tx: Transaction, places: Iterable[tuple[int | None, int | None]], *, keep: bool) -> None:
    """The queued messages with these places, (mailbox id, UID), are out of the queue. `keep` them restorable."""
    by_mailbox: dict[int, list[int]] = {}
    for mailbox_id, uid in places:
        if mailbox_id is not None and uid is not None:
            by_mailbox.setdefault(mailbox_id, []).append(uid)
    owners = dict(Mailbox.objects.filter(pk__in=by_mailbox).values_list("pk", "owner_id")) if by_mailbox else {}
    for mailbox_id, owner_id in sorted(owners.items()):
        state = lock_mailbox(owner_id, mailbox_id)
        remove_places(tx, state, select_places(mailbox_id, by_mailbox[mailbox_id]), keep=keep)
        save_mailboxes(tx, [state])


def waiting_at(mailbox_id: int, uids: Collection[int]) -> dict[int, int]:
    """Ids of the queued messages with places in an Outbox, by UID."""
    rows = QueuedMessage.objects.filter(outbox_id=mailbox_id, outbox_uid__in=list(uids))
    return {uid: pk for uid, pk in rows.values_list("outbox_uid", "pk") if uid is not None}


def _by_owner(waiting: Iterable[Waiting]) -> Mapping[int, list[Waiting]]:
    owners: dict[int, list[Waiting]] = {}
    for row in waiting:
        if row.sender_id is not None:
            owners.setdefault(row.sender_id, []).append(row)
    return dict(sorted(owners.items()))


def _put(tx: Transaction, owner_id: int, mailbox_id: int, message_ids: Sequence[int]) -> list[int]:
    """New places, read, for contents that are stored; their UIDs."""
    state = lock_mailbox(owner_id, mailbox_id)
    sizes = dict(Message.objects.filter(pk__in=message_ids).values_list("pk", "size"))
    threads = assign_to_stored(tx, owner_id, message_ids)
    places = []
    for message_id in message_ids:
        state.count(Flag.SEEN, sizes[message_id])
        places.append(
            MailboxMessage(
                mailbox_id=mailbox_id,
                uid=state.uid_next,
                message_id=message_id,
                modseq=state.advance(),
                flags=Flag.SEEN.value,
                internal_date=tx.now,
                save_date=tx.now,
                thread_id=threads[message_id],
            )
        )
        state.uid_next += 1
    MailboxMessage.objects.bulk_create(places)
    save_mailboxes(tx, [state])
    return [place.uid for place in places]
