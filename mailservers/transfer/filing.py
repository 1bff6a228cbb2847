"""Putting many messages into one user's mailboxes: from files, from a backup. Works beside a running server.

Messages are written some at a time, each step one transaction. A step that was interrupted is done again without
doubling anything, with `skip_existing`: a message whose octets are in that mailbox already is passed over. (The second
of two equal messages in what is put in is kept where the mailbox does not have two yet.)
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from mailservers.models import OUTBOX_USE, Mailbox, MailboxMessage
from mailservers.store.content import NewMessage, prepare
from mailservers.store.engine import store
from mailservers.store.errors import MailboxExists, StoreError
from mailservers.store.mailboxes import STANDARD_MAILBOXES, create_mailbox, normal_name, subscribe
from mailservers.store.placing import Append, append
from mailservers.store.transaction import Transaction

STEP_MESSAGES = 64
STEP_OCTETS = 8 * 1024 * 1024
_STANDARD_USES = dict(STANDARD_MAILBOXES)


@dataclass(slots=True)
class Filed:
    """What became of them. `refused`: (what it was, why)."""

    added: int = 0
    skipped: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Item:
    mailbox_id: int
    what: str
    raw: bytes
    flags: int
    keywords: tuple[str, ...]
    internal_date: datetime | None

    def prepared(self) -> tuple[NewMessage, int, tuple[str, ...], datetime | None]:
        return prepare(self.raw), self.flags, self.keywords, self.internal_date


@dataclass(slots=True)
class Filing:
    """`add` each message, `finish` at the end. Not for the event loop."""

    owner_id: int
    skip_existing: bool = False
    on_step: Callable[[int], None] | None = None  # told how many have been dealt with
    filed: Filed = field(default_factory=Filed)
    _mailboxes: dict[str, int] = field(default_factory=dict)
    _present: dict[int, Counter[bytes]] = field(default_factory=dict)
    _waiting: list[_Item] = field(default_factory=list)
    _octets: int = 0

    def mailbox(self, name: str, special_use: str = "") -> int:
        """The mailbox's id; it is made, and subscribed, where it is missing. Raises `InvalidMailboxName`."""
        name = normal_name(name)
        if name not in self._mailboxes:
            self._mailboxes[name] = store.call_sync(_find_or_make, self.owner_id, name, special_use)
        return self._mailboxes[name]

    def add(
        self,
        mailbox_name: str,
        raw: bytes,
        flags: int = 0,
        keywords: Sequence[str] = (),
        internal_date: datetime | None = None,
        what: str = "",
    ) -> None:
        """One message; `what` names it in `filed.refused`."""
        mailbox_id = self.mailbox(mailbox_name)
        if self.skip_existing and self._is_present(mailbox_id, hashlib.sha256(raw).digest()):
            self.filed.skipped += 1
        elif len(raw) > settings.MESSAGE_SIZE_LIMIT:
            self.refuse_large(what)
            return
        else:
            self._waiting.append(_Item(mailbox_id, what, raw, flags, tuple(keywords), internal_date))
            self._octets += len(raw)
            if len(self._waiting) >= STEP_MESSAGES or self._octets >= STEP_OCTETS:
                self._write()
        self._tell()

    def refuse_large(self, what: str) -> None:
        self.filed.refused.append((what, f"larger than {settings.MESSAGE_SIZE_LIMIT} octets"))
        self._tell()

    def finish(self) -> Filed:
        """Write what waits."""
        self._write()
        self._tell()
        return self.filed

    def _write(self) -> None:
        waiting, self._waiting, self._octets = self._waiting, [], 0
        by_mailbox: dict[int, list[_Item]] = {}
        for item in waiting:
            by_mailbox.setdefault(item.mailbox_id, []).append(item)
        for mailbox_id, items in by_mailbox.items():
            if self._append(mailbox_id, items) is None:
                continue
            for item in items:  # together they were refused: those that can be kept are, the others are named
                reason = self._append(mailbox_id, [item])
                if reason is not None:
                    self.filed.refused.append((item.what, reason))

    def _append(self, mailbox_id: int, items: Sequence[_Item]) -> str | None:
        """None, or why they were refused."""
        try:
            store.call_sync(append, Append(self.owner_id, mailbox_id, [item.prepared() for item in items]))
        except StoreError as error:
            return str(error)
        self.filed.added += len(items)
        return None

    def _is_present(self, mailbox_id: int, sha256: bytes) -> bool:
        if mailbox_id not in self._present:
            places = MailboxMessage.objects.filter(mailbox_id=mailbox_id).values_list("message__sha256", flat=True)
            self._present[mailbox_id] = Counter(bytes(digest) for digest in places.iterator())
        present = self._present[mailbox_id]
        if not present[sha256]:
            return False
        present[sha256] -= 1
        return True

    def _tell(self) -> None:
        if self.on_step is not None:
            self.on_step(self.filed.added + self.filed.skipped + len(self.filed.refused))


def _find_or_make(tx: Transaction, owner_id: int, name: str, special_use: str) -> int:
    """What waited to be sent when it was saved does not wait any more: of an Outbox come drafts."""
    own = Mailbox.objects.filter(owner_id=owner_id)
    if special_use == OUTBOX_USE or own.filter(name=name, special_use=OUTBOX_USE).exists():
        name, special_use = "Drafts", "\\Drafts"
    found = own.filter(name=name).values_list("pk", flat=True).first()
    if found is not None:
        return found
    use = special_use or _STANDARD_USES.get(name, "")
    if use and Mailbox.objects.filter(owner_id=owner_id, special_use=use).exists():
        use = ""
    try:
        mailbox_id = create_mailbox(tx, owner_id, name, use)
    except MailboxExists:
        return Mailbox.objects.values_list("pk", flat=True).get(owner_id=owner_id, name=name)
    subscribe(tx, owner_id, name)
    return mailbox_id
