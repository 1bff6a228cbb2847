"""The arguments of APPEND and REPLACE (RFC 3502, RFC 3516, RFC 4466, RFC 4469, RFC 8508).

append         = "APPEND" SP mailbox 1*append-message
replace        = "REPLACE" SP seq-number SP mailbox append-message
append-message = [SP flag-list] [SP date-time] SP append-data
append-data    = literal / literal8 / "CATENATE" SP "(" cat-part *(SP cat-part) ")"
cat-part       = "TEXT" SP literal / "URL" SP astring
"""

from dataclasses import dataclass
from datetime import datetime

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
    """``parts`` come to one message when they stand one after the other. ``is_binary``: sent as literal8."""

    flags: tuple[str, ...]
    internal_date: datetime | None
    parts: tuple[bytes | Url, ...]
    is_binary: bool = False


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
        return AppendMessage(flags, internal_date, _catenated(lexer))
    is_binary = lexer.at_literal8()
    return AppendMessage(flags, internal_date, (lexer.literal(nul_allowed=True),), is_binary)


def _catenated(lexer: Lexer) -> tuple[bytes | Url, ...]:
    if lexer.label("a message") != "CATENATE":
        raise ImapSyntaxError("Expected a literal or CATENATE")
    lexer.sp()
    lexer.expect(b"(", "message parts")
    parts = [_part(lexer)]
    while not lexer.skip(b")"):
        lexer.sp()
        parts.append(_part(lexer))
        if len(parts) > MAX_PARTS:
            raise ImapSyntaxError("Too many message parts")
    return tuple(parts)


def _part(lexer: Lexer) -> bytes | Url:
    kind = lexer.label("TEXT or URL")
    lexer.sp()
    if kind == "TEXT":
        return lexer.literal(nul_allowed=False)
    if kind == "URL":
        return Url(lexer.astring("a URL"))
    raise ImapSyntaxError("Expected TEXT or URL")
