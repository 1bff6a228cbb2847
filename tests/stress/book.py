"""One session's books of its selected mailbox: what a server may say, and when.

RFC 9051 section 7.5, RFC 2180, RFC 7162: a sequence number means one message until EXPUNGE or VANISHED says otherwise;
EXISTS never shrinks; EXPUNGE comes neither with FETCH, STORE or SEARCH by number nor between commands; UIDs ascend;
a message's mod-sequence never falls. What one session's books cannot know alone they ask the account's `Ledger`.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from tests.stress.ledger import Ledger, Violation

BY_NUMBER = frozenset((b"FETCH", b"STORE", b"SEARCH", b"SORT", b"THREAD"))
_UID = re.compile(rb"[( ]UID (\d+)")
_FLAGS = re.compile(rb"[( ]FLAGS \(([^)]*)\)")
_MODSEQ = re.compile(rb"[( ]MODSEQ \((\d+)\)")
_TOKEN = re.compile(rb"Subject: (\S+)", re.IGNORECASE)


def expand(uid_set: bytes) -> Iterator[int]:
    """``1,3:5``; ranges may run either way."""
    for item in uid_set.split(b","):
        low, _, high = item.partition(b":")
        first, last = int(low), int(high or low)
        yield from range(first, last + 1) if first <= last else range(first, last - 1, -1)


class Book:
    """See the module's text. `take` raises `Violation`."""

    def __init__(self, ledger: Ledger, uid_validity: int, immediate: bool) -> None:
        self.ledger = ledger
        self.uid_validity = uid_validity
        self.immediate = immediate  # NOTIFY: anything may be said at any time
        self.opened_at = time.monotonic()
        self.uids: list[int | None] = []  # by sequence number; None: not told yet
        self.flags: dict[int, frozenset[bytes]] = {}
        self.modseqs: dict[int, int] = {}
        self.gone: set[int] = set()
        self.command = b""  # in progress, b"" between commands

    def take(self, line: bytes) -> None:
        """Enter an untagged response."""
        words = line.split(b" ", 3)
        if words[:2] == [b"*", b"VANISHED"]:
            if words[2] != b"(EARLIER)":
                self._may_expunge(line)
                for uid in expand(line.rsplit(b" ", 1)[1]):
                    self._forget(self._index(uid, line), uid)
        elif len(words) > 2 and words[0] == b"*" and words[1].isdigit():
            self._numbered(int(words[1]), words[2], line)

    def _numbered(self, number: int, kind: bytes, line: bytes) -> None:
        if kind == b"EXISTS":
            self._require(number >= len(self.uids), "EXISTS shrinks", line)
            self.uids += [None] * (number - len(self.uids))
        elif kind == b"EXPUNGE":
            self._may_expunge(line)
            self._require(1 <= number <= len(self.uids), "EXPUNGE of a number not in use", line)
            self._forget(number - 1, self.uids[number - 1])
        elif kind == b"FETCH":
            self._require(1 <= number <= len(self.uids), "FETCH of a number not in use", line)
            self._fetched(self._place(number, line), line)
        elif kind == b"UIDFETCH":
            self._fetched(number, line)

    def _may_expunge(self, line: bytes) -> None:
        if not self.immediate:
            self._require(self.command not in BY_NUMBER, "EXPUNGE with a command by number", line)
            self._require(self.command != b"", "EXPUNGE between commands", line)

    def _require(self, condition: bool, what: str, line: bytes) -> None:
        if not condition:
            raise Violation(f"{what}: {line!r} during {self.command!r}")

    # ------------------------------------------------------------ numbers and UIDs

    def _place(self, number: int, line: bytes) -> int | None:
        """The UID of a sequence number, learnt where the line has it."""
        match = _UID.search(line)
        known = self.uids[number - 1]
        if match is None:
            return known
        uid = int(match[1])
        self._require(known in (None, uid), f"number {number} was UID {known}", line)
        if known is None:
            before = next((u for u in reversed(self.uids[: number - 1]) if u is not None), 0)
            after = next((u for u in self.uids[number:] if u is not None), uid + 1)
            self._require(before < uid < after, "UIDs do not ascend", line)
            self.uids[number - 1] = uid
        return uid

    def _index(self, uid: int, line: bytes) -> int:
        """Where a UID is, or the place of one not told yet that it can be: behind all that are smaller."""
        if uid in self.uids:
            return self.uids.index(uid)
        smaller = [index for index, other in enumerate(self.uids) if other is not None and other < uid]
        start = smaller[-1] + 1 if smaller else 0
        self._require(None in self.uids[start:], "VANISHED of a message not in the mailbox", line)
        return self.uids.index(None, start)

    def _forget(self, index: int, uid: int | None) -> None:
        del self.uids[index]
        if uid is not None:
            self.gone.add(uid)
            self.flags.pop(uid, None)
            self.modseqs.pop(uid, None)
            self.ledger.told_gone(self.uid_validity, uid)

    def _fetched(self, uid: int | None, line: bytes) -> None:
        if uid is None:
            return
        self._require(uid not in self.gone, "a message that was expunged", line)
        self.ledger.seen(self.uid_validity, uid, self.opened_at)
        token, flags, modseq = _TOKEN.search(line), _FLAGS.search(line), _MODSEQ.search(line)
        if token:
            self.ledger.content(self.uid_validity, uid, token[1])
        if modseq:
            value = int(modseq[1])
            self._require(value >= self.modseqs.get(uid, 0), "a mod-sequence falls", line)
            self.modseqs[uid] = value
        if flags:
            self.flags[uid] = frozenset(flags[1].split()) - {b"\\Recent"}
            if modseq:
                self.ledger.state(self.uid_validity, uid, int(modseq[1]), self.flags[uid])

    # ------------------------------------------------------------ for the actor

    @property
    def has_unknown(self) -> bool:
        return None in self.uids

    def known(self) -> list[int]:
        """Messages whose UID and content are known."""
        contents = self.ledger.contents
        return [uid for uid in self.uids if uid is not None and (self.uid_validity, uid) in contents]

    def numbers(self, uids: Iterable[int]) -> list[int]:
        if not self.has_unknown:
            return [bisect_left(self.uids, uid) + 1 for uid in uids]  # type: ignore[type-var,arg-type]
        return [self.uids.index(uid) + 1 for uid in uids]

    def hush(self, uids: Iterable[int]) -> None:
        """A .SILENT STORE: what it made of these is not known any more."""
        for uid in uids:
            self.flags.pop(uid, None)
