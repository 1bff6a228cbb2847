"""PARTIAL: some of a command's results (RFC 9394, RFC 5267 section 4.4)."""

import re
from array import array
from dataclasses import dataclass

from .lexer import ImapSyntaxError, Lexer

_PARTIAL = re.compile(rb"(-?)([0-9]{1,10}):(-?)([0-9]{1,10})")


@dataclass(frozen=True, slots=True)
class Partial:
    """Results number `first` to `last`, counted from 1, from the end where `from_end`. `written`: as it was given."""

    first: int
    last: int
    from_end: bool
    written: bytes

    def of(self, results: "array[int]") -> "array[int]":
        if not self.from_end:
            return results[self.first - 1 : self.last]
        count = len(results)
        return results[max(0, count - self.last) : max(0, count - self.first + 1)]


def parse_partial(lexer: Lexer) -> Partial:
    """partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number        (RFC 9394 section 4)"""
    match = lexer.match(_PARTIAL, "a range of results")
    first, last = sorted((int(match[2]), int(match[4])))
    if bool(match[1]) != bool(match[3]) or not first or last >= 1 << 32:
        raise ImapSyntaxError("Expected a range of results")
    return Partial(first, last, bool(match[1]), match[0])
