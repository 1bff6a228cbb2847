"""The file in a report's mail: gzip, zip or as it is, opened within bounds."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import MessageError

from . import InvalidReport

MAX_OPENED = 32 * 1024 * 1024  # octets of the file, opened
MAX_PARTS = 50
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_BLOCK = 64 * 1024


def attached(message: bytes) -> Iterator[bytes]:
    """The decoded contents of a message's parts that are no containers, the first MAX_PARTS."""
    try:
        parts = [part for part in message_from_bytes(message).walk() if not part.is_multipart()][:MAX_PARTS]
        for part in parts:
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                yield content
    except (MessageError, ValueError, LookupError, RecursionError):
        return


def opened(content: bytes) -> bytes:
    """Raises `InvalidReport`."""
    if content.startswith(_GZIP):
        return _inflated(content)
    if content.startswith(_ZIP):
        return _first_member(content)
    return content


def _inflated(content: bytes) -> bytes:
    engine = zlib.decompressobj(wbits=31)
    try:
        data = engine.decompress(content, MAX_OPENED + 1)
    except zlib.error as error:
        raise InvalidReport("the gzip file is damaged") from error
    if len(data) > MAX_OPENED:
        raise InvalidReport("the file is too large when opened")
    if not engine.eof:
        raise InvalidReport("the gzip file is cut off")
    return data


def _first_member(content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(archive.infolist()[0]) as member:
            data = member.read(MAX_OPENED + 1)
    except (
        zipfile.BadZipFile,
        IndexError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        zlib.error,
    ) as e:
        raise InvalidReport("the zip file is damaged") from e
    if len(data) > MAX_OPENED:
        raise InvalidReport("the file is too large when opened")
    return data
