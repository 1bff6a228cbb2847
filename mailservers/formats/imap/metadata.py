"""The arguments of GETMETADATA and SETMETADATA, and the METADATA response (RFC 5464 section 5).

getmetadata        = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries
setmetadata        = "SETMETADATA" SP mailbox SP entry-values
entries            = entry / "(" entry *(SP entry) ")"
entry-values       = "(" entry SP value *(SP entry SP value) ")"
getmetadata-option = "MAXSIZE" SP number / "DEPTH" SP ("0" / "1" / "infinity")

The RFC's examples have the options behind the mailbox, and entries without parentheses: both are understood.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .lexer import LITERAL, ImapSyntaxError, Lexer
from .writer import astring, literal, string

MAX_ENTRIES = 500  # in one command
MAX_ENTRY_OCTETS = 250
_ENTRY = re.compile(rb"/(?:private|shared)(?:/[^/*%\x00-\x1f\x7f-\xff]+)*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GetMetadataRequest:
    """``mailbox`` "" is the server. ``depth`` None is infinity. Entries are in lower case."""

    mailbox: str
    entries: tuple[str, ...]
    max_size: int | None = None
    depth: int | None = 0


@dataclass(frozen=True, slots=True)
class SetMetadataRequest:
    """``changes`` by entry in lower case; None removes."""

    mailbox: str
    changes: dict[str, bytes | None]


def parse_getmetadata(lexer: Lexer) -> GetMetadataRequest:
    lexer.sp()
    options: dict[str, int | None] | None = None
    if lexer.peek() == b"(":
        options = _options(lexer)
        lexer.sp()
    mailbox = lexer.mailbox()
    lexer.sp()
    if options is None and re.match(rb"\([A-Za-z]", lexer.text[lexer.pos :]):
        options = _options(lexer)
        lexer.sp()
    entries = parse_entries(lexer)
    lexer.end()
    options = options or {}
    return GetMetadataRequest(mailbox, entries, options.get("MAXSIZE"), options.get("DEPTH", 0))


def _options(lexer: Lexer) -> dict[str, int | None]:
    lexer.expect(b"(", "options")
    options: dict[str, int | None] = {}
    while not options or not lexer.skip(b")"):
        if options:
            lexer.sp()
        name = lexer.label("an option")
        lexer.sp()
        if name == "MAXSIZE":
            options[name] = lexer.number()
        elif name == "DEPTH":
            depth = lexer.label("a depth")
            if depth not in ("0", "1", "INFINITY"):
                raise ImapSyntaxError("DEPTH is 0, 1 or infinity")
            options[name] = None if depth == "INFINITY" else int(depth)
        else:
            raise ImapSyntaxError("Unknown GETMETADATA option")
    return options


def parse_entries(lexer: Lexer) -> tuple[str, ...]:
    """To the end of the command, or to the closing parenthesis. LIST's METADATA has them, too (RFC 9590)."""
    closed = lexer.skip(b"(")
    entries = [_entry(lexer)]
    while not lexer.skip(b")") if closed else not lexer.at_end:
        lexer.sp()
        entries.append(_entry(lexer))
        if len(entries) > MAX_ENTRIES:
            raise ImapSyntaxError("Too many entries")
    return tuple(dict.fromkeys(entries))


def _entry(lexer: Lexer) -> str:
    """Section 3.2: levels begin with "/", none is empty, no "*", "%", control or 8-bit octets; case is ignored."""
    name = lexer.astring("an entry")
    if len(name) > MAX_ENTRY_OCTETS or not _ENTRY.fullmatch(name):
        raise ImapSyntaxError("Invalid entry name")
    return name.decode("ascii").lower()


def parse_setmetadata(lexer: Lexer) -> SetMetadataRequest:
    lexer.sp()
    mailbox = lexer.mailbox()
    lexer.sp()
    lexer.expect(b"(", "entries and values")
    changes: dict[str, bytes | None] = {}
    while not changes or not lexer.skip(b")"):
        if changes:
            lexer.sp()
        entry = _entry(lexer)
        if entry.count("/") < 2:
            raise ImapSyntaxError("Invalid entry name")
        lexer.sp()
        changes[entry] = lexer.literal(nul_allowed=True) if lexer.peek() == LITERAL else lexer.nstring()
        if len(changes) > MAX_ENTRIES:
            raise ImapSyntaxError("Too many entries")
    lexer.end()
    return SetMetadataRequest(mailbox, changes)


def chosen_entries(names: Iterable[str], wanted: Sequence[str], depth: int | None) -> list[str]:
    """Those of ``names`` that are wanted, or lie below one that is, down to ``depth`` levels (None: all)."""
    return [name for name in names if any(_is_below(name, top, depth) for top in wanted)]


def _is_below(name: str, top: str, depth: int | None) -> bool:
    if name == top:
        return True
    if not name.startswith(top + "/"):
        return False
    return depth is None or name[len(top) :].count("/") <= depth


def values_response(mailbox: bytes, values: Iterable[tuple[str, bytes | None]]) -> bytes:
    """metadata-resp with values; ``mailbox`` as it is written."""
    pairs = b" ".join(astring(entry.encode("ascii")) + b" " + _value(value) for entry, value in values)
    return b"METADATA %b (%b)" % (mailbox, pairs)


def _value(value: bytes | None) -> bytes:
    """value = nstring / literal8"""
    if value is None:
        return b"NIL"
    return b"~" + literal(value) if b"\0" in value else string(value)


def changes_response(mailbox: bytes, entries: Iterable[str]) -> bytes:
    """metadata-resp without values: what has changed (section 4.4.2)."""
    return b"METADATA %b %b" % (mailbox, b" ".join(astring(entry.encode("ascii")) for entry in entries))
