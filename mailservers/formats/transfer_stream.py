"""Content-transfer-encodings undone piece by piece: what `transfer` makes of the whole, for content of any length."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

from .transfer import decode_base64, decode_quoted_printable

_OTHER_OCTETS = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_RUNS = re.compile(rb"=+|[^=]+")
_LONGEST_LINE = 1024 * 1024  # of quoted-printable: a longer one is cut


def decoded(chunks: Iterable[bytes], encoding: bytes) -> Iterator[bytes]:
    """The content in pieces, none empty; an encoding that is not known leaves it as it is. Never raises."""
    if encoding == b"base64":
        chunks = _base64(chunks)
    elif encoding == b"quoted-printable":
        chunks = _quoted_printable(chunks)
    return (chunk for chunk in chunks if chunk)


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Digits are decoded four at a time. The data ends where padding fills up a group of them; any other "=" is
    passed over, as `binascii` does."""
    left, padding = b"", 0
    for chunk in chunks:
        digits = [left]
        count = len(left)
        for run in _RUNS.findall(chunk.translate(None, _OTHER_OCTETS)):
            if not run.startswith(b"="):
                digits.append(run)
                count, padding = count + len(run), 0
                continue
            padding += len(run)
            if count % 4 >= 2 and count % 4 + padding >= 4:
                yield decode_base64(b"".join(digits))
                return
        whole = b"".join(digits)
        cut = len(whole) // 4 * 4
        yield binascii.a2b_base64(whole[:cut])
        left = whole[cut:]
    yield decode_base64(left)


def _quoted_printable(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines at a time: an escape, or a soft line break, ends with its line at the latest."""
    left = b""
    for chunk in chunks:
        text = left + chunk
        cut = text.rfind(b"\n") + 1
        if not cut and len(text) > _LONGEST_LINE:
            begun = text.find(b"=", len(text) - 2)  # an escape that is not all there
            cut = len(text) if begun < 0 else begun
        left = text[cut:]
        yield decode_quoted_printable(text[:cut])
    yield decode_quoted_printable(left)


def cut(chunks: Iterable[bytes], offset: int, count: int) -> Iterator[bytes]:
    """`count` octets from `offset` on, as far as there are any."""
    for chunk in chunks:
        if offset >= len(chunk):
            offset -= len(chunk)
            continue
        piece = chunk[offset : offset + count]
        offset, count = 0, count - len(piece)
        yield piece
        if not count:
            return
