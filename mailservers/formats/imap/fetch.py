"""FETCH's arguments (RFC 9051 section 6.4.5, RFC 3501 section 6.4.5, RFC 3516, RFC 7162 section 3.1.4).

fetch     = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" /
            fetch-att / "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]
fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] /
            "BODY" ["STRUCTURE"] / "UID" / "MODSEQ" / "EMAILID" / "THREADID" / "SAVEDATE" /
            "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"] /
            "BODY" [".PEEK"] section [partial] /
            "BINARY" [".PEEK"] section-binary [partial] / "BINARY.SIZE" section-binary
"""

from collections.abc import Callable
from dataclasses import dataclass

from .lexer import MAX_NUMBER64, ImapSyntaxError, Lexer
from .partial import Partial as PartialRange
from .partial import parse_partial
from .sequences import SequenceSet
from .writer import astring

MAX_ITEMS = 256
MAX_HEADER_FIELDS = 512
MAX_PART_DEPTH = 100  # as deep as the MIME scanner goes

Partial = tuple[int, int]  # offset, count; octets


@dataclass(frozen=True, slots=True)
class Attribute:
    """A data item without arguments: FLAGS, UID, ENVELOPE, ..."""

    name: str


@dataclass(frozen=True, slots=True)
class BodySection:
    """``BODY[part.what (fields)]<partial>``. ``what`` is "" (the part itself), HEADER, HEADER.FIELDS,
    HEADER.FIELDS.NOT, TEXT or MIME; ``label`` is the item's name in the response."""

    part: tuple[int, ...]
    what: str
    fields: tuple[bytes, ...]
    partial: Partial | None
    peek: bool
    label: bytes


@dataclass(frozen=True, slots=True)
class BinarySection:
    """``BINARY[part]<partial>``: the part with its Content-Transfer-Encoding undone."""

    part: tuple[int, ...]
    partial: Partial | None
    peek: bool
    label: bytes


@dataclass(frozen=True, slots=True)
class BinarySize:
    """``BINARY.SIZE[part]``"""

    part: tuple[int, ...]
    label: bytes


FetchItem = Attribute | BodySection | BinarySection | BinarySize


@dataclass(frozen=True, slots=True)
class FetchRequest:
    messages: SequenceSet
    items: tuple[FetchItem, ...]
    changed_since: int | None = None
    vanished: bool = False
    partial: PartialRange | None = None  # RFC 9394: only these of the messages


_FAST = (Attribute("FLAGS"), Attribute("INTERNALDATE"), Attribute("RFC822.SIZE"))
_ALL = (*_FAST, Attribute("ENVELOPE"))
_MACROS: dict[str, tuple[FetchItem, ...]] = {"FAST": _FAST, "ALL": _ALL, "FULL": (*_ALL, Attribute("BODY"))}

_ATTRIBUTES = {
    name: Attribute(name)
    for name in (
        "ENVELOPE",
        "FLAGS",
        "INTERNALDATE",
        "RFC822.SIZE",
        "BODYSTRUCTURE",
        "UID",
        "MODSEQ",
        "EMAILID",
        "THREADID",
        "SAVEDATE",
        "PREVIEW",
    )
}
# RFC 3501: each is equivalent to a BODY section under another name.
_RFC822: dict[str, FetchItem] = {
    "RFC822": BodySection((), "", (), None, False, b"RFC822"),
    "RFC822.HEADER": BodySection((), "HEADER", (), None, True, b"RFC822.HEADER"),
    "RFC822.TEXT": BodySection((), "TEXT", (), None, False, b"RFC822.TEXT"),
}


def parse_fetch(lexer: Lexer) -> FetchRequest:
    """The arguments of FETCH and UID FETCH."""
    lexer.sp()
    messages = lexer.sequence_set()
    lexer.sp()
    items = _items(lexer)
    changed_since, vanished, partial = _modifiers(lexer) if lexer.peek() == b" " else (None, False, None)
    lexer.end()
    return FetchRequest(messages, items, changed_since, vanished, partial)


def _items(lexer: Lexer) -> tuple[FetchItem, ...]:
    if not lexer.skip(b"("):
        start = lexer.pos
        macro = _MACROS.get(lexer.label("a FETCH item"))
        if macro is not None:
            return macro
        lexer.pos = start
        return (_item(lexer),)
    return parse_items(lexer)


def parse_items(lexer: Lexer) -> tuple[FetchItem, ...]:
    """fetch-att *(SP fetch-att) ")", from behind the opening parenthesis."""
    items = [_item(lexer)]
    while not lexer.skip(b")"):
        lexer.sp()
        items.append(_item(lexer))
        if len(items) > MAX_ITEMS:
            raise ImapSyntaxError("Too many FETCH items")
    return tuple(dict.fromkeys(items))


def _item(lexer: Lexer) -> FetchItem:
    name = lexer.label("a FETCH item")
    if lexer.peek() == b"[" and name in _SECTIONS:
        return _SECTIONS[name](lexer)
    if name == "PREVIEW":
        _preview_modifiers(lexer)
    item = _ATTRIBUTES.get(name) or _RFC822.get(name) or (Attribute("BODY") if name == "BODY" else None)
    if item is None:
        raise ImapSyntaxError("Unknown FETCH item")
    return item


def _preview_modifiers(lexer: Lexer) -> None:
    """[SP "(" preview-mod *(SP preview-mod) ")"]: LAZY asks for nothing more, as previews are made beforehand."""
    if not lexer.skip(b" ("):
        return
    closed = False
    while not closed:
        if lexer.label("a PREVIEW modifier") != "LAZY":
            raise ImapSyntaxError("Unknown PREVIEW modifier")
        closed = lexer.skip(b")")
        if not closed:
            lexer.sp()


def parse_section(text: bytes) -> BodySection:
    """A section on its own, as in URLs: ``1.2``, ``HEADER.FIELDS (Subject)``. Raises ImapSyntaxError."""
    lexer = Lexer((b"[" + text + b"]",))
    section = _body(lexer, peek=True)
    if section.partial is not None:
        raise ImapSyntaxError("Unexpected partial")
    lexer.end()
    return section


def _body(lexer: Lexer, peek: bool) -> BodySection:
    """section = "[" [section-spec] "]" """
    lexer.expect(b"[", "a section")
    part = _part(lexer)
    what = ""
    fields: tuple[bytes, ...] = ()
    if lexer.peek() != b"]":
        what = lexer.label("a section")
        if what not in ("HEADER", "TEXT", "HEADER.FIELDS", "HEADER.FIELDS.NOT") and not (what == "MIME" and part):
            raise ImapSyntaxError("Unknown section")
        fields = _header_list(lexer) if what.startswith("HEADER.FIELDS") else ()
    elif lexer.text[lexer.pos - 1 : lexer.pos] == b".":
        raise ImapSyntaxError("Section ends with a dot")
    lexer.expect(b"]", "a closing bracket")
    partial = _partial(lexer)
    label = b"BODY[" + b".".join([*(b"%d" % number for number in part), *([what.encode()] if what else [])])
    if fields:
        label += b" (" + b" ".join(map(astring, fields)) + b")"
    return BodySection(part, what, fields, partial, peek, label + b"]" + _origin(partial))


def _binary(lexer: Lexer, peek: bool) -> BinarySection:
    part = _binary_part(lexer)
    partial = _partial(lexer)
    return BinarySection(part, partial, peek, b"BINARY" + _brackets(part) + _origin(partial))


def _binary_size(lexer: Lexer) -> BinarySize:
    part = _binary_part(lexer)
    return BinarySize(part, b"BINARY.SIZE" + _brackets(part))


_SECTIONS: dict[str, Callable[[Lexer], FetchItem]] = {
    "BODY": lambda lexer: _body(lexer, peek=False),
    "BODY.PEEK": lambda lexer: _body(lexer, peek=True),
    "BINARY": lambda lexer: _binary(lexer, peek=False),
    "BINARY.PEEK": lambda lexer: _binary(lexer, peek=True),
    "BINARY.SIZE": _binary_size,
}


def _part(lexer: Lexer) -> tuple[int, ...]:
    """section-part = nz-number *("." nz-number), with the dot before what may follow it."""
    part: list[int] = []
    while lexer.peek().isdigit():
        part.append(lexer.nz_number())
        if len(part) > MAX_PART_DEPTH:
            raise ImapSyntaxError("Part number too deep")
        if not lexer.skip(b"."):
            if lexer.peek() != b"]":
                raise ImapSyntaxError("Invalid part number")
            break
    return tuple(part)


def _binary_part(lexer: Lexer) -> tuple[int, ...]:
    lexer.expect(b"[", "a section")
    part = _part(lexer)
    if lexer.text[lexer.pos - 1 : lexer.pos] == b".":
        raise ImapSyntaxError("Section ends with a dot")
    lexer.expect(b"]", "a closing bracket")
    return part


def _header_list(lexer: Lexer) -> tuple[bytes, ...]:
    """header-list = "(" header-fld-name *(SP header-fld-name) ")" """
    lexer.sp()
    lexer.expect(b"(", "a list of header fields")
    fields = [lexer.astring("a header field name")]
    while not lexer.skip(b")"):
        lexer.sp()
        fields.append(lexer.astring("a header field name"))
        if len(fields) > MAX_HEADER_FIELDS:
            raise ImapSyntaxError("Too many header fields")
    return tuple(fields)


def _partial(lexer: Lexer) -> Partial | None:
    """partial = "<" number64 "." nz-number64 ">" """
    if not lexer.skip(b"<"):
        return None
    offset = lexer.number64()
    lexer.expect(b".", "a dot")
    count = lexer.number("a number", MAX_NUMBER64)
    lexer.expect(b">", "a closing angle bracket")
    if count == 0:
        raise ImapSyntaxError("Zero octets asked for")
    return offset, count


def _brackets(part: tuple[int, ...]) -> bytes:
    return b"[" + b".".join(b"%d" % number for number in part) + b"]"


def _origin(partial: Partial | None) -> bytes:
    return b"<%d>" % partial[0] if partial else b""


def _modifiers(lexer: Lexer) -> tuple[int | None, bool, PartialRange | None]:
    """fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")": CHANGEDSINCE n, VANISHED, PARTIAL range."""
    lexer.sp()
    lexer.expect(b"(", "FETCH modifiers")
    changed_since: int | None = None
    partial: PartialRange | None = None
    vanished = closed = False
    while not closed:
        name = lexer.label("a FETCH modifier")
        if name == "CHANGEDSINCE" and changed_since is None:
            lexer.sp()
            changed_since = lexer.number64()
        elif name == "VANISHED" and not vanished:
            vanished = True
        elif name == "PARTIAL" and partial is None:
            lexer.sp()
            partial = parse_partial(lexer)
        else:
            raise ImapSyntaxError("Unknown FETCH modifier")
        closed = lexer.skip(b")")
        if not closed:
            lexer.sp()
    if vanished and changed_since is None:
        raise ImapSyntaxError("VANISHED needs CHANGEDSINCE")
    return changed_since, vanished, partial
