"""The framing of DATA (RFC 5321 4.5.2): chunks in as they come, a message out at CRLF "." CRLF.

Only CRLF ends a line. A bare CR or LF is the stuff of smuggling (one server's end of data is another's content),
so a message that holds one, or a line of nothing but dots and NULs, is refused as a whole; it never ends the data.
Lines may be of any length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_END = b"\r\n.\r\n"
_NUL_DOTS = re.compile(rb"^(?=[.\0]*\.)(?=[.\0]*\0)[.\0]+\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Received:
    """The data's end was seen. `content` is what had not been taken; None when the message was over the limit, or
    thrown away."""

    content: bytes | None
    rest: bytes  # what came after the end: pipelined commands
    has_bare_line_end: bool = False


# The first place where something may be amiss or end: a bare CR, a line that begins with a dot, the octets' end. And
# a bare LF. Both run at the speed of a search for one octet; looking at every line end costs four times as much.
_SUSPECT = re.compile(rb"\r(?!\n[^.])")
_BARE_LF = re.compile(rb"\n(?<!\r\n)")


class DataReader:
    """Feed it octets until it returns `Received`. `take` gives what is complete before that, so that a large message
    need not be held. Memory is bounded by `limit` (octets of content) and one chunk."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._carry = b"\r\n"  # octets not decided on; these, so that "." CRLF at the very start is an end, too
        self._has_begun = False
        self._is_bare = False
        self._dots = DotLines()
        self.held = 0  # octets of content not taken
        self.swallowed = 0  # octets thrown away: the message is over the limit, or nobody wants it

    def feed(self, data: bytes) -> Received | None:
        window = self._carry + data
        suspect = _SUSPECT.search(window)
        end = -1
        if suspect is None:
            cut = len(window)
        elif suspect.start() >= len(window) - len(_END) + 1:
            cut = suspect.start()
        else:
            end = window.find(_END, suspect.start())
            cut = end + 2 if end >= 0 else len(window) - _undecided(window)
        piece, self._carry = window[:cut], window[cut:]
        self._keep(piece, is_plain=suspect is None or cut <= suspect.start() or end == suspect.start())
        if end < 0:
            return None
        rest, self._carry = self._carry[3:], b""
        if self.swallowed:
            return Received(None, rest)
        return Received(b"".join(self.take()), rest, self._is_bare or self._dots.were_seen)

    def take(self) -> list[bytes]:
        """The content that has come since the last time, in pieces."""
        pieces, self._pieces, self.held = self._pieces, [], 0
        return pieces

    def throw_away(self) -> None:
        """Read on to the end, and keep nothing."""
        self.swallowed += 1
        self.take()

    def _keep(self, piece: bytes, is_plain: bool) -> None:
        """`is_plain`: no CR in it is bare, and no line begins with a dot."""
        self._dots.feed(piece)
        if is_plain:
            self._is_bare = self._is_bare or _BARE_LF.search(piece) is not None
        else:
            self._is_bare = self._is_bare or _has_bare(piece)
            piece = piece.replace(b"\r\n.", b"\r\n")
        if not self._has_begun and piece:
            self._has_begun = True
            piece = piece[2:]
        self._size += len(piece)
        if self.swallowed or self._size > self._limit:
            self.swallowed += len(piece) + (not self.swallowed)
            self.take()
        elif piece:
            self._pieces.append(piece)
            self.held += len(piece)


def _undecided(window: bytes) -> int:
    """How many octets at the end may be the beginning of the data's end."""
    return next((n for n in range(len(_END) - 1, 0, -1) if window.endswith(_END[:n])), 0)


class LineEnds:
    """Is there a CR or LF that is not of a CRLF, or a line of dots and NULs, in content that comes in pieces?"""

    def __init__(self) -> None:
        self._carry = b""  # a CR whose LF may be in the next piece
        self._is_bare = False
        self._dots = DotLines()

    def feed(self, piece: bytes) -> None:
        piece = self._carry + piece
        self._carry = b"\r" if piece.endswith(b"\r") else b""
        piece = piece[: len(piece) - len(self._carry)]
        self._is_bare = self._is_bare or _has_bare(piece)
        self._dots.feed(piece)

    def are_unsafe(self) -> bool:
        """After the last piece."""
        return self._is_bare or bool(self._carry) or self._dots.were_seen or self._dots.is_one


class DotLines:
    """Lines of dots and NULs, where a careless host may end the data, however they are cut."""

    def __init__(self) -> None:
        self._line = b""  # the line that the last piece ends in: what octets it has if they are dots and NULs, else "x"
        self.were_seen = False  # among the lines that have ended

    def feed(self, piece: bytes) -> None:
        if b"\0" in piece or b"\0" in self._line:
            piece = self._line + piece
            self.were_seen = self.were_seen or _NUL_DOTS.search(piece, 0, piece.rfind(b"\n") + 1) is not None
        else:
            piece = self._line + piece[max(piece.rfind(b"\n"), 0) :]
        last = piece[piece.rfind(b"\n") + 1 :]
        self._line = b"x" if last.strip(b".\0") else bytes(sorted(set(last)))

    @property
    def is_one(self) -> bool:
        """Is the line that has not ended one?"""
        return set(self._line) == {0, ord(".")}


def _has_bare(content: bytes) -> bool:
    pairs = content.count(b"\r\n")
    return content.count(b"\n") != pairs or content.count(b"\r") != pairs
