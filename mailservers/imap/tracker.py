"""Sequence numbers against UIDs: the client's view of the selected mailbox.

The view is what the client has been told, not what the mailbox holds: messages are added when EXISTS
is sent and leave when EXPUNGE is sent, so a sequence number means the same message to both sides at
all times (RFC 9051 section 2.3.1.2). Messages expunged by others in the meantime stay in the view,
remembered in ``gone``, until a command lets EXPUNGE through.

Invariants: ``uids`` ascends; ``gone`` is a subset of it. Four octets a message.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from mailservers.formats.imap.lexer import ImapSyntaxError
from mailservers.formats.imap.sequences import SequenceSet

EMPTY = array("I")


class View:
    """The messages of the selected mailbox as the client knows them."""

    __slots__ = ("gone", "uids")

    def __init__(self, uids: "array[int]") -> None:
        self.uids = uids
        self.gone: set[int] | None = None

    def __len__(self) -> int:
        return len(self.uids)

    def number_of(self, uid: int) -> int:
        """The sequence number of ``uid``; 0 where the client does not know the message."""
        index = bisect_left(self.uids, uid)
        return index + 1 if index < len(self.uids) and self.uids[index] == uid else 0

    def numbers_of(self, ascending: Sequence[int]) -> list[int]:
        """``number_of`` each: where they follow one another, without looking for it."""
        uids, end, index = self.uids, len(self.uids), 0
        numbers = []
        for uid in ascending:
            if index >= end or uids[index] != uid:
                index = bisect_left(uids, uid)
            if index < end and uids[index] == uid:
                index += 1
                numbers.append(index)
            else:
                numbers.append(0)
        return numbers

    def by_number(self, numbers: SequenceSet) -> "array[int]":
        """UIDs of sequence numbers, ascending. Raises ImapSyntaxError for a number that is not in use
        (RFC 9051 section 9, seq-number: BAD)."""
        count = len(self.uids)
        if numbers.largest_number > count or (count == 0 and numbers.has_star):
            raise ImapSyntaxError("No message has that number")
        return self.by_number_if_any(numbers)

    def by_number_if_any(self, numbers: SequenceSet) -> "array[int]":
        """The same for SEARCH, where numbers that are not in use match nothing.

        Deviation: RFC 9051 asks for BAD here, too, but clients search "1:* NOT DELETED" in empty mailboxes, and
        what others answer is an empty result."""
        count = len(self.uids)
        ranges = numbers.resolve(count) if count else []
        if ranges == [(1, count)]:
            return self.uids[:]
        chosen = array("I")
        for low, high in ranges:
            chosen.extend(self.uids[low - 1 : high])
        return chosen

    def by_uid(self, uids: SequenceSet) -> "array[int]":
        """Those UIDs of the set that are in the view, ascending; others are passed over (RFC 9051
        section 6.4.9)."""
        if not self.uids:
            return EMPTY
        chosen = array("I")
        for low, high in uids.resolve(self.uids[-1]):
            chosen.extend(self.uids[bisect_left(self.uids, low) : bisect_right(self.uids, high)])
        return chosen

    def present(self, uids: Iterable[int]) -> "array[int]":
        """Those of ascending ``uids`` that are in the view (what SEARCH saved may have been expunged)."""
        return array("I", (uid for uid in uids if self.number_of(uid)))

    def add(self, uids: Iterable[int]) -> None:
        """New messages, ascending and above all that are there."""
        self.uids.extend(uids)

    def mark_gone(self, uids: Iterable[int]) -> None:
        """Messages that were expunged but not yet announced."""
        known = {uid for uid in uids if self.number_of(uid)}
        if known:
            self.gone = known if self.gone is None else self.gone | known

    def remove_gone(self) -> list[int]:
        """Take the ``gone`` out of the view; the numbers to announce as EXPUNGE, one after the other:
        from the highest down, so that each is right at its turn."""
        gone = self.gone
        if not gone:
            return []
        self.gone = None
        numbers = [index + 1 for index, uid in enumerate(self.uids) if uid in gone]
        self.uids = array("I", (uid for uid in self.uids if uid not in gone))
        numbers.reverse()
        return numbers
