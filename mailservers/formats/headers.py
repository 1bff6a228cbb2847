"""Header fields of a message or a body part (RFC 5322 section 2.2), read leniently and without copying lines.

A field is a line `name:` with its continuation lines (those that begin with a blank or tab). Lines end in LF, with or
without CR before it; a bare CR is an ordinary octet. Lines that are no fields are skipped. All functions take a header
block (without the body), consider its first MAX_HEADER_OCTETS and never raise.
"""

import re
from collections.abc import Callable, Collection, Iterator

from .encoded_words import decode_words
from .octets import Octets, View, search

__all__ = [
    "MAX_HEADER_OCTETS",
    "decode_words",
    "field_map",
    "fields_by_name",
    "first_field",
    "header_block",
    "header_end",
    "header_fields",
    "iter_fields",
    "unfold",
    "without_fields",
]

MAX_HEADER_OCTETS = 1024 * 1024

#   field = field-name *WSP ":" unstructured CRLF        (obs-optional, RFC 5322 section 4.5.8; 8-bit names: RFC 6532)
_FIELD = re.compile(rb"^([!-9;-~\x80-\xff]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?", re.MULTILINE)
_STARTS_HEADER = re.compile(rb"[!-9;-~\x80-\xff]++[ \t]*+:|[ \t]|>?From ")
_BLANK_LINE = re.compile(rb"\n\r?\n")

# Destination fields given more than once count as one list (RFC 5322 section 4.5.3); of all others the first counts.
_JOINED = frozenset({b"to", b"cc", b"bcc"})


def iter_fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name as written, raw value with its folds and leading blank, without the last line end) of every field."""
    for match in _FIELD.finditer(header, 0, MAX_HEADER_OCTETS):
        yield match[1], match[2].removesuffix(b"\r")


def fields_by_name(header: bytes) -> dict[bytes, list[bytes]]:
    """Lower-case name -> all octets of each of its fields, from the top down, as DKIM covers them. A last line end
    that is missing is added."""
    fields: dict[bytes, list[bytes]] = {}
    for match in _FIELD.finditer(header, 0, MAX_HEADER_OCTETS):
        field = match[0]
        fields.setdefault(match[1].lower(), []).append(field if field.endswith(b"\n") else field + b"\r\n")
    return fields


def without_fields(header: bytes, name: bytes, is_unwanted: Callable[[bytes], bool]) -> bytes:
    """The header, all else octet for octet, without those fields of this name whose value is unwanted."""
    kept: list[bytes] = []
    at = 0
    for match in _FIELD.finditer(header, 0, MAX_HEADER_OCTETS):
        if match[1].lower() == name and is_unwanted(match[2]):
            kept.append(header[at : match.start()])
            at = match.end()
    return b"".join([*kept, header[at:]])


def field_map(header: bytes) -> dict[bytes, bytes]:
    """Lower-case name -> raw value of its first occurrence; To, Cc and Bcc are joined over all occurrences."""
    fields: dict[bytes, bytes] = {}
    repeated: dict[bytes, list[bytes]] = {}
    for name, value in _FIELD.findall(header, 0, MAX_HEADER_OCTETS):
        key = name.lower()
        if key not in fields:
            fields[key] = value
        elif key in _JOINED:
            repeated.setdefault(key, [fields[key]]).append(value)
    for key, values in repeated.items():
        fields[key] = b",".join(values)
    return fields


def first_field(header: bytes, name: bytes) -> bytes | None:
    """Raw value of the first field of that name (any case), or None."""
    wanted = name.lower()
    return next((value for field, value in iter_fields(header) if field.lower() == wanted), None)


def unfold(value: bytes) -> bytes:
    """Remove the line folds (RFC 5322 section 2.2.3: the line end goes, the blank after it stays)."""
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.removesuffix(b"\r")


def header_end(raw: Octets, start: int = 0) -> int:
    """Offset of the body of the message that begins at `start`: past the first empty line, or len(raw).

    A message whose very first line is neither a field nor a continuation nor an mbox `From ` line has no header at
    all, so its body begins at `start`.
    """
    if starts_body(raw, start):
        return start
    for line_end in (b"\n", b"\r\n"):
        if raw.startswith(line_end, start):
            return start + len(line_end)
    return next_blank_line(raw, start)[1]


def header_block(raw: Octets) -> bytes:
    """The header with its empty line; of a monstrous one what is ever looked at. For any thread."""
    if isinstance(raw, bytes):
        return raw[: header_end(raw)]
    view = View(raw, 0, len(raw))
    return view[: min(header_end(view), MAX_HEADER_OCTETS)]


def starts_body(raw: Octets, start: int) -> bool:
    """Whether text that cannot be a header begins at `start` (an empty line can: it is an empty header)."""
    if raw[start : start + 1] in (b"\n", b"\r", b""):
        return False
    if isinstance(raw, bytes):
        return not _STARTS_HEADER.match(raw, start)
    return not _STARTS_HEADER.match(raw[start : start + MAX_HEADER_OCTETS])


def next_blank_line(raw: Octets, start: int) -> tuple[int, int]:
    """(offset of the LF before the first empty line at or after `start`, offset past it); len(raw) twice if none."""
    return search(_BLANK_LINE, raw, start, 3) or (len(raw), len(raw))


def header_fields(header: bytes, names: Collection[bytes], exclude: bool = False) -> bytes:
    """The fields named (any case), or all others when `exclude`, octet for octet, with the blank line if there is one.

    This is IMAP's HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 9051 section 6.4.5.1). A field cut off by the end of the
    message is given without a line end, as it is stored.
    """
    wanted = {name.lower() for name in names}
    chosen = [m[0] for m in _FIELD.finditer(header, 0, MAX_HEADER_OCTETS) if (m[1].lower() in wanted) is not exclude]
    for blank in (b"\n\r\n", b"\n\n"):
        if header.endswith(blank):
            return b"".join(chosen) + blank[1:]
    return b"".join(chosen) + (header if header in (b"\r\n", b"\n") else b"")
