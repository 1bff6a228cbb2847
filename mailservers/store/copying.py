"""COPY and MOVE: a new place for the same content, all or nothing (RFC 9051 6.4.7, 6.4.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailservers.models import MailboxMessage
from mailservers.store.errors import NoSuchMailbox
from mailservers.store.flags import EVERYTHING, MayChange
from mailservers.store.placing import MailboxState, lock_mailboxes, save_mailboxes
from mailservers.store.quota import lock_accounts, take
from mailservers.store.removing import CHUNK, remove_places, select_places
from mailservers.store.threads import assign_to_stored
from mailservers.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Copied:
    """For COPYUID (RFC 4315): `source_uids[i]` became `target_uids[i]`. `source_modseq`: after a move."""

    uid_validity: int
    source_uids: list[int]
    target_uids: list[int]
    source_modseq: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where copies go, and which flags they may bring along. `owner_id` None: the source's owner."""

    mailbox_id: int
    owner_id: int | None = None
    may: MayChange = EVERYTHING


def copy(tx: Transaction, owner_id: int, mailbox_id: int, uids: Sequence[int], to: int | Target) -> Copied:
    """Copy messages with their flags, keywords and internal dates; UIDs that are gone are passed over.

    Raises `NoSuchMailbox`, `OverQuota`."""
    to = to if isinstance(to, Target) else Target(to)
    source, target = _lock(owner_id, mailbox_id, to)
    accounts = lock_accounts([target.owner_id])
    result = _copy(tx, source, target, uids, to.may)
    take(accounts, {target.owner_id: (target.added_size, target.added)})
    save_mailboxes(tx, [target], accounts)
    return result


def move(tx: Transaction, owner_id: int, mailbox_id: int, uids: Sequence[int], to: int | Target) -> Copied:
    """Copy, then expunge from the source, as one act. Moving within a mailbox gives new UIDs. It adds nothing to
    what an owner holds, so it is allowed over quota, too; only another owner's mailbox must have room."""
    to = to if isinstance(to, Target) else Target(to)
    source, target = _lock(owner_id, mailbox_id, to)
    is_given_away = source.owner_id != target.owner_id
    accounts = lock_accounts([source.owner_id, target.owner_id]) if is_given_away else None
    result = _copy(tx, source, target, uids, to.may)
    if accounts is not None:
        take(accounts, {target.owner_id: (target.added_size, target.added)})
    remove_places(tx, source, select_places(source.id, result.source_uids), keep=False)
    save_mailboxes(tx, {source.id: source, target.id: target}.values(), accounts)
    return Copied(result.uid_validity, result.source_uids, result.target_uids, source.modseq)


def _lock(owner_id: int, mailbox_id: int, to: Target) -> tuple[MailboxState, MailboxState]:
    states = lock_mailboxes([mailbox_id, to.mailbox_id])
    for pk, owner in ((mailbox_id, owner_id), (to.mailbox_id, to.owner_id or owner_id)):
        if pk not in states or states[pk].owner_id != owner:
            raise NoSuchMailbox("the mailbox does not exist")
    return states[mailbox_id], states[to.mailbox_id]


def _copy(tx: Transaction, source: MailboxState, target: MailboxState, uids: Sequence[int], may: MayChange) -> Copied:
    columns = ("uid", "message_id", "flags", "keywords", "internal_date", "message__size", "thread_id")
    wanted = sorted(set(uids))
    rows: list[MailboxMessage] = []
    source_uids: list[int] = []
    modseq = target.advance() if wanted else target.modseq
    for start in range(0, len(wanted), CHUNK):
        places = MailboxMessage.objects.filter(mailbox_id=source.id, uid__in=wanted[start : start + CHUNK])
        for uid, message_id, flags, keywords, date, size, thread in places.order_by("uid").values_list(*columns):
            source_uids.append(uid)
            flags &= may.bits
            target.count(flags, size)
            rows.append(
                MailboxMessage(
                    mailbox_id=target.id,
                    uid=target.uid_next,
                    message_id=message_id,
                    modseq=modseq,
                    flags=flags,
                    keywords=" ".join(target.learn(keywords.split() if may.keywords else ())),
                    internal_date=date,
                    save_date=tx.now,
                    thread_id=thread,
                )
            )
            target.uid_next += 1
    if source.owner_id != target.owner_id:  # threads are the owner's own
        threads = assign_to_stored(tx, target.owner_id, [row.message_id for row in rows])
        for row in rows:
            row.thread_id = threads[row.message_id]
    MailboxMessage.objects.bulk_create(rows, batch_size=CHUNK)
    return Copied(target.uid_validity, source_uids, [row.uid for row in rows], source.modseq)
