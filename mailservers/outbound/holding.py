"""Taking mail back that waits: Undo, and deleting from the Outbox or moving out of it.

A message is taken back whole, and only while no attempt has one of its recipients in hand (see `acts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailservers.models import OUTBOX_USE, Flag, Mailbox, QueuedMessage, QueuedRecipient, RecipientState
from mailservers.outbound.acts import cancel, take
from mailservers.store.copying import Copied, Target, move
from mailservers.store.errors import MailboxProtected, StoreError
from mailservers.store.flags import FlagChange, store_flags
from mailservers.store.outbox import waiting_at
from mailservers.store.placing import lock_mailbox, save_mailboxes
from mailservers.store.removing import remove_places, select_places
from mailservers.store.transaction import Transaction


class TooLate(StoreError):
    """The message is on its way, or has arrived. The text says to whom."""


@dataclass(frozen=True, slots=True)
class TakenOut:
    """`uids` have left the Outbox; `in_flight` could not be cancelled and are still there."""

    uids: list[int] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)
    copied: Copied | None = None


def undo(tx: Transaction, user_id: int, trace_id: str, drafts_id: int, actor: str) -> int:
    """Store operation: nobody gets the message, and it is a draft again; its UID in the Drafts mailbox.

    Raises `TooLate` when it has gone to somebody, or is going."""
    queued = QueuedMessage.objects.filter(trace_id=trace_id, sender_id=user_id, outbox__isnull=False)
    place = queued.values_list("pk", "outbox_id", "outbox_uid").first()
    if place is None or place[1] is None or place[2] is None:
        raise TooLate("it was sent already")
    decided = QueuedRecipient.objects.filter(queued_id=place[0]).exclude(state__in=_STOPPABLE)
    gone_to = decided.values_list("address", flat=True).first()
    if gone_to is not None:
        raise TooLate(f"it has gone to {gone_to} already")
    taken = take_out(tx, user_id, place[1], [place[2]], actor, to=Target(drafts_id))
    if taken.copied is None or not taken.copied.target_uids:
        raise TooLate("it is being sent right now")
    return taken.copied.target_uids[0]


_STOPPABLE = (RecipientState.QUEUED, RecipientState.DEFERRED, RecipientState.HELD, RecipientState.CANCELLED)


def take_out(
    tx: Transaction,
    owner_id: int,
    mailbox_id: int,
    uids: Sequence[int] | None,
    actor: str,
    *,
    deleted_only: bool = False,
    to: Target | None = None,
) -> TakenOut:
    """Store operation: cancel what waits with these places in the Outbox (None: all of them), and remove the places or
    move them to a mailbox."""
    if to is not None:
        refuse_outbox(to.mailbox_id)
    wanted = [uid for uid, *_ in select_places(mailbox_id, uids, deleted_only=deleted_only)]
    waiting = waiting_at(mailbox_id, wanted)
    recipients = QueuedRecipient.objects.filter(queued_id__in=waiting.values())
    busy = {row.queued_id for row, is_in_flight in take(tx, recipients) if is_in_flight}
    free = [uid for uid in wanted if waiting.get(uid) not in busy]
    queued_ids = [waiting[uid] for uid in free if uid in waiting]
    copied = _move(tx, owner_id, mailbox_id, free, queued_ids, to) if to is not None else None
    cancel(tx, recipients.filter(queued_id__in=queued_ids), actor, "Cancelled")
    if copied is None:
        state = lock_mailbox(owner_id, mailbox_id)  # those that no queued message has any more
        remove_places(tx, state, select_places(mailbox_id, free), keep=True)
        save_mailboxes(tx, [state])
    return TakenOut(free, [uid for uid in wanted if waiting.get(uid) in busy], copied)


def _move(
    tx: Transaction, owner_id: int, mailbox_id: int, uids: Sequence[int], queued_ids: Sequence[int], to: Target
) -> Copied:
    """The places are their owner's again, and no longer the queued messages'."""
    QueuedMessage.objects.filter(pk__in=queued_ids).update(outbox=None, outbox_uid=None, sent_to=None)
    copied = move(tx, owner_id, mailbox_id, uids, to)
    if Mailbox.objects.filter(pk=to.mailbox_id, special_use="\\Drafts").exists():
        target_owner = to.owner_id or owner_id
        store_flags(tx, target_owner, to.mailbox_id, copied.target_uids, FlagChange.ADD, Flag.DRAFT.value)
    return copied


def refuse_outbox(mailbox_id: int) -> None:
    """Only what waits to be sent comes into the Outbox."""
    if Mailbox.objects.filter(pk=mailbox_id, special_use=OUTBOX_USE).exists():
        raise MailboxProtected("only what waits to be sent is in the Outbox")
