"""Binary MIME content (RFC 3030, RFC 3516) in a form that every protocol can carry.

IMAP's BODY cannot say NUL, and BODYSTRUCTURE must describe what BODY gives (RFC 3516 section 6): so the parts
that hold NUL are encoded in base64, and nothing else is changed.
"""

import binascii
import re
from collections.abc import Iterator

from .headers import MAX_HEADER_OCTETS
from .mime import Part, scan, walk
from .octets import WINDOW, Octets
from .transfer import IDENTITY

_ENCODING_FIELD = re.compile(
    rb"^content-transfer-encoding[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE
)
_LINE_OCTETS = 57  # 76 characters of base64


class NotEncodable(ValueError):
    """There is a NUL where no transfer encoding applies: in a header, between the parts, in base64."""


def without_nul(raw: Octets) -> Iterator[bytes]:
    """The message, in pieces, with each part that holds NUL in base64. Raises NotEncodable."""
    end = 0
    for part in _leaves_with_nul(raw):
        if part.encoding not in IDENTITY:
            raise NotEncodable("NUL in encoded content")
        header = raw[part.header_start : min(part.body_start, part.header_start + MAX_HEADER_OCTETS)]
        yield from _as_it_is(raw, end, part.header_start)
        yield b"Content-Transfer-Encoding: base64\r\n"
        yield _without_nul_in(_ENCODING_FIELD.sub(b"", header))
        yield from _as_it_is(raw, part.header_start + len(header), part.body_start)
        yield from _base64(raw, part.body_start, part.end)
        end = part.end
    yield from _as_it_is(raw, end, len(raw))


def _as_it_is(raw: Octets, start: int, end: int) -> Iterator[bytes]:
    return (_without_nul_in(raw[at : min(at + WINDOW, end)]) for at in range(start, end, WINDOW))


def _without_nul_in(octets: bytes) -> bytes:
    if b"\0" in octets:
        raise NotEncodable("NUL outside of the parts' bodies")
    return octets


def _leaves_with_nul(raw: Octets) -> list[Part]:
    leaves = [part for _, part in walk(scan(raw)) if not part.children]
    return [part for part in leaves if raw.find(b"\0", part.body_start, part.end) >= 0]


def _base64(raw: Octets, start: int, end: int) -> Iterator[bytes]:
    """Lines of 76 characters, some thousand at once; no line end after the last."""
    at_once = _LINE_OCTETS * 4096
    for at in range(start, end, at_once):
        content = raw[at : min(at + at_once, end)]
        lines = (
            binascii.b2a_base64(content[n : n + _LINE_OCTETS], newline=False)
            for n in range(0, len(content), _LINE_OCTETS)
        )
        yield (b"\r\n" if at > start else b"") + b"\r\n".join(lines)
