"""A large message on its way in, or out in another shape: in a file without a name, so it is never whole in memory.

`Spool` is written while the message comes (`write` blocks: call it in a thread); `content` gives `Spooled`, the
message's octets, which can get another header without being written anew. Several messages can follow one another.
The file is in the directory of the message files, has no name from the start, and goes with the last reference to
it, or with the process.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from django.conf import settings

from mailservers.formats.headers import header_block
from mailservers.formats.octets import Windowed
from mailservers.store.failures import as_store_error
from mailservers.store.room import require_room


class Spool:
    """Octets are added at the end. Raises `StoreFull`, `StoreUnavailable`."""

    def __init__(self) -> None:
        directory = Path(settings.MESSAGE_FILES_DIR)
        self.size = 0
        self.is_ascii = True
        self._start = 0  # of the message that is being written
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115  # goes with its last user
        except OSError as error:
            raise as_store_error(error) from error

    def write(self, pieces: Iterable[bytes]) -> None:
        require_room(0)
        try:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[self.file.write(view) :]
                self.size += len(piece)
                self.is_ascii = self.is_ascii and piece.isascii()
        except OSError as error:
            raise as_store_error(error) from error

    def content(self) -> Spooled:
        """All octets since the last call: what is written from here on is another message."""
        start, self._start = self._start, self.size
        return Spooled(self, b"", start, self.size)


class Spooled(Windowed):
    """`head`, and then the spool from an offset up to another."""

    def __init__(self, spool: Spool, head: bytes, offset: int, end: int) -> None:
        super().__init__(len(head) + end - offset)
        self._spool = spool
        self._head = head
        self._offset = offset
        self._end = end

    def read(self, start: int, end: int) -> bytes:
        head = self._head[start:end]
        if len(head) == end - start:
            return head
        wanted, at = end - start - len(head), max(start - len(self._head), 0) + self._offset
        pieces = [head]
        while wanted:
            piece = os.pread(self._spool.file.fileno(), wanted, at)
            if not piece:
                raise OSError("the spool file is shorter than it was")
            pieces.append(piece)
            wanted, at = wanted - len(piece), at + len(piece)
        return b"".join(pieces)

    def isascii(self) -> bool:
        """As for `bytes`; False also when another message in the same spool has other octets."""
        return self._head.isascii() and self._spool.is_ascii

    def with_head(self, head: bytes) -> Spooled:
        """The message with these octets in front."""
        return Spooled(self._spool, head + self._head, self._offset, self._end)

    def with_header(self, change: Callable[[bytes], bytes]) -> Spooled:
        """The message with another header in front of the same body."""
        header = header_block(self)
        left = self._head[len(header) :]
        offset = self._offset + len(header) + len(left) - len(self._head)
        return Spooled(self._spool, change(header) + left, offset, self._end)


def spooled(pieces: Iterable[bytes]) -> Spooled:
    """A message that is made piece by piece. Blocks; raises `StoreFull`, `StoreUnavailable`."""
    spool = Spool()
    spool.write(pieces)
    return spool.content()


Content = bytes | Spooled


def with_header(content: Content, change: Callable[[bytes], bytes]) -> Content:
    """The message after `change`, which looks at nothing but the header and may be given that alone."""
    return content.with_header(change) if isinstance(content, Spooled) else change(content)


def header_of(content: Content) -> bytes:
    """The header with its empty line."""
    return header_block(content)
