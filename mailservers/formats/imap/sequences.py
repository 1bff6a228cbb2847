"""Sequence sets: ``1,3:5,9:*`` of message numbers or UIDs, and ``$`` (RFC 9051 section 9).

sequence-set    = (seq-number / seq-range) ["," sequence-set]
sequence-set    =/ seq-last-command
seq-number      = nz-number / "*"
seq-last-command = "$"
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

STAR = 0  # "*" in a range: the largest number in use
MAX_NUMBER = (1 << 32) - 1

Ranges = list[tuple[int, int]]

_SET = re.compile(
    rb"(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?+"
    rb"(?:,(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?+)*+\Z"
)


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """The ranges as the client wrote them (:data:`STAR` for ``*``); ``saved`` for ``$``."""

    ranges: tuple[tuple[int, int], ...]
    saved: bool = False

    def resolve(self, largest: int) -> Ranges:
        """Ascending, disjoint, inclusive ranges, with ``*`` standing for ``largest``."""
        return merge(sorted(_ordered(low or largest, high or largest) for low, high in self.ranges))

    @property
    def has_star(self) -> bool:
        return any(low == STAR or high == STAR for low, high in self.ranges)

    @property
    def largest_number(self) -> int:
        """The largest number written; 0 where there is only ``*``."""
        return max((max(pair) for pair in self.ranges), default=0)


SAVED = SequenceSet((), saved=True)


def parse_sequence_set(text: bytes) -> SequenceSet | None:
    """The set in ``text``, or None where it is not one."""
    if text == b"$":
        return SAVED
    if _SET.match(text) is None:
        return None
    ranges = []
    for item in text.split(b","):
        low, colon, high = item.partition(b":")
        first = _number(low)
        ranges.append((first, _number(high) if colon else first))
    result = SequenceSet(tuple(ranges))
    return result if result.largest_number <= MAX_NUMBER else None


def _number(text: bytes) -> int:
    return STAR if text == b"*" else int(text)


def _ordered(low: int, high: int) -> tuple[int, int]:
    return (low, high) if low <= high else (high, low)


def merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Join ranges that touch or overlap; ``ranges`` ascend by their low end."""
    merged: Ranges = []
    for low, high in ranges:
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged


def within(numbers: Iterable[int], ranges: Ranges) -> Iterator[int]:
    """Those of ascending ``numbers`` that lie in ascending, disjoint ``ranges``."""
    remaining = iter(ranges)
    low, high = next(remaining, (1, 0))
    for number in numbers:
        while high < number:
            following = next(remaining, None)
            if following is None:
                return
            low, high = following
        if number >= low:
            yield number


def clipped(ranges: Ranges, largest: int) -> Ranges:
    """``ranges`` up to a number."""
    return [(low, min(high, largest)) for low, high in ranges if low <= largest]


def missing(numbers: Iterable[int], ranges: Ranges) -> Iterator[int]:
    """Those in ascending, disjoint ``ranges`` that are not among ascending ``numbers``."""
    remaining = iter(numbers)
    following = next(remaining, None)
    for low, high in ranges:
        for number in range(low, high + 1):
            while following is not None and following < number:
                following = next(remaining, None)
            if number != following:
                yield number


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """Ascending numbers as ranges."""
    ranges: Ranges = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def write_ranges(ranges: Iterable[tuple[int, int]]) -> bytes:
    """``1:3,7``"""
    return b",".join(b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges)


def write_numbers(numbers: Iterable[int]) -> bytes:
    """Ascending numbers as a sequence set; b"" for none (which no grammar allows: do not send it)."""
    return write_ranges(ranges_of(numbers))


def write_numbers_in_order(numbers: Iterable[int]) -> bytes:
    """Like :func:`write_numbers` for numbers in any order, which is kept: COPYUID's sets correspond."""
    return write_ranges(ranges_of(numbers))
