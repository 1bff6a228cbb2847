"""A zip file that is written while it is sent: one piece of one entry in memory at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime

AT_LEAST = 64 * 1024  # octets that are yielded at once
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that the format can tell


class ZipStream:
    """`entry` for each file in turn, then `end`: what they yield is the zip file; no piece is empty."""

    def __init__(self) -> None:
        self._outlet = _Outlet()
        self._archive = zipfile.ZipFile(self._outlet, "w")  # type: ignore[call-overload]

    def entry(
        self, name: str, pieces: Iterable[bytes], *, is_compressed: bool = False, date: datetime | None = None
    ) -> Iterator[bytes]:
        """`name`: a relative path with "/". `is_compressed`: pack it (what is attached to mail mostly is already)."""
        moment = (date.year, date.month, date.day, date.hour, date.minute, date.second) if date else _EARLIEST
        info = zipfile.ZipInfo(name, max(moment, _EARLIEST))
        info.compress_type = zipfile.ZIP_DEFLATED if is_compressed else zipfile.ZIP_STORED
        with self._archive.open(info, "w", force_zip64=True) as entry:
            for piece in pieces:
                entry.write(piece)
                if self._outlet.waiting >= AT_LEAST:
                    yield self._outlet.take()

    def end(self) -> Iterator[bytes]:
        self._archive.close()
        yield self._outlet.take()


class _Outlet:
    """A file that cannot be sought in; `take` gives what has been written since."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.waiting = 0  # octets

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        self.waiting += len(data)
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken, self._pieces, self.waiting = b"".join(self._pieces), [], 0
        return taken
