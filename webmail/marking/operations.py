"""Store operations on the messages a user has chosen, over one or several mailboxes, each one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accounts.models import User
from mailservers.models import OUTBOX_USE, Flag, Mailbox, QueuedRecipient
from mailservers.outbound.acts import send_own_now
from mailservers.outbound.holding import refuse_outbox, take_out
from mailservers.store import queries
from mailservers.store.copying import Target, move
from mailservers.store.errors import MailboxExists
from mailservers.store.flags import FlagChange, store_flags
from mailservers.store.mailboxes import create_mailbox
from mailservers.store.outbox import waiting_at
from mailservers.store.queries import mailbox_by_id, mailbox_by_name, mailbox_by_use
from mailservers.store.removing import expunge
from mailservers.store.transaction import Transaction

Chosen = Mapping[int, Sequence[int]]  # mailbox id -> UIDs

_STANDARD = {"\\Archive": "Archive", "\\Junk": "Junk", "\\Trash": "Trash", "\\Sent": "Sent", "\\Drafts": "Drafts"}


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a message is now, and where it was."""

    mailbox_id: int
    uid: int
    from_mailbox_id: int


def mark(tx: Transaction, owner_id: int, chosen: Chosen, change: FlagChange, flag: Flag) -> int:
    """Add or remove one system flag; how many messages were found."""
    return sum(
        len(store_flags(tx, owner_id, mailbox_id, uids, change, flag.value).rows)
        for mailbox_id, uids in sorted(chosen.items())
    )


def move_chosen(
    tx: Transaction,
    owner_id: int,
    chosen: Chosen,
    target_id: int,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> list[Moved]:
    """Move to one mailbox, changing keywords on the way; messages that are there already stay as they are. What is
    moved out of the Outbox is not sent, and does not go back there."""
    refuse_outbox(target_id)
    moved: list[Moved] = []
    for mailbox_id, uids in sorted(chosen.items()):
        if mailbox_id == target_id:
            continue
        if is_outbox(owner_id, mailbox_id):
            take_out(tx, owner_id, mailbox_id, uids, actor_of(owner_id), to=Target(target_id))
            continue
        if add:
            store_flags(tx, owner_id, mailbox_id, uids, FlagChange.ADD, keywords=add)
        if remove:
            store_flags(tx, owner_id, mailbox_id, uids, FlagChange.REMOVE, keywords=remove)
        done = move(tx, owner_id, mailbox_id, uids, target_id)
        moved += [Moved(target_id, uid, mailbox_id) for uid in done.target_uids]
    return moved


def erase(tx: Transaction, owner_id: int, chosen: Chosen) -> int:
    """Delete for good; how many there were."""
    return sum(_remove(tx, owner_id, mailbox_id, uids) for mailbox_id, uids in sorted(chosen.items()))


def _remove(tx: Transaction, owner_id: int, mailbox_id: int, uids: Sequence[int]) -> int:
    if is_outbox(owner_id, mailbox_id):
        return len(take_out(tx, owner_id, mailbox_id, uids, actor_of(owner_id)).uids)
    return len(expunge(tx, owner_id, mailbox_id, uids, deleted_only=False)[1])


def unsend(tx: Transaction, owner_id: int, chosen: Chosen) -> tuple[int, int]:
    """Take messages out of the Outbox and make them drafts again: how many, and how many are being sent right now."""
    drafts_id = mailbox_for(tx, owner_id, "\\Drafts")
    done = late = 0
    for mailbox_id, uids in sorted(chosen.items()):
        if is_outbox(owner_id, mailbox_id):
            taken = take_out(tx, owner_id, mailbox_id, uids, actor_of(owner_id), to=Target(drafts_id))
            done, late = done + len(taken.uids), late + len(taken.in_flight)
    return done, late


def send_now(tx: Transaction, owner_id: int, chosen: Chosen) -> int:
    """Try what waits with these places in the Outbox at once; how many recipients."""
    found = [waiting_at(mailbox_id, uids) for mailbox_id, uids in chosen.items() if is_outbox(owner_id, mailbox_id)]
    queued = [pk for by_uid in found for pk in by_uid.values()]
    recipients = QueuedRecipient.objects.filter(queued_id__in=queued).values_list("id", flat=True)
    return send_own_now(tx, owner_id, list(recipients), actor_of(owner_id)).done


def is_outbox(owner_id: int, mailbox_id: int) -> bool:
    return Mailbox.objects.filter(pk=mailbox_id, owner_id=owner_id, special_use=OUTBOX_USE).exists()


def actor_of(owner_id: int) -> str:
    return User.objects.values_list("login", flat=True).get(pk=owner_id)


def empty(tx: Transaction, owner_id: int, mailbox_id: int) -> int:
    """Delete everything in a mailbox for good; how many there were."""
    uids = list(queries.uids(mailbox_by_id(owner_id, mailbox_id).id))
    return len(expunge(tx, owner_id, mailbox_id, uids, deleted_only=False)[1])


def put_back(tx: Transaction, owner_id: int, moved: Sequence[Moved]) -> int:
    """Undo `move_chosen`; how many were still where it had put them."""
    groups: dict[tuple[int, int], list[int]] = {}
    for one in moved:
        groups.setdefault((one.mailbox_id, one.from_mailbox_id), []).append(one.uid)
    return sum(
        len(move(tx, owner_id, mailbox_id, uids, back_id).target_uids)
        for (mailbox_id, back_id), uids in sorted(groups.items())
    )


def mailbox_for(tx: Transaction, owner_id: int, use: str) -> int:
    """The mailbox of a special use, made if the user has none."""
    found = mailbox_by_use(owner_id, use)
    if found is not None:
        return found.id
    try:
        return create_mailbox(tx, owner_id, _STANDARD[use], use)
    except MailboxExists:
        return mailbox_by_name(owner_id, _STANDARD[use]).id
