"""The arguments of APPEND and REPLACE (RFC 3502, RFC 3516, RFC 4466, RFC 4469, RFC 6855,
RFC 8508).

append         = "APPEND" SP mailbox 1*append-message
replace        = "REPLACE" SP seq-number SP mailbox append-message
append-message = [SP flag-list] [SP date-time] SP append-data
append-data    = literal / literal8 / utf8-literal / "CATENATE" SP "(" cat-part *(SP cat-part) ")"
cat-part       = "TEXT" SP literal / "URL" SP astring / utf8-literal
utf8-literal   = "UTF8" SP "(" literal8 ")"          (RFC 6855 section 4)
"""

from dataclasses import dataclass
from datetime import datetime

from ..octets import Octets
from .lexer import LITERAL, ImapSyntaxError, Lexer
from .sequences import SequenceSet

MAX_MESSAGES = 1000
MAX_PARTS = 500


@dataclass(frozen=True, slots=True)
class Url:
    """A part of a message that is to be fetched here."""

    url: bytes


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """``parts`` come to one message when they stand one after the other. ``is_binary``: sent as literal8;
    ``is_utf8``: said to have UTF-8 header fields."""

    flags: tuple[str, ...]
    internal_date: datetime | None
    parts: tuple[Octets | Url, ...]
    is_binary: bool = False
    is_utf8: bool = False


@dataclass(frozen=True, slots=True)
class AppendRequest:
    mailbox: str
    messages: tuple[AppendMessage, ...]


@dataclass(frozen=True, slots=True)
class ReplaceRequest:
    """``message`` is a set of one."""

    message: SequenceSet
    mailbox: str
    replacement: AppendMessage


def parse_append(lexer: Lexer) -> AppendRequest:
    """The arguments of APPEND."""
    lexer.sp()
    mailbox = lexer.mailbox()
    messages = [_message(lexer)]
    while not lexer.at_end:
        if len(messages) >= MAX_MESSAGES:
            raise ImapSyntaxError("Too many messages")
        messages.append(_message(lexer))
    lexer.end()
    return AppendRequest(mailbox, tuple(messages))


def parse_replace(lexer: Lexer) -> ReplaceRequest:
    """The arguments of REPLACE and UID REPLACE."""
    lexer.sp()
    message = lexer.sequence_set()
    if len(message.ranges) != 1 or message.ranges[0][0] != message.ranges[0][1]:
        raise ImapSyntaxError("Expected one message")
    lexer.sp()
    mailbox = lexer.mailbox()
    replacement = _message(lexer)
    lexer.end()
    return ReplaceRequest(message, mailbox, replacement)


def _message(lexer: Lexer) -> AppendMessage:
    """append-message.

    Deviation: NUL is taken in a plain literal as in a literal8; such a message is kept as it came.
    """
    lexer.sp()
    flags: tuple[str, ...] = ()
    if lexer.peek() == b"(":
        flags = lexer.flag_list()
        lexer.sp()
    internal_date = None
    if lexer.peek() == b'"':
        internal_date = lexer.date_time()
        lexer.sp()
    if lexer.peek() != LITERAL:
        parts, is_utf8 = _extended(lexer)
        return AppendMessage(flags, internal_date, parts, is_utf8=is_utf8)
    is_binary = lexer.at_literal8()
    return AppendMessage(flags, internal_date, (lexer.message_literal(nul_allowed=True),), is_binary)


def _extended(lexer: Lexer) -> tuple[tuple[Octets | Url, ...], bool]:
    """The parts, and whether any was sent as utf8-literal."""
    kind = lexer.label("a message")
    if kind not in ("UTF8", "CATENATE"):
        raise ImapSyntaxError("Expected a literal or CATENATE")
    lexer.sp()
    if kind == "UTF8":
        return (_utf8_literal(lexer),), True
    lexer.expect(b"(", "message parts")
    parts = [_part(lexer)]
    while not lexer.skip(b")"):
        lexer.sp()
        parts.append(_part(lexer))
        if len(parts) > MAX_PARTS:
            raise ImapSyntaxError("Too many message parts")
    return tuple(part for part, _ in parts), any(is_utf8 for _, is_utf8 in parts)


def _part(lexer: Lexer) -> tuple[Octets | Url, bool]:
    kind = lexer.label("TEXT, URL or UTF8")
    lexer.sp()
    if kind == "TEXT":
        return lexer.message_literal(nul_allowed=False), False
    if kind == "URL":
        return Url(lexer.astring("a URL")), False
    if kind == "UTF8":
        return _utf8_literal(lexer), True
    raise ImapSyntaxError("Expected TEXT, URL or UTF8")


def _utf8_literal(lexer: Lexer) -> Octets:
    lexer.expect(b"(", "a literal8 in parentheses")
    if lexer.peek() != LITERAL or not lexer.at_literal8():
        raise ImapSyntaxError("Expected a literal8")
    octets = lexer.message_literal(nul_allowed=True)
    lexer.expect(b")", "a closing parenthesis")
    return octets
