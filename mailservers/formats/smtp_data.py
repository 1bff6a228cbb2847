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
    """The data's end was seen. `content` is None when the message was over the limit."""

    content: bytes | None
    rest: bytes  # what came after the end: pipelined commands
    has_bare_line_end: bool = False


class DataReader:
    """Feed it octets until it returns `Received`. Memory is bounded by `limit` (octets) and one chunk."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self._tail = b"\r\n"  # so that "." CRLF at the very start is an end, too
        self.swallowed = 0  # octets thrown away because the message is over the limit

    def feed(self, data: bytes) -> Received | None:
        window = self._tail + data
        at = window.find(_END)
        if at < 0:
            self._tail = window[-4:]
            self._keep(data)
            return None
        end = at + len(_END)
        used = end - len(self._tail)  # octets of `data` up to the end
        rest = data[used:]
        if self._over(used):
            return Received(None, rest)
        self._chunks.append(data[:used])
        raw = b"".join(self._chunks)
        content = raw[:-3]  # without the "." CRLF
        bare = has_unsafe_line_end(content)
        if b"\r\n." in content or content.startswith(b"."):
            content = _unstuff(content)
        return Received(content, rest, bare)

    def _over(self, more: int) -> bool:
        return self.swallowed > 0 or self._size + more > self._limit + 3

    def _keep(self, data: bytes) -> None:
        if self._over(len(data)):
            self.swallowed += len(data)
            self._chunks.clear()
        else:
            self._chunks.append(data)
            self._size += len(data)


def has_unsafe_line_end(content: bytes) -> bool:
    """Is there a CR or LF that is not of a CRLF, or a line of dots and NULs, where a careless host may end the data?"""
    pairs = content.count(b"\r\n")
    if content.count(b"\n") != pairs or content.count(b"\r") != pairs:
        return True
    return b"\0" in content and _NUL_DOTS.search(content) is not None


def _unstuff(content: bytes) -> bytes:
    if content.startswith(b"."):
        content = content[1:]
    return content.replace(b"\r\n.", b"\r\n")
