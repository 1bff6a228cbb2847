"""Values to octets: the strings and flags of responses (RFC 9051 section 9). Dates: `formats.dates`."""

import re
from collections.abc import Iterable

from .mailbox_names import encode_name

_ASTRING_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+\Z")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")
_SPECIAL = re.compile(rb'(["\\])')
_MAX_QUOTED_OCTETS = 1024  # some clients' line buffers are small: longer strings go as literals


def quoted(value: bytes) -> bytes:
    """``value``, which has no NUL, CR or LF, between double quotes."""
    return b'"' + (_SPECIAL.sub(rb"\\\1", value) if b'"' in value or b"\\" in value else value) + b'"'


def string(value: bytes) -> bytes:
    """string = quoted / literal"""
    if len(value) <= _MAX_QUOTED_OCTETS and _QUOTABLE.match(value):
        return quoted(value)
    return literal(value)


def literal(value: bytes) -> bytes:
    """``{n}`` CRLF and the octets."""
    return b"{%d}\r\n" % len(value) + value


def nstring(value: bytes | None) -> bytes:
    """nstring = string / nil"""
    return b"NIL" if value is None else string(value)


def astring(value: bytes) -> bytes:
    """astring = 1*ASTRING-CHAR / string"""
    if _ASTRING_ATOM.match(value) and value.upper() != b"NIL":
        return value
    return string(value)


def mailbox(name: str, utf8: bool) -> bytes:
    """A mailbox name: modified UTF-7, or with ``utf8`` (IMAP4rev2 enabled) UTF-8, quoted as needed."""
    raw = encode_name(name, utf8)
    if utf8 and not raw.isascii() and not re.search(rb"[\0\r\n]", raw) and len(raw) <= _MAX_QUOTED_OCTETS:
        return quoted(raw)
    return astring(raw)


def flag_list(flags: Iterable[str]) -> bytes:
    """``(\\Seen $Forwarded)``"""
    return ("(" + " ".join(flags) + ")").encode("ascii")
