"""What FETCH and CATENATE take of large messages, in windows: no message is whole in memory.

A client that takes 25 MB in pieces of 64 KiB (Thunderbird does) comes back for the next piece: so the last messages
stay open, each where its last reading ended. Messages never change, so what is open is never stale.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mailservers.formats import mime
from mailservers.formats.envelope import bodystructure
from mailservers.formats.headers import MAX_HEADER_OCTETS
from mailservers.formats.imap.fetch import Attribute, BinarySection, BinarySize, BodySection, FetchItem, Partial
from mailservers.formats.imap.writer import literal
from mailservers.formats.octets import Windowed
from mailservers.formats.sections import section_span
from mailservers.formats.transfer_stream import cut, decoded
from mailservers.store.stored import StoredMessage, open_stored

LARGE_OCTETS = 256 << 10  # of a message that is taken in pieces; smaller ones are read anew for each
KEPT_OPEN = 6  # messages; each costs a window of up to 2.5 MB

Open = Callable[[], Iterator[bytes]]


class OpenMessages:
    """Messages that are open and in nobody's hands, the most recently used last."""

    def __init__(self) -> None:
        self._idle: list[StoredMessage] = []
        self._lock = threading.Lock()

    def take(self, message_id: int) -> StoredMessage | None:
        """In a reader thread; None where the message is gone and not open. Give it back."""
        with self._lock:
            for n, message in enumerate(self._idle):
                if message.message_id == message_id:
                    return self._idle.pop(n)
        return open_stored(message_id)

    def give_back(self, message: StoredMessage) -> None:
        with self._lock:
            self._idle.append(message)
            del self._idle[:-KEPT_OPEN]


open_messages = OpenMessages()


@dataclass(frozen=True, slots=True)
class Streamed:
    """An item whose octets are read as they are sent: `announcement` is all before them."""

    announcement: bytes
    open: Open


def large_items(items: Sequence[FetchItem], raw: Windowed, parts: bytes) -> list[bytes | Streamed | None]:
    """The items of one message; None for one that cannot be decoded. Blocks while a body is decoded to be counted."""
    root = mime.load_parts(parts)
    return [_item(item, raw, root) for item in items]


def _item(item: FetchItem, raw: Windowed, root: mime.Part) -> bytes | Streamed | None:
    if isinstance(item, Attribute):
        return b"BODY " + bodystructure(raw, root, False)
    if isinstance(item, BodySection):
        return _section(item, raw, root)
    part = mime.find_part(root, item.part)
    if part is None:
        return item.label + (b" 0" if isinstance(item, BinarySize) else b" NIL")
    if item.part and not mime.has_valid_encoding(part):
        return None
    return _binary(item, raw, part)


def _section(item: BodySection, raw: Windowed, root: mime.Part) -> bytes | Streamed:
    span = section_span(root, item.part, "HEADER" if item.what.startswith("HEADER") else item.what)
    if span is None:
        return item.label + b" NIL"
    start, end = span[0], len(raw) if span[1] is None else span[1]
    if item.fields:
        header = raw[start : min(end, start + MAX_HEADER_OCTETS)]
        fields = mime.header_fields(header, item.fields, item.what.endswith(".NOT"))
        return item.label + b" " + literal(_cut(fields, item.partial))
    if item.partial is not None:
        start = min(start + item.partial[0], end)
        end = min(start + item.partial[1], end)
    return Streamed(item.label + b" {%d}\r\n" % (end - start), lambda: raw.chunks(start, end))


def _cut(octets: bytes, partial: Partial | None) -> bytes:
    return octets if partial is None else octets[partial[0] : partial[0] + partial[1]]


def _binary(item: BinarySection | BinarySize, raw: Windowed, part: mime.Part) -> bytes | Streamed:
    """Decoded to be counted, and once more to be sent."""
    partial = item.partial if isinstance(item, BinarySection) else None

    def read() -> Iterator[bytes]:
        octets = decoded(raw.chunks(part.body_start, part.end), part.encoding) if item.part else raw.chunks()
        return octets if partial is None else cut(octets, *partial)

    count, has_nul = 0, False
    for chunk in read():
        count += len(chunk)
        has_nul = has_nul or b"\0" in chunk
    if isinstance(item, BinarySize):
        return item.label + b" %d" % count
    return Streamed(item.label + (b" ~{%d}\r\n" if has_nul else b" {%d}\r\n") % count, read)
