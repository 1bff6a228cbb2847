"""A message made fit for hosts that take less: binary content (RFC 3030, BODY=BINARYMIME) for those that take lines
only, 8-bit content for those without 8BITMIME (RFC 6152 section 3).

Every part that such a host does not take is encoded; the others, and the structure, stay as they are. A signature over
an encoded part breaks: there is no other way to send it. Letters beyond ASCII in header fields stay, too.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from .headers import MAX_HEADER_OCTETS
from .mime import scan
from .octets import WINDOW, Octets, chunks
from .outgoing import whole_lines
from .parts import Part

MAX_LINE = 998  # octets without CRLF, RFC 5322 2.1.1
_LINE_OCTETS = 57  # 76 characters of base64, RFC 2045 6.8
_ENCODING = re.compile(rb"^content-transfer-encoding[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)
_VERSION = re.compile(rb"^mime-version[ \t]*:", re.IGNORECASE | re.MULTILINE)
_UNTEXTLY = re.compile(rb"\0|\r(?!\n)|(?<!\r)\n|[^\n]{1000}")
_BLANK_LINE = re.compile(rb"\r?\n\Z")


def without_binary(raw: bytes) -> bytes:
    """The message with nothing but lines of 7-bit or 8-bit text in its bodies: what is no lines of text (NUL, bare CR
    or LF, lines over 998 octets, or marked "binary") becomes base64."""
    return b"".join(line_pieces(raw))


def without_8bit(raw: bytes) -> bytes:
    """The message with nothing but 7-bit text in its bodies: text becomes quoted-printable, anything else base64.
    `raw` has CRLF line ends only."""
    return b"".join(seven_bit_pieces(raw))


def line_pieces(raw: Octets) -> Iterator[bytes]:
    """`without_binary` of a message of any length."""
    return _entity(raw, scan(raw), LINES, is_root=True)


def seven_bit_pieces(raw: Octets) -> Iterator[bytes]:
    """`without_8bit` of a message of any length."""
    return _entity(raw, scan(raw), SEVEN_BIT, is_root=True)


Body = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class _Host:
    """What a host takes. `encoding_for`: how a part is to be encoded, b"" when it can go as it is."""

    too_wide: tuple[bytes, ...]  # encodings that a multipart may not be labelled with
    label: bytes  # instead of them
    encoding_for: Callable[[Part, Body], bytes]


def _encoding_for_lines(part: Part, body: Body) -> bytes:
    is_untextly = part.encoding in (b"7bit", b"8bit") and any(map(_UNTEXTLY.search, whole_lines(body())))
    return b"base64" if part.encoding == b"binary" or is_untextly else b""


def _encoding_for_7bit(part: Part, body: Body) -> bytes:
    if part.encoding not in (b"7bit", b"8bit", b"binary") or all(map(bytes.isascii, body())):
        return b""
    return b"quoted-printable" if part.maintype == b"text" else b"base64"


LINES = _Host((b"binary",), b"8bit", _encoding_for_lines)
SEVEN_BIT = _Host((b"binary", b"8bit"), b"7bit", _encoding_for_7bit)


def _entity(raw: Octets, part: Part, host: _Host, *, is_root: bool = False) -> Iterator[bytes]:
    header = partial(chunks, raw, part.header_start, part.body_start)
    body = partial(chunks, raw, part.body_start, part.end)
    if part.children and not _is_undivided(part):
        yield from _with_encoding(header(), host.label, is_root) if part.encoding in host.too_wide else header()
        at = part.body_start
        for child in part.children:
            yield from chunks(raw, at, child.header_start)
            yield from _entity(raw, child, host)
            at = child.end
        yield from chunks(raw, at, part.end)
    elif encoding := host.encoding_for(part, body):
        yield from _with_encoding(header(), encoding, is_root)
        yield from _base64(body()) if encoding == b"base64" else _quoted_printable(body())
    else:
        yield from header()
        yield from body()


def _is_undivided(part: Part) -> bool:
    """A multipart in which no delimiter was found: there is no place for a header of what is in it."""
    return part.is_multipart and part.children[0].header_start == part.children[0].body_start == part.body_start


def _with_encoding(header: Iterator[bytes], encoding: bytes, is_root: bool) -> Iterator[bytes]:
    """New fields come first: whatever else the header holds, a line that is no field cannot become its beginning.
    Of a header that is too long to be looked at all of, the field that is there already stays below it."""
    head = b"".join(islice(header, MAX_HEADER_OCTETS // WINDOW))
    rest = next(header, b"")
    fields = head if rest else _BLANK_LINE.sub(b"", _ENCODING.sub(b"", head))
    if not rest:
        fields += b"\r\n" if fields and not fields.endswith(b"\n") else b""
        fields += b"\r\n"
    version = b"MIME-Version: 1.0\r\n" if is_root and not _VERSION.search(fields) else b""
    yield b"Content-Transfer-Encoding: " + encoding + b"\r\n" + version + fields + rest
    yield from header


def _quoted_printable(body: Iterator[bytes]) -> Iterator[bytes]:
    for lines in whole_lines(body):
        yield binascii.b2a_qp(lines.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")


def _base64(body: Iterator[bytes]) -> Iterator[bytes]:
    left, before = b"", b""
    for piece in body:
        octets = left + piece
        cut = len(octets) - (len(octets) % _LINE_OCTETS or _LINE_OCTETS)
        left = octets[cut:]
        if cut > 0:
            yield before + _base64_lines(octets[:cut])
            before = b"\r\n"
    yield before + _base64_lines(left)


def _base64_lines(octets: bytes) -> bytes:
    lines = (
        binascii.b2a_base64(octets[at : at + _LINE_OCTETS], newline=False) for at in range(0, len(octets), _LINE_OCTETS)
    )
    return b"\r\n".join(lines)
