"""POP3 grammar (RFC 1939, 2449, 5034): command lines in, keywords and arguments out; messages as they are sent.

Raises one error, `Pop3SyntaxError`, whose text may be sent to the client. The lines that come out of `LineReader`
are the same however the octets were cut into pieces.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .octets import Octets, chunks

MAX_COMMAND = 255  # octets with the line end (RFC 2449 section 4)
MAX_CREDENTIAL = 512  # the same for USER and PASS: a login of ours may have 320 octets
_BARE_LF = re.compile(rb"(?<!\r)\n")
MAX_LINE = 4096  # the same for AUTH and its responses: PLAIN with the longest login and password in base64


class Pop3SyntaxError(Exception):
    """The line does not follow the grammar."""


# ---------------------------------------------------------------- lines


class LineReader:
    """Feed it octets; `next_line` gives complete lines. Holds MAX_LINE octets of an incomplete one at most.

    Only LF ends a line, and one CR before it belongs to the line end: a client that sends bare LF is understood.
    """

    __slots__ = ("_buffer", "_position", "_skipping")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0  # of the first octet not yet given out
        self._skipping = False  # within a line that was reported as too long

    @property
    def buffered_octets(self) -> int:
        return len(self._buffer) - self._position

    def feed(self, data: bytes) -> None:
        del self._buffer[: self._position]  # here, or a client that never lets it run empty would make it grow
        self._position = 0
        self._buffer += data

    def clear(self) -> None:
        """Forget everything, for STLS: what came in before TLS must not count after it (RFC 2595 section 4)."""
        self._buffer.clear()
        self._position = 0
        self._skipping = False

    def next_line(self) -> bytes | None:
        """The next line without its end; None when there is none yet.

        Raises `Pop3SyntaxError` once for a line over MAX_LINE octets, which is then passed over."""
        while True:
            end = self._buffer.find(b"\n", self._position)
            if end < 0:
                self._bound_incomplete()
                return None
            start, self._position = self._position, end + 1
            if self._skipping:
                self._skipping = False
                continue
            if end + 1 - start > MAX_LINE:
                raise Pop3SyntaxError("Line too long")
            if end > start and self._buffer[end - 1] == 13:
                end -= 1
            return bytes(self._buffer[start:end])

    def _bound_incomplete(self) -> None:
        if self._skipping or self.buffered_octets >= MAX_LINE:
            was_reported, self._skipping = self._skipping, True
            self._buffer.clear()
            self._position = 0
            if not was_reported:
                raise Pop3SyntaxError("Line too long")


# ---------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Command:
    """A keyword in upper case and all that follows the space after it; `has_argument` tells "PASS" from "PASS "."""

    keyword: str
    argument: bytes
    has_argument: bool
    size_octets: int  # with the line end


def parse_command(line: bytes) -> Command:
    """RFC 2449 section 3::

        command =  keyword *(SP param) CRLF    ;255 octets maximum
        keyword =  3*4VCHAR

    The arguments are left to the parsers below, since PASS takes its own with all spaces (RFC 1939 section 7)."""
    if b"\0" in line or b"\r" in line:
        raise Pop3SyntaxError("Control characters are not allowed")
    keyword, space, argument = line.partition(b" ")
    if not keyword:
        raise Pop3SyntaxError("Empty command")
    if not keyword.isalnum() or len(keyword) > 4:
        raise Pop3SyntaxError("Unknown command")
    return Command(keyword.decode("ascii").upper(), argument, bool(space), len(line) + 2)


def no_argument(command: Command) -> None:
    _within(command, MAX_COMMAND)
    if command.argument.strip():
        raise Pop3SyntaxError(f"{command.keyword} takes no argument")


def message_number(command: Command) -> int:
    """One number; whether there is such a message, the maildrop knows."""
    number = optional_message_number(command)
    if number is None:
        raise Pop3SyntaxError("A message number is needed")
    return number


def optional_message_number(command: Command) -> int | None:
    _within(command, MAX_COMMAND)
    words = command.argument.split()
    if len(words) > 1:
        raise Pop3SyntaxError("Too many arguments")
    return _number(words[0]) if words else None


def number_and_lines(command: Command) -> tuple[int, int]:
    """TOP: a message number and how many lines of the body."""
    _within(command, MAX_COMMAND)
    words = command.argument.split()
    if len(words) != 2:
        raise Pop3SyntaxError("A message number and a number of lines are needed")
    return _number(words[0]), _number(words[1])


def login_name(command: Command) -> str:
    """USER: the rest of the line."""
    _within(command, MAX_CREDENTIAL)
    name = _text(command.argument).strip()
    if not name:
        raise Pop3SyntaxError("A login is needed")
    return name


def password(command: Command) -> str:
    """PASS: the rest of the line, spaces and all (RFC 1939 section 7)."""
    _within(command, MAX_CREDENTIAL)
    if not command.has_argument:
        raise Pop3SyntaxError("A password is needed")
    return _text(command.argument)


def language_range(command: Command) -> str:
    """LANG: a basic language range (RFC 4647 2.1) in lower case, or ""."""
    _within(command, MAX_COMMAND)
    words = command.argument.split()
    if len(words) > 1 or not command.argument.isascii():
        raise Pop3SyntaxError("One language at most")
    return words[0].decode("ascii").lower() if words else ""


@dataclass(frozen=True, slots=True)
class SaslRequest:
    """AUTH: the mechanism in upper case; the initial response decoded, None when there is none."""

    mechanism: str
    initial: bytes | None


def sasl_request(command: Command) -> SaslRequest:
    """RFC 5034 section 4: `AUTH mechanism [initial-response]`, where "=" is an empty response.

    Longer than 255 octets is taken, too: clients send long initial responses although they should not."""
    words = command.argument.split()
    if not 1 <= len(words) <= 2 or not words[0].isascii():
        raise Pop3SyntaxError("A SASL mechanism is needed")
    if len(words) == 1:
        return SaslRequest(words[0].decode("ascii").upper(), None)
    return SaslRequest(words[0].decode("ascii").upper(), b"" if words[1] == b"=" else sasl_response(words[1]))


def sasl_response(line: bytes) -> bytes:
    """A client's answer in base64. A lone "*" cancels (RFC 5034 section 4)."""
    if line == b"*":
        raise Pop3SyntaxError("Authentication cancelled")
    try:
        return binascii.a2b_base64(line, strict_mode=True) if line else b""
    except binascii.Error:
        raise Pop3SyntaxError("Invalid base64") from None


def _within(command: Command, limit: int) -> None:
    if command.size_octets > limit:
        raise Pop3SyntaxError("Line too long")


def _number(word: bytes) -> int:
    if not word.isdigit():
        raise Pop3SyntaxError("Invalid number")
    return int(word)


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise Pop3SyntaxError("Not valid UTF-8") from None


# ---------------------------------------------------------------- messages


def to_wire(raw: bytes) -> bytes:
    """A message as the lines of a multi-line response (RFC 1939 section 3): each ends in CRLF, those that begin
    with "." are byte-stuffed. The line with the termination octet is not part of it.

    A bare LF becomes CRLF, or a client that takes LF for a line end would find the end of the response within a
    message. A bare CR is no line end anywhere and stays. A last line without an end gets one."""
    if not _is_crlf(raw):
        raw = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if raw and not raw.endswith(b"\n"):
        raw += b"\r\n"
    if b"\n." in raw:
        raw = raw.replace(b"\n.", b"\n..")
    return b"." + raw if raw.startswith(b".") else raw


class WireLines:
    """`to_wire` of a message that comes in pieces: `feed` them, then `end`."""

    def __init__(self) -> None:
        self._before = b"\r\n"  # stands for what the last piece ended in; these at first, for a dot at the beginning

    def feed(self, piece: bytes) -> bytes:
        if not piece:
            return b""
        before, text = len(self._before), self._before + piece
        if not _is_crlf(text):
            text = _BARE_LF.sub(b"\r\n", text)
        self._before = {b"\n": b"\r\n", b"\r": b"\r"}.get(piece[-1:], b"x")
        return text.replace(b"\n.", b"\n..")[before:]

    def end(self) -> bytes:
        """A last line without an end gets one."""
        return b"" if self._before == b"\r\n" else b"\r\n"


def wire_size(raw: Octets) -> int:
    """Octets of `to_wire` without byte-stuffing: what LIST and STAT tell (RFC 1939 section 11)."""
    bare, last = 0, b""
    for chunk in chunks(raw):
        bare += chunk.count(b"\n") - chunk.count(b"\r\n") - (last == b"\r" and chunk.startswith(b"\n"))
        last = chunk[-1:]
    return len(raw) + bare + (2 if raw and last != b"\n" else 0)


def first_lines(body: Iterable[bytes], lines: int) -> Iterator[bytes]:
    """So many lines of a body that comes in pieces, or all."""
    for piece in body:
        count = piece.count(b"\n")
        if count >= lines:
            yield cut_body(piece, 0, lines)
            return
        lines -= count
        yield piece


def cut_body(raw: bytes, header_size: int, lines: int) -> bytes:
    """What TOP sends: the header with its empty line (`header_size` octets) and the first lines of the body."""
    end = header_size
    while lines > 0 and (found := raw.find(b"\n", end)) >= 0:
        end = found + 1
        lines -= 1
    return raw if lines > 0 else raw[:end]


def _is_crlf(raw: bytes) -> bool:
    return raw.count(b"\n") == raw.count(b"\r\n")
