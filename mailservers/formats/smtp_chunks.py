"""The framing of BDAT (RFC 3030 2): counted chunks in as they come, a message out after the last.

    reader.begin(size, is_last)        # a BDAT command
    reader.feed(octets)                # -> what came after the chunk, or None while octets of it are missing

`take` gives what has come so far, so that a large message need not be held. A chunk that would pass the limit, or
that nobody wants, is read to its end and thrown away, so that the commands behind it are still found (RFC 3030 2: the
data is discarded before the reply).
"""

from __future__ import annotations

import re

from .smtp import SmtpSyntaxError
from .smtp_data import LineEnds

_BDAT = re.compile(r"([0-9]{1,20})(?:[ \t]+(LAST))?", re.IGNORECASE)


def parse_bdat(rest: str) -> tuple[int, bool]:
    """`chunk-size [SP "LAST"]`: octets, and whether it is the last."""
    match = _BDAT.fullmatch(rest)
    if match is None:
        raise SmtpSyntaxError("Syntax: BDAT size [LAST]")
    return int(match[1]), match[2] is not None


class ChunkReader:
    """One message's chunks, each begun with `begin`. `take` the rest after the last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._missing = 0
        self._keeps = True
        self.line_ends = LineEnds()
        self.held = 0  # octets of content not taken
        self.chunk_size = 0  # of the chunk in hand
        self.is_last = False
        self.is_too_large = False
        self.swallowed = 0  # octets thrown away

    def begin(self, size: int, is_last: bool, *, wanted: bool = True) -> None:
        """A chunk of `size` octets comes; not `wanted`: it is only read to its end."""
        self.chunk_size = self._missing = size
        self.is_last = is_last
        self._keeps = wanted
        if self._size + size > self._limit:
            self.is_too_large = True
            self.take()

    @property
    def is_complete(self) -> bool:
        """Has all of the chunk come?"""
        return self._missing == 0

    def feed(self, data: bytes) -> bytes | None:
        """Take octets of the chunk; what is left of `data` when it is complete, else None."""
        taken = data[: self._missing]
        self._missing -= len(taken)
        if self._keeps and not self.is_too_large:
            self._pieces.append(taken)
            self._size += len(taken)
            self.held += len(taken)
            self.line_ends.feed(taken)
        else:
            self.swallowed += len(taken)
        return data[len(taken) :] if self._missing == 0 else None

    def take(self) -> list[bytes]:
        """The content that has come since the last time, in pieces."""
        pieces, self._pieces, self.held = self._pieces, [], 0
        return pieces

    def throw_away(self) -> None:
        """Read the chunk to its end, and keep nothing."""
        self._keeps = False
        self.take()
