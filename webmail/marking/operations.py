"""Store operations on the messages a user has chosen, over one or several mailboxes, each one transaction.

A mailbox may be another's that is shared with the user: then its access control list must allow the act, by the same
rights as for IMAP's STORE, MOVE and EXPUNGE (RFC 4314 section 4). Raises `NoSuchMailbox`, `NotPermitted`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from accounts.models import User
from mailservers.models import OUTBOX_USE, Flag, Mailbox, QueuedRecipient
from mailservers.outbound.acts import send_own_now
from mailservers.outbound.holding import refuse_outbox, take_out
from mailservers.store import queries
from mailservers.store.access import Access, may_change, reach
from mailservers.store.copying import Target, move
from mailservers.store.errors import MailboxExists, NoSuchMailbox, NotPermitted
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


def mark(tx: Transaction, user_id: int, chosen: Chosen, change: FlagChange, flag: Flag) -> int:
    """Add or remove one system flag; how many messages were found."""
    right = "s" if flag is Flag.SEEN else "w"
    marked = 0
    for mailbox_id, uids in sorted(chosen.items()):
        owner_id = reach(user_id, mailbox_id, right).row.owner_id
        marked += len(store_flags(tx, owner_id, mailbox_id, uids, change, flag.value).rows)
    return marked


def label(tx: Transaction, user_id: int, chosen: Chosen, change: FlagChange, keyword: str) -> int:
    """Add or remove a keyword; how many messages were found."""
    marked = 0
    for mailbox_id, uids in sorted(chosen.items()):
        access = reach(user_id, mailbox_id, "w")
        may = may_change(access.rights)
        stored = store_flags(tx, access.row.owner_id, mailbox_id, uids, change, keywords=(keyword,), may=may)
        marked += len(stored.rows)
    return marked


def move_chosen(
    tx: Transaction,
    user_id: int,
    chosen: Chosen,
    target_id: int,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> list[Moved]:
    """Move to one mailbox, changing keywords on the way; messages that are there already stay as they are. What is
    moved out of the Outbox is not sent, and does not go back there."""
    refuse_outbox(target_id)
    moved: list[Moved] = []
    target = _target(user_id, target_id)
    for mailbox_id, uids in sorted(chosen.items()):
        if mailbox_id == target_id:
            continue
        source = reach(user_id, mailbox_id, "te")
        owner_id = source.row.owner_id
        if source.row.special_use == OUTBOX_USE:
            take_out(tx, owner_id, mailbox_id, uids, actor_of(owner_id), to=target)
            continue
        may = may_change(source.rights)
        if add:
            store_flags(tx, owner_id, mailbox_id, uids, FlagChange.ADD, keywords=add, may=may)
        if remove:
            store_flags(tx, owner_id, mailbox_id, uids, FlagChange.REMOVE, keywords=remove, may=may)
        done = move(tx, owner_id, mailbox_id, uids, target)
        moved += [Moved(target_id, uid, mailbox_id) for uid in done.target_uids]
    return moved


def _target(user_id: int, mailbox_id: int) -> Target:
    """To be filed into: flags that the user may not set there stay behind."""
    access = reach(user_id, mailbox_id, "i")
    return Target(mailbox_id, access.row.owner_id, may_change(access.rights))


def move_to_use(
    tx: Transaction, user_id: int, chosen: Chosen, use: str, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> list[Moved]:
    """Move to the mailbox of a special use, "" the inbox: what is in a shared mailbox to its owner's, where that is
    shared too, else like everything to the user's own."""
    moved: list[Moved] = []
    for mailbox_id, uids in sorted(chosen.items()):
        source = reach(user_id, mailbox_id)
        target_id = _shared_use(user_id, source, use) if source.row.owner_id != user_id else None
        if target_id is None:
            target_id = mailbox_for(tx, user_id, use) if use else mailbox_by_name(user_id, "INBOX").id
        moved += move_chosen(tx, user_id, {mailbox_id: uids}, target_id, add, remove)
    return moved


def _shared_use(user_id: int, source: Access, use: str) -> int | None:
    """Of a shared mailbox's owner, where the user may put messages into it."""
    if not use:
        box = queries.find_mailbox(source.row.owner_id, "INBOX")
    else:
        box = mailbox_by_use(source.row.owner_id, use)
    with suppress(NoSuchMailbox, NotPermitted):
        return reach(user_id, box.id, "i").row.id if box is not None else None
    return None


def erase(tx: Transaction, user_id: int, chosen: Chosen) -> int:
    """Delete for good; how many there were."""
    return sum(_remove(tx, user_id, mailbox_id, uids) for mailbox_id, uids in sorted(chosen.items()))


def _remove(tx: Transaction, user_id: int, mailbox_id: int, uids: Sequence[int]) -> int:
    access = reach(user_id, mailbox_id, "te")
    owner_id = access.row.owner_id
    if access.row.special_use == OUTBOX_USE:
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


def put_back(tx: Transaction, user_id: int, moved: Sequence[Moved]) -> int:
    """Undo `move_chosen`; how many were still where it had put them."""
    groups: dict[tuple[int, int], list[int]] = {}
    for one in moved:
        groups.setdefault((one.mailbox_id, one.from_mailbox_id), []).append(one.uid)
    count = 0
    for (mailbox_id, back_id), uids in sorted(groups.items()):
        owner_id = reach(user_id, mailbox_id, "te").row.owner_id
        count += len(move(tx, owner_id, mailbox_id, uids, _target(user_id, back_id)).target_uids)
    return count


def mailbox_for(tx: Transaction, owner_id: int, use: str) -> int:
    """The mailbox of a special use, made if the user has none."""
    found = mailbox_by_use(owner_id, use)
    if found is not None:
        return found.id
    try:
        return create_mailbox(tx, owner_id, _STANDARD[use], use)
    except MailboxExists:
        return mailbox_by_name(owner_id, _STANDARD[use]).id
