"""The maildrop of one session: the INBOX as it was at sign-in, and what the session did to it.

Message numbers run from 1 and never change (RFC 1939 section 5). A message costs 25 octets of memory.
Nothing is written before `commit` or `mark_seen`: one of them ends the session.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Iterable, Iterator

from mailservers.models import Flag
from mailservers.pop3.lock import maildrop_locks
from mailservers.pop3.replies import Refusal
from mailservers.pop3.sizes import wire_sizes
from mailservers.store.engine import store
from mailservers.store.flags import FlagChange, store_flags
from mailservers.store.queries import fetch_rows, mailbox_by_name, uids
from mailservers.store.removing import expunge

log = logging.getLogger(__name__)

CHUNK = 2000  # rows in one turn of a reader thread
_COLUMNS = ("uid", "message_id", "flags", "message__size", "message__header_size")

SEEN = 1  # was already, before this session
RETRIEVED = 2  # by RETR in this session
MARKED = 4  # by DELE


class Maildrop:
    """Made by `open_maildrop`. Numbers given to it must be those of messages, 1 to `len`."""

    __slots__ = (
        "_is_locked",
        "_marks",
        "_sizes",
        "_uids",
        "count",
        "header_sizes",
        "mailbox_id",
        "message_ids",
        "octets",
        "owner_id",
        "uid_validity",
    )

    def __init__(self, owner_id: int, mailbox_id: int, uid_validity: int) -> None:
        self.owner_id = owner_id
        self.mailbox_id = mailbox_id
        self.uid_validity = uid_validity
        self.message_ids = array("Q")
        self.header_sizes = array("I")  # octets as stored, with the empty line
        self._uids = array("I")
        self._sizes = array("Q")  # octets as sent
        self._marks = bytearray()
        self._is_locked = True
        self.count = 0  # of messages not marked as deleted
        self.octets = 0  # of these

    def add(self, rows: Iterable[tuple[int, int, int, int, int]], sizes: Iterable[int]) -> None:
        """Rows of _COLUMNS and their sizes as sent."""
        for (uid, message_id, flags, _, header_size), size in zip(rows, sizes, strict=True):
            self._uids.append(uid)
            self.message_ids.append(message_id)
            self.header_sizes.append(header_size)
            self._sizes.append(size)
            self._marks.append(SEEN if flags & Flag.SEEN else 0)
            self.count += 1
            self.octets += size

    # ------------------------------------------------------------ asking

    def __len__(self) -> int:
        """All messages, those marked as deleted, too."""
        return len(self._uids)

    def require(self, number: int) -> None:
        """Raises `Refusal` unless there is such a message and it is not marked as deleted."""
        if not 1 <= number <= len(self._uids):
            raise Refusal("No such message")
        if self._marks[number - 1] & MARKED:
            raise Refusal("Message is deleted")

    def is_marked(self, number: int) -> bool:
        return bool(self._marks[number - 1] & MARKED)

    def size(self, number: int) -> int:
        """Octets as sent, without byte-stuffing."""
        return self._sizes[number - 1]

    def unique_id(self, number: int) -> str:
        return f"{self.uid_validity}.{self._uids[number - 1]}"

    def numbers(self) -> Iterator[int]:
        """Of all messages not marked as deleted."""
        return (i for i, marks in enumerate(self._marks, 1) if not marks & MARKED)

    # ------------------------------------------------------------ changing

    def note_retrieved(self, number: int) -> None:
        self._marks[number - 1] |= RETRIEVED

    def mark(self, number: int) -> None:
        self._marks[number - 1] |= MARKED
        self.count -= 1
        self.octets -= self._sizes[number - 1]

    def unmark_all(self) -> None:
        """RSET."""
        for i, marks in enumerate(self._marks):
            if marks & MARKED:
                self._marks[i] = marks & ~MARKED
                self.count += 1
                self.octets += self._sizes[i]

    # ------------------------------------------------------------ the end

    async def commit(self) -> None:
        """The UPDATE state: remove what is marked, all of it or nothing. Raises StoreError.

        Both operations are handed over together and share a commit; whether \\Seen was stored does not matter."""
        marked = [self._uids[i] for i, marks in enumerate(self._marks) if marks & MARKED]
        removed, _ = await asyncio.gather(self._remove(marked), self.mark_seen(), return_exceptions=True)
        if isinstance(removed, BaseException):
            raise removed

    async def _remove(self, marked: list[int]) -> None:
        if marked:
            await store.call(expunge, self.owner_id, self.mailbox_id, marked, deleted_only=False)

    @property
    def has_news(self) -> bool:
        """Whether `mark_seen` has anything to do."""
        return RETRIEVED in self._marks

    async def mark_seen(self) -> None:
        """Store \\Seen on what was retrieved for the first time and is not marked. A failure is only logged."""
        new = [self._uids[i] for i, marks in enumerate(self._marks) if marks == RETRIEVED]
        if not new:
            return
        try:
            await store.call(store_flags, self.owner_id, self.mailbox_id, new, FlagChange.ADD, Flag.SEEN)
        except Exception:
            log.warning("\\Seen could not be stored after a POP3 session", exc_info=True)

    def unlock(self) -> None:
        """Let others in; once is enough, more does no harm."""
        if self._is_locked:
            self._is_locked = False
            maildrop_locks.release(self.owner_id)


async def open_maildrop(user_id: int, *, is_utf8: bool = False) -> Maildrop:
    """Lock the user's INBOX and look at it; `is_utf8`: it will be sent as it is.

    Raises `Refusal` [IN-USE], StoreError."""
    if not await maildrop_locks.acquire(user_id):
        raise Refusal("Maildrop is locked by another session", "IN-USE")
    try:
        inbox = await store.read(mailbox_by_name, user_id, "INBOX")
        maildrop = Maildrop(user_id, inbox.id, inbox.uid_validity)
        there = await store.read(uids, inbox.id)
        for start in range(0, len(there), CHUNK):
            rows = await store.read(fetch_rows, inbox.id, there[start : start + CHUNK].tolist(), _COLUMNS)
            maildrop.add(rows, await wire_sizes([(row[1], row[3]) for row in rows], is_utf8=is_utf8))
    except BaseException:
        maildrop_locks.release(user_id)
        raise
    return maildrop
