"""A message with binary content (RFC 3030, BODY=BINARYMIME) made fit for hosts that take lines only: base64.

Every part that is no lines of text (NUL, bare CR or LF, lines over 998 octets, or marked "binary") is encoded; the
others, and the structure, stay as they are. A signature over an encoded part breaks: there is no other way to send it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from .mime import scan
from .parts import Part

MAX_LINE = 998  # octets without CRLF, RFC 5322 2.1.1
_LINE_OCTETS = 57  # 76 characters of base64, RFC 2045 6.8
_ENCODING = re.compile(rb"^content-transfer-encoding[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)
_VERSION = re.compile(rb"^mime-version[ \t]*:", re.IGNORECASE | re.MULTILINE)
_UNTEXTLY = re.compile(rb"\0|\r(?!\n)|(?<!\r)\n|[^\n]{1000}")
_BLANK_LINE = re.compile(rb"\r?\n\Z")


def without_binary(raw: bytes) -> bytes:
    """The message with nothing but lines of 7-bit or 8-bit text in its bodies."""
    root = scan(raw)
    return b"".join(_entity(raw, root, is_root=True))


def _entity(raw: bytes, part: Part, *, is_root: bool = False) -> Iterator[bytes]:
    header = raw[part.header_start : part.body_start]
    body = raw[part.body_start : part.end]
    if part.children:
        yield _with_encoding(header, b"8bit", is_root) if part.encoding == b"binary" else header
        at = part.body_start
        for child in part.children:
            yield raw[at : child.header_start]
            yield from _entity(raw, child)
            at = child.end
        yield raw[at : part.end]
    elif part.encoding == b"binary" or (part.encoding in (b"7bit", b"8bit") and _UNTEXTLY.search(body)):
        yield _with_encoding(header, b"base64", is_root)
        yield _base64(body)
    else:
        yield header
        yield body


def _with_encoding(header: bytes, encoding: bytes, is_root: bool) -> bytes:
    fields = _ENCODING.sub(b"", header)
    fields = _BLANK_LINE.sub(b"", fields)
    if fields and not fields.endswith(b"\n"):
        fields += b"\r\n"
    if is_root and not _VERSION.search(fields):
        fields += b"MIME-Version: 1.0\r\n"
    return fields + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n"


def _base64(body: bytes) -> bytes:
    lines = (
        binascii.b2a_base64(body[at : at + _LINE_OCTETS], newline=False) for at in range(0, len(body), _LINE_OCTETS)
    )
    return b"\r\n".join(lines)
