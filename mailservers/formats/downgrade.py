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

from .mime import scan
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
    return b"".join(_entity(raw, scan(raw), LINES, is_root=True))


def without_8bit(raw: bytes) -> bytes:
    """The message with nothing but 7-bit text in its bodies: text becomes quoted-printable, anything else base64.
    `raw` has CRLF line ends only."""
    return b"".join(_entity(raw, scan(raw), SEVEN_BIT, is_root=True))


@dataclass(frozen=True, slots=True)
class _Host:
    """What a host takes. `encoding_for`: how a part is to be encoded, b"" when it can go as it is."""

    too_wide: tuple[bytes, ...]  # encodings that a multipart may not be labelled with
    label: bytes  # instead of them
    encoding_for: Callable[[Part, bytes], bytes]


def _encoding_for_lines(part: Part, body: bytes) -> bytes:
    is_untextly = part.encoding in (b"7bit", b"8bit") and _UNTEXTLY.search(body)
    return b"base64" if part.encoding == b"binary" or is_untextly else b""


def _encoding_for_7bit(part: Part, body: bytes) -> bytes:
    if body.isascii() or part.encoding not in (b"7bit", b"8bit", b"binary"):
        return b""
    return b"quoted-printable" if part.maintype == b"text" else b"base64"


LINES = _Host((b"binary",), b"8bit", _encoding_for_lines)
SEVEN_BIT = _Host((b"binary", b"8bit"), b"7bit", _encoding_for_7bit)


def _entity(raw: bytes, part: Part, host: _Host, *, is_root: bool = False) -> Iterator[bytes]:
    header = raw[part.header_start : part.body_start]
    body = raw[part.body_start : part.end]
    if part.children:
        yield _with_encoding(header, host.label, is_root) if part.encoding in host.too_wide else header
        at = part.body_start
        for child in part.children:
            yield raw[at : child.header_start]
            yield from _entity(raw, child, host)
            at = child.end
        yield raw[at : part.end]
    elif encoding := host.encoding_for(part, body):
        yield _with_encoding(header, encoding, is_root)
        yield _base64(body) if encoding == b"base64" else _quoted_printable(body)
    else:
        yield header
        yield body


def _with_encoding(header: bytes, encoding: bytes, is_root: bool) -> bytes:
    """New fields come first: whatever else the header holds, a line that is no field cannot become its beginning."""
    fields = _BLANK_LINE.sub(b"", _ENCODING.sub(b"", header))
    if fields and not fields.endswith(b"\n"):
        fields += b"\r\n"
    version = b"MIME-Version: 1.0\r\n" if is_root and not _VERSION.search(fields) else b""
    return b"Content-Transfer-Encoding: " + encoding + b"\r\n" + version + fields + b"\r\n"


def _quoted_printable(body: bytes) -> bytes:
    encoded = binascii.b2a_qp(body.replace(b"\r\n", b"\n"), istext=True)
    return encoded.replace(b"\n", b"\r\n")


def _base64(body: bytes) -> bytes:
    lines = (
        binascii.b2a_base64(body[at : at + _LINE_OCTETS], newline=False) for at in range(0, len(body), _LINE_OCTETS)
    )
    return b"\r\n".join(lines)
