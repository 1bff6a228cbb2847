"""Cuts the octets of an IMAP connection into complete commands.

The reader is pulled, not pushed: ``feed`` only keeps octets, ``next_event`` gives the next event
or None. So a command that changes how later octets are to be read (LOGIN widens the limits, IDLE
and AUTHENTICATE take bare lines, STARTTLS throws away what came too early) does so before they
are looked at, and pipelined commands wait unread. The events do not depend on how the octets were
cut into chunks.

Invariants: no more than a line limit plus what the limits allow in literals is kept for an
unfinished command; a literal's announced size is checked before its octets are kept. A message that
would make a command's literals more than ``stream_over`` is not kept: its octets are given away in
portions as they come, and whoever takes them says with ``place`` what stands for them in the
command, or with ``refuse`` that they cannot be taken. What is too big is swallowed without being
kept (RFC 7888 section 4, choice 1) up to ``swallow_octets``, and past that the connection is given
up (choice 2).

    command  = tag SP (...) CRLF
    tag      = 1*<any ASTRING-CHAR except "+">
    literal  = "{" number64 ["+"] "}" CRLF *CHAR8
    literal8 = "~{" number64 ["+"] "}" CRLF *OCTET

A bare LF is taken for CRLF.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from ..octets import Octets

_HEAD = re.compile(rb"([^\x00-\x20\x7f-\xff(){%*\"\\+]+) (?:(UID) )?([A-Za-z0-9._-]+)(?= |\Z)", re.IGNORECASE)
_TAG = re.compile(rb"([^\x00-\x20\x7f-\xff(){%*\"\\+]+)(?= |\Z)")
_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}\Z")
_LITERAL_TAIL_OCTETS = 32  # enough of an overlong line to see a literal announced at its end
_MESSAGE_AFTER = {b"APPEND": 1, b"REPLACE": 2}  # arguments before a message may come
_PORTION_OCTETS = 256 << 10
_TAG_OCTETS = 1024  # a longer tag is not echoed


@dataclass(frozen=True, slots=True)
class Limits:
    """What one command may take, in octets."""

    line_octets: int  # the text of a command, without its literals
    literal_octets: int  # one literal
    literals_octets: int  # all literals of one command
    append_octets: int  # the message literal of APPEND; 0 where APPEND has no special limit
    swallow_octets: int  # how much is read past a limit before the connection is given up
    stream_over: int = 0  # octets in literals; a message beyond them comes in portions. 0: never


BEFORE_LOGIN = Limits(8 << 10, 8 << 10, 16 << 10, 0, 4 << 20)


@lru_cache(maxsize=8)
def after_login(append_octets: int, stream_over: int = 0) -> Limits:
    """Limits for a client that has said who it is."""
    return Limits(64 << 10, 64 << 10, 256 << 10, append_octets, max(64 << 20, 4 * append_octets), stream_over)


@dataclass(frozen=True, slots=True)
class Command:
    """One complete command. ``parts`` are text, literal, text, literal, ..., text: the text after
    the name (with its leading space), with the ``{n}`` cut off but a literal8's ``~`` left. A literal
    is ``bytes``, or what was given to ``place`` for it."""

    tag: bytes
    name: str
    parts: tuple[Octets, ...]


@dataclass(frozen=True, slots=True)
class Continue:
    """The client waits for ``+`` before it sends a literal."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Octets of a literal that is not kept. After the last, ``place`` or ``refuse``; before, maybe ``refuse``."""

    octets: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """A command that was read to its end without being kept; answer it ``tag status [code] text``."""

    tag: bytes | None
    status: str
    code: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Fatal:
    """The connection cannot go on: say BYE and close."""

    code: str | None
    text: str


Event = Command | Continue | Portion | Rejected | Fatal


class CommandReader:
    """Incremental reader of one connection; see the module's text."""

    __slots__ = (
        "_buffer",
        "_dead",
        "_kept_octets",
        "_literal",
        "_literal_octets",
        "_parts",
        "_rejected",
        "_scanned",
        "_skipped",
        "_streams",
        "_text_octets",
        "_wanted",
        "limits",
    )

    def __init__(self, limits: Limits = BEFORE_LOGIN) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._dead: Fatal | None = None
        self._reset()

    def _reset(self) -> None:
        self._scanned = 0  # octets of the buffer known to hold no LF
        self._parts: list[Octets] = []
        self._literal: bytearray | None = None  # the literal being kept, or the portion
        self._streams = False  # it is a portion
        self._wanted = 0  # octets of the current literal still to come, kept or not
        self._text_octets = 0
        self._literal_octets = 0
        self._kept_octets = 0  # of these
        self._skipped = 0
        self._rejected: Rejected | None = None

    @property
    def buffered_octets(self) -> int:
        """Octets received and not yet looked at, or not yet given away."""
        return len(self._buffer) + (len(self._literal) if self._streams and self._literal is not None else 0)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Keep octets for ``next_event``; they go straight into a literal that is under way."""
        if self._dead is not None:
            return
        if self._wanted and not self._buffer:
            data = memoryview(data)[self._take(data) :]
        self._buffer += data

    def clear(self) -> None:
        """Throw away what was received (after STARTTLS: RFC 9051 section 6.2.1)."""
        self._buffer.clear()
        self._reset()

    def next_event(self) -> Event | None:
        """The next event in the octets fed so far, or None where more are needed."""
        while self._dead is None:
            if self._wanted:
                del self._buffer[: self._take(self._buffer)]
            if self._streams and self._literal and (not self._wanted or len(self._literal) >= _PORTION_OCTETS):
                return self._portion()
            if self._wanted:
                return None
            if self._literal is not None:
                self._parts.append(bytes(self._literal))
                self._literal = None
            line = self._line()
            if line is None:
                break
            event = self._text(line)
            if event is not None:
                return event
        return self._dead

    def _portion(self) -> Portion:
        octets = bytes(self._literal or b"")
        self._literal = bytearray() if self._wanted else None
        return Portion(octets, not self._wanted)

    def place(self, content: Octets) -> None:
        """After the last portion: this is the literal."""
        self._parts.append(content)
        self._streams = False

    def refuse(self, status: str, code: str | None, text: str) -> None:
        """The literal cannot be kept: it is read to its end, and so is the command."""
        self._reject(Rejected(_tag_of(self._head), status, code, text))
        self._literal, self._streams = None, False

    def next_line(self) -> bytes | Rejected | Fatal | None:
        """The next bare line (AUTHENTICATE's answers, IDLE's DONE) without its end."""
        line = self._line()
        if line is None:
            return self._dead
        rejected = self._rejected
        self._reset()
        return rejected or line

    # ------------------------------------------------------------------ octets

    def _take(self, data: bytes | bytearray | memoryview) -> int:
        """Move what the literal under way still wants; the count of octets moved."""
        count = min(self._wanted, len(data))
        self._wanted -= count
        if self._literal is not None:
            with memoryview(data) as view:
                self._literal += view[:count]
        return count

    def _line(self) -> bytes | None:
        """The next line without its end; only its last octets where it is not being kept."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._scanned)
        if end < 0:
            length, room = len(buffer), self.limits.line_octets - self._text_octets + 1  # 1: a CR
        else:
            length, room = end - buffer.endswith(b"\r", 0, end), self.limits.line_octets - self._text_octets
        if length > room and self._rejected is None:
            start = self._head if self._parts else bytes(buffer[: self.limits.line_octets])
            tag = _tag_of(start) if b" " in start else None  # whether the tag ends here must not hang on the cut
            self._reject(Rejected(tag, "BAD", None, "Command line too long"))
        if self._rejected is not None:
            return self._skip_line(end)
        if end < 0:
            self._scanned = length
            return None
        line = bytes(buffer[:length])
        del buffer[: end + 1]
        self._scanned = 0
        self._text_octets += length
        return line

    def _skip_line(self, end: int) -> bytes | None:
        """Drop a rejected command's line, or what there is of it, but for a literal's announcement."""
        length = end + 1 if end >= 0 else len(self._buffer)
        tail_start = max(0, length - _LITERAL_TAIL_OCTETS)
        tail = bytes(self._buffer[tail_start:length])
        drop = length if end >= 0 else tail_start
        if not self._swallow(drop):
            return None
        del self._buffer[:drop]
        self._scanned = len(self._buffer) if end < 0 else 0
        return tail.rstrip(b"\r\n") if end >= 0 else None

    def _swallow(self, octets: int) -> bool:
        self._skipped += octets
        if self._skipped <= self.limits.swallow_octets:
            return True
        self.clear()
        self._dead = Fatal("TOOBIG", "Too much data")
        return False

    def _reject(self, rejected: Rejected) -> None:
        self._rejected = rejected
        self._parts = []

    # -------------------------------------------------------------------- text

    @property
    def _head(self) -> bytes:
        """The text up to the first literal."""
        text = self._parts[0]
        assert isinstance(text, bytes)
        return text

    def _text(self, line: bytes) -> Event | None:
        """One line of a command: its end, or the announcement of a literal."""
        announced = _LITERAL.search(line)
        if self._rejected is None:
            self._parts.append(line[: announced.start()] if announced else line)
            if len(self._parts) == 1:
                self._check_head(line)
        if announced is None:
            return self._finish()
        size, synchronising = _size(announced[1]), not announced[2]
        if self._rejected is None:
            self._check_literal(size)
        if self._rejected is not None:
            if synchronising:
                return self._finish()
            if self._swallow(size):
                self._wanted = size
            return None
        self._literal, self._wanted = bytearray(), size
        self._literal_octets += size
        over = self.limits.stream_over
        self._streams = 0 < over < self._kept_octets + size and size > 0 and self._before_message()
        self._kept_octets += 0 if self._streams else size
        return Continue() if synchronising else None

    def _check_head(self, line: bytes) -> None:
        head = _HEAD.match(self._head)
        if head is None:
            tag = _tag_of(line)
            self._reject(Rejected(tag, "BAD", None, "Missing command" if tag else "Invalid tag"))
        elif len(head[1]) > _TAG_OCTETS:
            self._reject(Rejected(None, "BAD", None, "Tag too long"))

    def _check_literal(self, size: int) -> None:
        """Reject the command where its next literal is more than may be kept."""
        limits = self.limits
        append = limits.append_octets if self._before_message() else 0
        if append and size > append:
            self._reject(Rejected(_tag_of(self._head), "NO", "TOOBIG", "Message too large"))
        elif size > max(limits.literal_octets, append):
            self._reject(Rejected(_tag_of(self._head), "BAD", "TOOBIG", "Literal too large"))
        elif self._literal_octets + size > limits.literals_octets + append:
            status = "NO" if append else "BAD"
            self._reject(Rejected(_tag_of(self._head), status, "TOOBIG", "Too much in literals"))

    def _before_message(self) -> bool:
        """True where the literal announced is (part of) a message of APPEND or REPLACE, not a mailbox name."""
        head = _HEAD.match(self._head)
        if head is None:
            return False
        words_before = _MESSAGE_AFTER.get(head[3].upper())
        if words_before is None or (head[2] and head[3].upper() == b"APPEND"):
            return False
        return len(self._parts) > 1 or len(self._head[head.end() :].rstrip(b"~").split()) >= words_before

    def _finish(self) -> Event:
        event: Event
        if self._rejected is not None:
            event = self._rejected
        else:
            head = _HEAD.match(self._head)
            assert head is not None  # _check_head saw to it
            name = head[3].decode().upper()
            text = self._head[head.end() :]
            event = Command(head[1], f"UID {name}" if head[2] else name, (text, *self._parts[1:]))
        self._reset()
        return event


def _tag_of(line: bytes) -> bytes | None:
    match = _TAG.match(line[: _TAG_OCTETS + 1])
    return match[1] if match and len(match[1]) <= _TAG_OCTETS else None


def _size(digits: bytes) -> int:
    """A literal's size; anything past 63 bits is simply too large (and int() is not fed 4,300 digits)."""
    return int(digits) if len(digits) <= 19 else 1 << 63
