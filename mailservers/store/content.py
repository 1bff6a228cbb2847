"""A message's octets on their way into the store and back out.

`prepare` does all that costs CPU (scanning, hashing, compression) and is called outside the store thread: at once
for small messages, in a thread for large ones (`prepare_async`). Bodies over STORE_INLINE_LIMIT compressed octets
are written durably to the storage "messages" (see `bodies`) before the transaction that names them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import zstandard
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from mailservers.formats.octets import Octets, Windowed
from mailservers.formats.summary import Summary, summarise
from mailservers.models import MessageData
from mailservers.store.bodies import read_body, write_body
from mailservers.store.errors import ContentDamaged
from mailservers.store.room import require_room

log = logging.getLogger(__name__)

COMPRESSION_LEVEL = 3
LARGE_COMPRESSION_LEVEL = 1  # of what is large: mostly base64, where a higher one finds no more
READ_AT_ONCE = 500  # rows; the caller bounds their octets
IN_THREAD_OVER = 64 * 1024  # octets: smaller messages cost less than the hop to a thread
_local = threading.local()


@dataclass(slots=True)
class NewMessage:
    """A message ready to be stored. `body` is empty when it lies in `file`."""

    summary: Summary
    header: bytes
    body: bytes
    file: str = ""


def prepare(raw: Octets) -> NewMessage:
    """Scan, hash and compress; writes the file of a large body. Raises `StoreUnavailable` when the disk refuses."""
    require_room(len(raw))
    if isinstance(raw, Windowed):
        return _prepare_large(raw)
    summary = summarise(raw)
    header = _compressor().compress(raw[: summary.header_size])
    compressor = _local.large_compressor if len(raw) > IN_THREAD_OVER else _local.compressor
    body = compressor.compress(memoryview(raw)[summary.header_size :])
    if len(body) <= settings.STORE_INLINE_LIMIT:
        return NewMessage(summary, header, body)
    return NewMessage(summary, header, b"", write_body(summary.sha256, [body]))


def _prepare_large(raw: Windowed) -> NewMessage:
    """The same, a window at a time: the octets are read three times, to be hashed, scanned and compressed."""
    digest = hashlib.sha256()
    for chunk in raw.chunks():
        digest.update(chunk)
    summary = summarise(raw, digest.digest())
    header = _compressor().compress(raw[: summary.header_size])
    return NewMessage(summary, header, b"", write_body(summary.sha256, _compressed(raw, summary.header_size)))


def _compressed(raw: Windowed, start: int) -> Iterator[bytes]:
    packer = zstandard.ZstdCompressor(level=LARGE_COMPRESSION_LEVEL).compressobj(size=len(raw) - start)
    for chunk in raw.chunks(start):
        yield packer.compress(chunk)
    yield packer.flush()


async def prepare_async(raw: Octets) -> NewMessage:
    """`prepare`, off the event loop when it would hold it up."""
    if len(raw) <= IN_THREAD_OVER:
        return prepare(raw)
    return await asyncio.to_thread(prepare, raw)


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
        _local.large_compressor = zstandard.ZstdCompressor(level=LARGE_COMPRESSION_LEVEL)
        _local.decompressor = zstandard.ZstdDecompressor()
    return _local.compressor


def _decompress(data: bytes | memoryview) -> bytes:
    _compressor()
    return _local.decompressor.decompress(data)


def compress(data: bytes) -> bytes:
    return _compressor().compress(data)


def decompress(data: bytes | memoryview) -> bytes:
    return _decompress(bytes(data))


# ---------------------------------------------------------------- reading


@contextlib.contextmanager
def reading_content() -> Iterator[None]:
    """What is read inside must be there and whole, else `ContentDamaged`."""
    try:
        yield
    except (FileNotFoundError, zstandard.ZstdError) as error:
        log.error("the content of a message is damaged: run manage.py check --deep", exc_info=error)
        raise ContentDamaged("the content of a message is damaged; the administrator can restore it") from error


def read_message(message_id: int) -> bytes | None:
    """All octets of a message; None when it is gone. For reader threads and web views."""
    return next((raw for _, raw in read_messages([message_id])), None)


def read_header(message_id: int) -> bytes | None:
    """The header with its empty line; the body is not read."""
    row = MessageData.objects.filter(pk=message_id).values_list("header", flat=True).first()
    return None if row is None else _decompress(row)


def read_headers(message_ids: list[int]) -> dict[int, bytes]:
    """Headers by message id; those gone are missing."""
    return {pk: _decompress(header) for pk, header in _rows("message_id, header", message_ids)}


def read_messages(message_ids: list[int]) -> Iterator[tuple[int, bytes]]:
    """Pairs (message id, octets); those gone are missing."""
    return ((pk, header + body) for pk, header, body in read_halves(message_ids))


def read_halves(message_ids: list[int]) -> Iterator[tuple[int, bytes, bytes]]:
    """(message id, header with its empty line, body), apart as they are stored; those gone are missing."""
    for pk, header, body, name in _rows("message_id, header, body, file", message_ids):
        yield pk, _decompress(header), _decompress(read_body(name) if name else body)


def _rows(columns: str, message_ids: list[int]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(message_ids), READ_AT_ONCE):
        some = message_ids[start : start + READ_AT_ONCE]
        marks = ", ".join(["%s"] * len(some))
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM mailservers_messagedata WHERE message_id IN ({marks})", some)
            yield from cursor.fetchall()
