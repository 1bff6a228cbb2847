"""The tokens of one IMAP command (RFC 9051 section 9).

A :class:`Lexer` walks the parts of a :class:`~mailservers.formats.imap.reader.Command`: text, literal,
text, ... Every method reads one token at the current place and moves past it, or raises
:class:`ImapSyntaxError`, whose text may be shown to the client.
"""

import re
from datetime import date, datetime

from ..dates import parse_internal_date
from ..octets import Octets
from .mailbox_names import decode_name
from .sequences import SequenceSet, parse_sequence_set

MAX_NUMBER = (1 << 32) - 1
MAX_NUMBER64 = (1 << 63) - 1
MAX_NESTING = 64
MAX_FLAGS = 128
MAX_FLAG_OCTETS = 255
LITERAL = b"{}"  # what peek() says before a literal: no octet is this

SYSTEM_FLAGS = {flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower().encode(): number for number, name in enumerate(MONTHS, 1)}

_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_ASTRING_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
_LIST_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){\"\\]+")
_SEQUENCE = re.compile(rb"[0-9*:,$]+")
_NUMBER = re.compile(rb"[0-9]+")
_LABEL = re.compile(rb"[A-Za-z0-9._-]+")
_QUOTED = re.compile(rb'"((?:[^\x00\r\n"\\]++|\\["\\])*+)"')
_ESCAPE = re.compile(rb"\\(.)")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_DATE_TIME = re.compile(rb'"([^"\r\n]{25,26})"')


class ImapSyntaxError(Exception):
    """The command does not follow the grammar: answer BAD. The text is fit for the client."""


class BadCharset(ImapSyntaxError):
    """SEARCH in a charset that is not known: answer NO [BADCHARSET]."""


class BadFilterCharset(BadCharset):
    """The same with a FILTER key: answer BAD [BADCHARSET] (RFC 5466 section 3.1)."""


class BadMailboxName(ImapSyntaxError):
    """Well-formed, but no mailbox can have this name: answer NO [CANNOT]."""


class Lexer:
    """Reads tokens. ``utf8``: IMAP4rev2 or UTF8=ACCEPT was enabled, so mailbox names and quoted strings are UTF-8.
    ``charset_allowed``: SEARCH may name a charset (RFC 6855 section 3: not after UTF8=ACCEPT)."""

    __slots__ = ("_index", "_parts", "charset_allowed", "pos", "text", "utf8")

    def __init__(self, parts: tuple[Octets, ...], utf8: bool = False, *, charset_allowed: bool = True) -> None:
        self._parts = parts
        self._index = 0
        self.text = self._text()
        self.pos = 0
        self.utf8 = utf8
        self.charset_allowed = charset_allowed

    def _text(self) -> bytes:
        text = self._parts[self._index]
        assert isinstance(text, bytes)  # every second part
        return text

    # --------------------------------------------------------------- characters

    def peek(self) -> bytes:
        """The next octet; LITERAL where a literal (or literal8) is next, b"" at the end."""
        following = self.text[self.pos : self.pos + 1]
        if self._index + 2 < len(self._parts) and self.text[self.pos :] in (b"", b"~"):
            return LITERAL
        return following

    def skip(self, octets: bytes) -> bool:
        """Move past ``octets`` if they are next."""
        if self.text.startswith(octets, self.pos):
            self.pos += len(octets)
            return True
        return False

    def expect(self, octets: bytes, what: str) -> None:
        if not self.skip(octets):
            raise ImapSyntaxError(f"Expected {what}")

    def sp(self) -> None:
        """SP: exactly one space."""
        self.expect(b" ", "a space")

    def end(self) -> None:
        """The command ends here. One trailing space is forgiven, as clients have sent it."""
        self.skip(b" ")
        if self.peek():
            raise ImapSyntaxError("Unexpected text after the arguments")

    @property
    def at_end(self) -> bool:
        """Nothing is left but, maybe, the trailing space that ``end`` forgives."""
        return self._index + 1 == len(self._parts) and self.text[self.pos :] in (b"", b" ")

    def match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        match = pattern.match(self.text, self.pos)
        if match is None:
            raise ImapSyntaxError(f"Expected {what}")
        self.pos = match.end()
        return match

    # ------------------------------------------------------------------ strings

    def atom(self, what: str = "an atom") -> bytes:
        return self.match(_ATOM, what)[0]

    def label(self, what: str) -> str:
        """A keyword of the grammar, upper-cased."""
        return self.match(_LABEL, what)[0].decode("ascii").upper()

    def string(self, what: str = "a string") -> bytes:
        """quoted / literal"""
        following = self.peek()
        if following == b'"':
            value: bytes = self.match(_QUOTED, "a closing quote")[1]
            if self.utf8 and not value.isascii():
                _check_utf8(value)
            return _ESCAPE.sub(rb"\1", value) if b"\\" in value else value
        if following == LITERAL:
            return self.literal(nul_allowed=False)
        raise ImapSyntaxError(f"Expected {what}")

    def at_literal8(self) -> bool:
        """Whether the literal that is next is a literal8."""
        return self.peek() == LITERAL and self.text[self.pos :] == b"~"

    def literal(self, nul_allowed: bool) -> bytes:
        """literal / literal8; NUL only where the caller can store it."""
        value = self.message_literal(nul_allowed)
        if not isinstance(value, bytes):
            raise ImapSyntaxError("Literal too large")
        return value

    def message_literal(self, nul_allowed: bool) -> Octets:
        """The same, however large.

        Deviation: NUL is not looked for in what is not in memory."""
        if self.peek() != LITERAL:
            raise ImapSyntaxError("Expected a literal")
        eight = self.text[self.pos :] == b"~"
        value = self._parts[self._index + 1]
        self._index += 2
        self.text, self.pos = self._text(), 0
        if not nul_allowed and (eight or (isinstance(value, bytes) and b"\0" in value)):
            raise ImapSyntaxError("NUL or literal8 not allowed here")
        return value

    def astring(self, what: str = "a string") -> bytes:
        """1*ASTRING-CHAR / string"""
        if self.peek() in (b'"', LITERAL):
            return self.string(what)
        return self.match(_ASTRING_ATOM, what)[0]

    def nstring(self) -> bytes | None:
        """string / NIL"""
        if self.peek() in (b'"', LITERAL):
            return self.string()
        if self.atom("a string or NIL").upper() != b"NIL":
            raise ImapSyntaxError("Expected a string or NIL")
        return None

    def text_string(self, what: str = "a string") -> str:
        """An astring that holds UTF-8 text."""
        try:
            return self.astring(what).decode("utf-8")
        except UnicodeDecodeError:
            raise ImapSyntaxError("Invalid UTF-8") from None

    def mailbox(self) -> str:
        """mailbox = "INBOX" / astring"""
        return self._name(self.astring("a mailbox name"))

    def list_mailbox(self) -> str:
        """list-mailbox = 1*list-char / string"""
        if self.peek() in (b'"', LITERAL):
            return self._name(self.string())
        return self._name(self.match(_LIST_ATOM, "a mailbox pattern")[0])

    def _name(self, raw: bytes) -> str:
        try:
            return decode_name(raw, self.utf8)
        except ValueError:
            raise BadMailboxName("Invalid mailbox name") from None

    def base64(self) -> bytes:
        """initial-resp = base64 / "=", as sent."""
        return self.match(_BASE64, "base64")[0]

    # ------------------------------------------------------------------ numbers

    def number(self, what: str = "a number", largest: int = MAX_NUMBER) -> int:
        digits = self.match(_NUMBER, what)[0]
        value = int(digits) if len(digits) <= 19 else largest + 1
        if value > largest:
            raise ImapSyntaxError("Number too large")
        return value

    def number64(self, what: str = "a number") -> int:
        return self.number(what, MAX_NUMBER64)

    def nz_number(self, what: str = "a number") -> int:
        value = self.number(what)
        if value == 0:
            raise ImapSyntaxError("Zero is not allowed here")
        return value

    def sequence_set(self) -> SequenceSet:
        result = parse_sequence_set(self.match(_SEQUENCE, "a message set")[0])
        if result is None:
            raise ImapSyntaxError("Invalid message set")
        return result

    # -------------------------------------------------------------------- dates

    def date(self) -> date:
        """date = date-text / DQUOTE date-text DQUOTE"""
        match = self.match(_DATE, "a date")
        return _date(match[2], match[3], match[4])

    def date_time(self) -> datetime:
        """date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE"""
        moment = parse_internal_date(self.match(_DATE_TIME, "a date and time")[1])
        if moment is None:
            raise ImapSyntaxError("Invalid date and time")
        return moment

    # -------------------------------------------------------------------- flags

    def flag(self) -> str:
        """flag: a system flag in its usual spelling, any other ``\\Flag``, or a keyword."""
        prefix = "\\" if self.skip(b"\\") else ""
        name = prefix + self.atom("a flag").decode("ascii")
        if len(name) > MAX_FLAG_OCTETS:
            raise ImapSyntaxError("Flag name too long")
        return SYSTEM_FLAGS.get(name.lower(), name)

    def flag_list(self) -> tuple[str, ...]:
        """flag-list = "(" [flag *(SP flag)] ")" """
        self.expect(b"(", "a list of flags")
        return () if self.skip(b")") else self.flags(closed=True)

    def flags(self, closed: bool = False) -> tuple[str, ...]:
        """flag *(SP flag), up to the closing parenthesis if ``closed``."""
        flags = [self.flag()]
        while self.skip(b" ") if not closed else not self.skip(b")"):
            if closed:
                self.sp()
            flags.append(self.flag())
            if len(flags) > MAX_FLAGS:
                raise ImapSyntaxError("Too many flags")
        return tuple(dict.fromkeys(flags))


def _check_utf8(value: bytes) -> None:
    """RFC 6855 section 3: a quoted string that is not UTF-8 is BAD."""
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        raise ImapSyntaxError("Invalid UTF-8 in a quoted string") from None


def _date(day: bytes, month: bytes, year: bytes) -> date:
    try:
        return date(int(year), _MONTH_NUMBERS[month.lower()], int(day))
    except (KeyError, ValueError):
        raise ImapSyntaxError("Invalid date") from None
