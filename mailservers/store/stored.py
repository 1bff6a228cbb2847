"""A stored message that is too large to be in memory: its octets in windows, decompressed as they are asked for.

Going on from where the last reading ended costs what is read; going back, or far ahead, costs decompressing all that
is before (about a gigabyte a second). So whoever reads it from the front, or takes one part, pays once.
"""

from __future__ import annotations

import io
from typing import BinaryIO

import zstandard
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from mailservers.formats.octets import WINDOW, Octets, Windowed
from mailservers.store.bodies import bodies
from mailservers.store.content import decompress, read_message

_COLUMNS = "m.size, d.header, d.body, d.file"


class StoredMessage(Windowed):
    """For one thread at a time. What is open stays readable when the message is removed meanwhile."""

    def __init__(self, message_id: int, size: int, header: bytes, packed: BinaryIO) -> None:
        super().__init__(size)
        self.message_id = message_id
        self._header = header
        self._packed = packed
        self._open_body()

    def _open_body(self) -> None:
        self._packed.seek(0)
        self._body = zstandard.ZstdDecompressor().stream_reader(self._packed, read_size=WINDOW, closefd=False)
        self._at = 0  # octets of the body that were read

    def read(self, start: int, end: int) -> bytes:
        """Blocks. Raises OSError, `zstandard.ZstdError`."""
        head = self._header[start:end]
        if end <= len(self._header):
            return head
        first = max(start - len(self._header), 0)
        if first < self._at:
            self._open_body()
        while self._at < first:
            self._take(min(first - self._at, WINDOW))
        return head + self._take(end - len(self._header) - first)

    def _take(self, count: int) -> bytes:
        octets = self._body.read(count)
        if len(octets) < count:
            raise OSError(f"the content of message {self.message_id} is shorter than it was")
        self._at += count
        return octets


def octets_of(message_id: int, size: int) -> Octets | None:
    """A message of that size: in memory, or to be read in windows. None when it is gone."""
    return open_stored(message_id) if size > settings.STREAM_OVER else read_message(message_id)


def open_stored(message_id: int) -> StoredMessage | None:
    """For reader threads and web views; None when the message is gone."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM mailservers_messagedata d JOIN mailservers_message m ON m.id = d.message_id"
            " WHERE d.message_id = %s",
            [message_id],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    size, header, body, name = row
    packed: BinaryIO = bodies().read(name) if name else io.BytesIO(body)  # goes with its reader
    return StoredMessage(message_id, size, decompress(header), packed)
