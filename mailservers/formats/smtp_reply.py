"""Replies of an SMTP server (RFC 5321 section 4.2): octets in, whole replies out, however they are cut.

Reply-line     = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP [ textstring ] ] CRLF
Reply-code     = %x32-35 %x30-35 %x30-39

Read leniently where it does no harm (LF alone ends a line, any second digit, any octet in the text), strictly where
a mistake would be believed: every line of a reply must have the same code. Nothing is raised: what is no reply, or
is too long for one, ends the reading with `ReplyReader.error`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINE_OCTETS = 4096  # RFC 5321 section 4.5.3.1.5 allows 512 with the line end; some servers write more
MAX_LINES = 128  # in one reply

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
#   status-code = class "." subject "." detail                                              (RFC 3463 section 2)
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|\Z)")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. `lines` are the texts after the codes, decoded, control characters shown as "?"."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The reply word for word, its lines with their codes and LF between them."""
        last = len(self.lines) - 1
        rows = (f"{self.code}{' ' if i == last else '-'}{line}" for i, line in enumerate(self.lines))
        return "\n".join(row.rstrip() for row in rows)

    @property
    def enhanced_status(self) -> str:
        """The RFC 3463 status code the server gave, if it is of the reply's class, or ""."""
        found = _ENHANCED.match(self.lines[0])
        return found[0] if found and found[1] == str(self.code // 100) else ""

    @property
    def is_positive(self) -> bool:
        return self.code // 100 == 2

    @property
    def is_transient(self) -> bool:
        return self.code // 100 == 4

    @property
    def is_permanent(self) -> bool:
        return self.code // 100 == 5


class ReplyReader:
    """Feed it octets as they come; it keeps at most one unfinished line and one unfinished reply."""

    def __init__(self) -> None:
        self.error = ""  # what is wrong with what came, fit for strangers; nothing is read after it
        self._buffer = bytearray()
        self._searched = 0  # octets of the buffer known to hold no line end
        self._code = b""
        self._lines: list[str] = []

    @property
    def is_between_replies(self) -> bool:
        """Nothing unfinished is waiting: what the client may rely on before TLS begins."""
        return not self._buffer and not self._lines and not self.error

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes, in order, up to an error."""
        replies: list[Reply] = []
        if self.error:
            return replies
        self._buffer += data
        start = 0
        while not self.error and (end := self._buffer.find(b"\n", max(start, self._searched))) >= 0:
            reply = self._take_line(bytes(self._buffer[start : min(end, start + MAX_LINE_OCTETS + 1)]))
            if reply is not None:
                replies.append(reply)
            start = end + 1
        del self._buffer[:start]
        self._searched = len(self._buffer)
        if len(self._buffer) > MAX_LINE_OCTETS:
            self._fail("the server sent a line that is too long")
        return replies

    def _take_line(self, line: bytes) -> Reply | None:
        found = _LINE.fullmatch(line.removesuffix(b"\r"))
        self._check(line, found)
        if found is None or self.error:
            return None
        self._code = found[1]
        self._lines.append(_decode(found[3] or b""))
        if found[2] == b"-":
            return None
        reply = Reply(int(self._code), tuple(self._lines))
        self._lines.clear()
        return reply

    def _check(self, line: bytes, found: re.Match[bytes] | None) -> None:
        if len(line) > MAX_LINE_OCTETS:
            self._fail("the server sent a line that is too long")
        elif found is None:
            self._fail("the server sent a line that is no SMTP reply")
        elif self._lines and found[1] != self._code:
            self._fail("the server changed the code within a reply")
        elif len(self._lines) == MAX_LINES:
            self._fail("the server sent a reply of too many lines")

    def _fail(self, text: str) -> None:
        self.error = text
        self._buffer.clear()
        self._lines.clear()


def _decode(text: bytes) -> str:
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        decoded = text.decode("latin-1")
    return _CONTROLS.sub("?", decoded)


def parse_extensions(reply: Reply) -> dict[str, str]:
    """What an EHLO reply offers: keyword in upper case -> its parameters (RFC 5321 section 4.1.1.1)."""
    extensions: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, parameters = line.strip().partition(" ")
        extensions.setdefault(keyword.upper(), parameters.strip())
    return extensions
