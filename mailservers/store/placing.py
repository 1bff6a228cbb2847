"""Putting messages into mailboxes: deliveries, APPEND, and the queue rows that go with them.

The hot path. All deliveries of a batch are written together, and each table once: contents, octets, places,
mailbox counters, queue. UIDs and modseqs are given out under the mailbox rows' locks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from mailservers.formats.esmtp import NOTHING_ASKED, DeliverBy, DsnRequest
from mailservers.models import (
    Flag,
    MailboxMessage,
    Message,
    MessageData,
    QueuedMessage,
    QueuedRecipient,
    RecipientState,
)
from mailservers.store.bodies import remove_body
from mailservers.store.content import NewMessage
from mailservers.store.engine import bulk, store
from mailservers.store.errors import NoSuchMailbox, OverQuota, TooManyKeywords
from mailservers.store.inserting import execute_rows, insert
from mailservers.store.quota import Account, lock_accounts, save_usage, take
from mailservers.store.statements import fetch, marks
from mailservers.store.threads import Newcomer, assign_threads
from mailservers.store.transaction import Event, Transaction
from mailservers.store.turns import take_turn
from mailservers.store.verdicts import Verdict, write_verdicts

MAX_KEYWORDS = 200  # different ones in a mailbox


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one copy goes and how it is marked there. `internal_date` None is now."""

    mailbox_id: int
    flags: int = 0
    keywords: tuple[str, ...] = ()
    internal_date: datetime | None = None
    owner_id: int | None = None  # set: the mailbox must be this user's


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """The envelope of a message to be sent to other hosts."""

    trace_id: str
    reverse_path: str
    recipients: tuple[str, ...]  # addresses, domain in lower case
    expires_at: datetime
    sender_id: int | None = None
    smtputf8: bool = False
    not_before: datetime | None = None
    requests: Mapping[str, DsnRequest] = field(default_factory=dict)  # RFC 3461, by address
    envid: str = ""
    ret: str = ""
    require_tls: bool = False
    is_binary: bool = False
    deliver_by: DeliverBy | None = None
    priority: int = 0
    tls_optional: bool = False
    held: frozenset[str] = frozenset()  # of the recipients, those that wait until an administrator lets them go


@dataclass(slots=True)
class Delivery:
    """One message and everything that its acceptance means, written in one transaction."""

    message: NewMessage
    placements: tuple[Placement, ...] = ()
    queue: QueueEntry | None = None
    events: tuple[Event, ...] = ()
    verdict: Verdict | None = None  # of the checks; None: not checked


@dataclass(frozen=True, slots=True)
class Placed:
    """What a placement became."""

    mailbox_id: int
    uid_validity: int
    uid: int
    modseq: int


@dataclass(slots=True)
class MailboxState:
    """A mailbox row under its lock, while an operation changes it."""

    id: int
    owner_id: int
    name: str
    uid_validity: int
    uid_next: int
    modseq: int
    keywords: str
    added: int = 0
    added_unseen: int = 0
    added_deleted: int = 0
    added_size: int = 0
    touched: bool = False
    new_keywords: list[str] = field(default_factory=list)

    def advance(self) -> int:
        """The modseq of this operation's changes: one step for each operation on the mailbox."""
        self.modseq += 1
        self.touched = True
        return self.modseq

    def count(self, flags: int, size: int, sign: int = 1) -> None:
        self.added += sign
        self.added_size += sign * size
        self.count_flags(flags, sign)

    def count_flags(self, flags: int, sign: int = 1) -> None:
        if not flags & Flag.SEEN:
            self.added_unseen += sign
        if flags & Flag.DELETED:
            self.added_deleted += sign

    def learn(self, keywords: Iterable[str]) -> tuple[str, ...]:
        """The keywords as this mailbox first spelt them (they are compared without case, RFC 9051 2.3.2)."""
        known = {word.lower(): word for word in self.keywords.split()}
        result = []
        for word in keywords:
            if word.lower() not in known:
                if len(known) >= MAX_KEYWORDS:
                    raise TooManyKeywords(f"a mailbox can hold {MAX_KEYWORDS} different keywords")
                known[word.lower()] = word
                self.keywords = f"{self.keywords} {word}".strip()
            result.append(known[word.lower()])
        return tuple(dict.fromkeys(result))


def lock_mailboxes(ids: Iterable[int]) -> dict[int, MailboxState]:
    """The rows under their locks, in id order so that two transactions never wait for each other."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    suffix = " FOR UPDATE" if connections[DEFAULT_DB_ALIAS].features.has_select_for_update else ""
    rows = fetch(
        "SELECT id, owner_id, name, uid_validity, uid_next, highest_modseq, keywords FROM mailservers_mailbox"
        f" WHERE id IN ({marks(len(wanted))}) ORDER BY id{suffix}",
        wanted,
    )
    return {row[0]: MailboxState(*row) for row in rows}


def lock_mailbox(owner_id: int, mailbox_id: int) -> MailboxState:
    """One mailbox of this owner. Raises `NoSuchMailbox`."""
    state = lock_mailboxes([mailbox_id]).get(mailbox_id)
    if state is None or state.owner_id != owner_id:
        raise NoSuchMailbox("the mailbox does not exist")
    return state


_UPDATE_MAILBOXES = """
    WITH new(id, uid_next, modseq, keywords, messages, unseen, deleted, size) AS (VALUES {})
    UPDATE mailservers_mailbox SET uid_next = new.uid_next, highest_modseq = new.modseq, keywords = new.keywords,
        messages = mailservers_mailbox.messages + new.messages, unseen = mailservers_mailbox.unseen + new.unseen,
        deleted = mailservers_mailbox.deleted + new.deleted, size = mailservers_mailbox.size + new.size
    FROM new WHERE mailservers_mailbox.id = new.id
"""


def save_mailboxes(
    tx: Transaction, states: Iterable[MailboxState], accounts: Mapping[int, Account] | None = None
) -> None:
    """Write back what changed, with the owners' usage, and announce it. `accounts`: where already locked."""
    touched = [s for s in states if s.touched]
    if not touched:
        return
    rows = [
        (s.id, s.uid_next, s.modseq, s.keywords, s.added, s.added_unseen, s.added_deleted, s.added_size)
        for s in touched
    ]
    execute_rows(_UPDATE_MAILBOXES, rows)
    for owner_id in save_usage(touched, accounts):
        tx.after_commit.append(partial(post_warning, owner_id))
    for s in touched:
        tx.changed(s.owner_id, s.id, s.modseq)


def post_warning(owner_id: int) -> None:
    """The owner's quota is nearly used up: tell them, in a transaction of its own."""
    from mailservers.store.quota_warning import warn  # it is written with this module's `write_appends`

    store.post(warn, owner_id)


# ---------------------------------------------------------------- operations


def write_deliveries(tx: Transaction, deliveries: list[Delivery]) -> list[list[Placed] | Exception]:
    """Store each message in its mailboxes and queue with its events; the places, in the placements' order.

    Per delivery: `NoSuchMailbox` when a mailbox is gone, `OverQuota` when one of the owners or domains lacks room
    (nothing of that delivery is stored)."""
    mailboxes = lock_mailboxes(p.mailbox_id for d in deliveries for p in d.placements)
    accounts = lock_accounts(m.owner_id for m in mailboxes.values())
    outcomes: list[list[Placed] | Exception] = []
    accepted: list[tuple[Delivery, list[tuple[Placement, MailboxState, tuple[str, ...]]]]] = []
    for delivery in deliveries:
        try:
            checked = [_check(p, mailboxes) for p in delivery.placements]
            _take_room(accounts, [(mailbox, delivery.message) for _, mailbox, _ in checked])
            accepted.append((delivery, checked))
        except (NoSuchMailbox, TooManyKeywords, OverQuota) as error:
            outcomes.append(error)
            _drop_file(tx, delivery.message)
        else:
            outcomes.append([])
    ids = store_contents(tx, [delivery.message for delivery, _ in accepted])
    places = NewPlaces()
    placed: list[list[Placed]] = []
    for delivery, checked in accepted:
        message_id = ids[delivery.message.summary.sha256]
        placed.append([_place(tx, places, message_id, delivery.message, *c) for c in checked])
        tx.events.extend(delivery.events)
    places.write(tx)
    write_verdicts((ids[d.message.summary.sha256], d.verdict) for d, _ in accepted if d.verdict)
    save_mailboxes(tx, mailboxes.values(), accounts)
    _queue(tx, [(ids[d.message.summary.sha256], d.queue) for d, _ in accepted if d.queue])
    results = iter(placed)
    return [outcome if isinstance(outcome, Exception) else next(results) for outcome in outcomes]


@bulk
def deliver(tx: Transaction, deliveries: list[Delivery]) -> list[list[Placed] | Exception]:
    """`write_deliveries` for `store.call`: one delivery a call, all that wait written together."""
    return write_deliveries(tx, deliveries)


@dataclass(slots=True)
class Append:
    """Messages to be put into one mailbox together or not at all, with their marks. `name`: only if it still has
    this name; "" is any."""

    owner_id: int
    mailbox_id: int
    messages: Sequence[tuple[NewMessage, int, tuple[str, ...], datetime | None]]
    name: str = ""


@bulk
def append(tx: Transaction, appends: list[Append]) -> list[list[Placed] | Exception]:
    """`write_appends` for `store.call`: one append a call, all that wait written together."""
    return write_appends(tx, appends)


def write_appends(tx: Transaction, appends: list[Append]) -> list[list[Placed] | Exception]:
    """IMAP APPEND, drafts, imports; per append the places in order, or `NoSuchMailbox`, `OverQuota`."""
    outcomes: list[list[Placed] | Exception] = []
    mailboxes = lock_mailboxes(a.mailbox_id for a in appends)
    accounts = lock_accounts(m.owner_id for m in mailboxes.values())
    accepted: list[tuple[Append, list[tuple[Placement, MailboxState, tuple[str, ...]]]]] = []
    for item in appends:
        try:
            checked = list(_check_append(item, mailboxes))
            _take_room(accounts, [(mailboxes[item.mailbox_id], message) for message, *_ in item.messages])
            accepted.append((item, checked))
        except (NoSuchMailbox, TooManyKeywords, OverQuota) as error:
            outcomes.append(error)
            for message, *_ in item.messages:
                _drop_file(tx, message)
        else:
            outcomes.append([])
    ids = store_contents(tx, [m for item, _ in accepted for m, *_ in item.messages])
    places = NewPlaces()
    placed = [
        [
            _place(tx, places, ids[message.summary.sha256], message, *check)
            for (message, *_), check in zip(item.messages, checked, strict=True)
        ]
        for item, checked in accepted
    ]
    places.write(tx)
    save_mailboxes(tx, mailboxes.values(), accounts)
    results = iter(placed)
    return [outcome if isinstance(outcome, Exception) else next(results) for outcome in outcomes]


PlaceRow = tuple[int, int, int, int, int, str, datetime, datetime]
_PLACE_COLUMNS = (
    "mailbox_id",
    "uid",
    "message_id",
    "modseq",
    "flags",
    "keywords",
    "internal_date",
    "save_date",
    "thread_id",
)


@dataclass(slots=True)
class NewPlaces:
    """The places of a batch, threaded and written together."""

    rows: list[PlaceRow] = field(default_factory=list)
    newcomers: list[Newcomer] = field(default_factory=list)

    def write(self, tx: Transaction) -> None:
        threads = assign_threads(tx, self.newcomers)
        insert(
            MailboxMessage,
            _PLACE_COLUMNS,
            [(*row, t) for row, t in zip(self.rows, threads, strict=True)],
            want_ids=False,
        )


def _check(placement: Placement, mailboxes: dict[int, MailboxState]) -> tuple[Placement, MailboxState, tuple[str, ...]]:
    mailbox = mailboxes.get(placement.mailbox_id)
    if mailbox is None or placement.owner_id not in (None, mailbox.owner_id):
        raise NoSuchMailbox("the mailbox does not exist")
    return placement, mailbox, mailbox.learn(placement.keywords) if placement.keywords else ()


def _check_append(
    item: Append, mailboxes: dict[int, MailboxState]
) -> Iterator[tuple[Placement, MailboxState, tuple[str, ...]]]:
    mailbox = mailboxes.get(item.mailbox_id)
    if item.name and mailbox is not None and mailbox.name != item.name:
        raise NoSuchMailbox("the mailbox has another name now")
    for _, flags, keywords, date in item.messages:
        yield _check(Placement(item.mailbox_id, flags, keywords, date, item.owner_id), mailboxes)


def _take_room(accounts: Mapping[int, Account], copies: Iterable[tuple[MailboxState, NewMessage]]) -> None:
    """Raises `OverQuota`: then nothing was taken."""
    needs: dict[int, tuple[int, int]] = {}
    for mailbox, message in copies:
        octets, messages = needs.get(mailbox.owner_id, (0, 0))
        needs[mailbox.owner_id] = (octets + message.summary.size, messages + 1)
    take(accounts, needs)


def _place(
    tx: Transaction,
    places: NewPlaces,
    message_id: int,
    message: NewMessage,
    placement: Placement,
    mailbox: MailboxState,
    keywords: tuple[str, ...],
) -> Placed:
    uid = mailbox.uid_next
    mailbox.uid_next += 1
    modseq = mailbox.advance()
    mailbox.count(placement.flags, message.summary.size)
    places.newcomers.append(Newcomer(mailbox.owner_id, message_id, message.summary.thread_keys))
    places.rows.append(
        (
            mailbox.id,
            uid,
            message_id,
            modseq,
            placement.flags,
            " ".join(keywords),
            placement.internal_date or tx.now,
            tx.now,
        )
    )
    return Placed(mailbox.id, mailbox.uid_validity, uid, modseq)


# ---------------------------------------------------------------- contents


def store_contents(tx: Transaction, messages: Sequence[NewMessage]) -> dict[bytes, int]:
    """Row ids by SHA-256; contents already stored are used again, and their second file is dropped."""
    if not messages:
        return {}
    wanted = {m.summary.sha256: m for m in messages}
    ids = _known_contents(list(wanted))
    for message in messages:
        digest = message.summary.sha256
        if digest in ids or wanted[digest] is not message:
            _drop_file(tx, message)
    new = [m for digest, m in wanted.items() if digest not in ids]
    new_ids = insert(Message, _MESSAGE_COLUMNS, [_message_row(tx, m) for m in new])
    data = [(pk, m.header, m.body, m.file) for pk, m in zip(new_ids, new, strict=True)]
    insert(MessageData, ("message_id", "header", "body", "file"), data, want_ids=False)
    ids.update((m.summary.sha256, pk) for pk, m in zip(new_ids, new, strict=True))
    return ids


def _known_contents(digests: list[bytes]) -> dict[bytes, int]:
    rows = fetch(f"SELECT sha256, id FROM mailservers_message WHERE sha256 IN ({marks(len(digests))})", digests)
    return {bytes(digest): pk for digest, pk in rows}


_MESSAGE_COLUMNS = (
    "sha256",
    "size",
    "header_size",
    "envelope",
    "bodystructure",
    "parts",
    "subject",
    "from_name",
    "from_address",
    "to",
    "cc",
    "message_id",
    "in_reply_to",
    "references",
    "date",
    "preview",
    "has_attachment",
    "created_at",
)


def _message_row(tx: Transaction, message: NewMessage) -> tuple[Any, ...]:
    s = message.summary
    return (
        s.sha256,
        s.size,
        s.header_size,
        s.envelope,
        s.bodystructure,
        s.parts,
        s.subject,
        s.from_name,
        s.from_address,
        s.to,
        s.cc,
        s.message_id,
        s.in_reply_to,
        " ".join(s.references),
        s.date,
        s.preview,
        s.has_attachment,
        tx.now,
    )


def _drop_file(tx: Transaction, message: NewMessage) -> None:
    if message.file:
        name = message.file
        tx.after_commit.append(lambda: remove_body(name))


_QUEUED_COLUMNS = (
    "trace_id", "message_id", "reverse_path", "sender_id", "smtputf8", "envid", "ret", "require_tls", "is_binary",
    "created_at", "expires_at", "tls_optional", "deliver_by", "by_mode", "priority",
)  # fmt: skip
_RECIPIENT_COLUMNS = (
    "queued_id", "address", "domain", "state", "attempts", "next_attempt", "lease_token", "last_reply", "notify",
    "orcpt", "turn", "crashes",
)  # fmt: skip


def _by_mode(by: DeliverBy | None) -> str:
    return f"{by.mode}{'T' if by.is_traced else ''}" if by is not None else ""


def _queue(tx: Transaction, entries: list[tuple[int, QueueEntry]]) -> None:
    if not entries:
        return
    ids = insert(
        QueuedMessage,
        _QUEUED_COLUMNS,
        [
            (
                e.trace_id, pk, e.reverse_path, e.sender_id, e.smtputf8, e.envid, e.ret, e.require_tls, e.is_binary,
                tx.now, e.expires_at, e.tls_optional, e.deliver_by and e.deliver_by.at, _by_mode(e.deliver_by),
                e.priority,
            )
            for pk, e in entries
        ],
    )  # fmt: skip
    rows = [
        (
            pk, address, address.rpartition("@")[2].lower(),
            RecipientState.HELD if address in entry.held else RecipientState.QUEUED, 0, entry.not_before or tx.now,
            "", "",
            entry.requests.get(address, NOTHING_ASKED).notify, entry.requests.get(address, NOTHING_ASKED).orcpt,
            take_turn(entry.sender_id or entry.reverse_path, tx.now, entry.priority), 0,
        )
        for pk, (_, entry) in zip(ids, entries, strict=True)
        for address in entry.recipients
    ]  # fmt: skip
    insert(QueuedRecipient, _RECIPIENT_COLUMNS, rows)
