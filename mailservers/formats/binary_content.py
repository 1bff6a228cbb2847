"""Binary MIME content (RFC 3030, RFC 3516) in a form that every protocol can carry.

IMAP's BODY cannot say NUL, and BODYSTRUCTURE must describe what BODY gives (RFC 3516 section 6): so the parts
that hold NUL are encoded in base64, and nothing else is changed.
"""

import binascii
import re

from .mime import Part, scan, walk
from .transfer import IDENTITY

_ENCODING_FIELD = re.compile(
    rb"^content-transfer-encoding[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE
)
_LINE_OCTETS = 57  # 76 characters of base64


class NotEncodable(ValueError):
    """There is a NUL where no transfer encoding applies: in a header, between the parts, in base64."""


def without_nul(raw: bytes) -> bytes:
    """The message with each part that holds NUL in base64. Raises NotEncodable."""
    if b"\0" not in raw:
        return raw
    pieces: list[bytes] = []
    end = 0
    for part in _leaves_with_nul(raw):
        if part.encoding not in IDENTITY:
            raise NotEncodable("NUL in encoded content")
        header = raw[part.header_start : part.body_start]
        pieces += (
            raw[end : part.header_start],
            b"Content-Transfer-Encoding: base64\r\n",
            _ENCODING_FIELD.sub(b"", header),
            _base64(raw[part.body_start : part.end]),
        )
        end = part.end
    encoded = b"".join([*pieces, raw[end:]])
    if b"\0" in encoded:
        raise NotEncodable("NUL outside of the parts' bodies")
    return encoded


def _leaves_with_nul(raw: bytes) -> list[Part]:
    leaves = [part for _, part in walk(scan(raw)) if not part.children]
    return [part for part in leaves if raw.find(b"\0", part.body_start, part.end) >= 0]


def _base64(content: bytes) -> bytes:
    lines = (
        binascii.b2a_base64(content[start : start + _LINE_OCTETS], newline=False)
        for start in range(0, len(content), _LINE_OCTETS)
    )
    return b"\r\n".join(lines)
