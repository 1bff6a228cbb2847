"""Octets that are too many to be in memory at once, looked at through a window.

`Windowed` has what the MIME scanner asks of `bytes`; a subclass says where the octets come from. Whatever is asked in
rising order, as scanning does, reads every octet once.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator

__all__ = ["WINDOW", "Octets", "View", "Windowed", "chunks", "search"]

WINDOW = 256 * 1024  # octets held


class Windowed(ABC):
    """A long sequence of octets. Slices are `bytes`: the caller bounds them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._start = 0  # of the window
        self._window = b""

    @abstractmethod
    def read(self, start: int, end: int) -> bytes:
        """The octets from `start` up to `end`, neither beyond the size."""

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, end, _ = part.indices(self._size)
        at = start - self._start
        if at >= 0 and end <= self._start + len(self._window):
            return self._window[at : max(end - self._start, at)]
        return self.read(start, end) if end > start else b""

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The octets of a range, one window after the other."""
        stop = self._size if end is None else min(end, self._size)
        for at in range(start, stop, WINDOW):
            yield self.read(at, min(at + WINDOW, stop))

    def windows(self, start: int, end: int, overlap: int = 0) -> Iterator[tuple[int, bytes, int, int]]:
        """(offset of the window, the window, from, to): the range in windows, each sharing `overlap` octets with the
        one before."""
        end = min(end, self._size)
        width = max(WINDOW, 2 * (overlap + 1))
        while start < end:
            if not self._start <= start <= self._start + len(self._window) - min(overlap + 1, self._size - start):
                self._start, self._window = start, self.read(start, min(start + width, self._size))
            stop = min(end, self._start + len(self._window))
            yield self._start, self._window, start - self._start, stop - self._start
            if stop == end:
                return
            start = stop - overlap

    def find(self, wanted: bytes, start: int = 0, end: int | None = None) -> int:
        last = self._size if end is None else end
        for offset, window, low, high in self.windows(max(start, 0), last, len(wanted) - 1):
            found = window.find(wanted, low, high)
            if found >= 0:
                return offset + found
        return -1

    def count(self, octet: bytes, start: int, end: int) -> int:
        """How often one octet is there."""
        return sum(window.count(octet, low, high) for _, window, low, high in self.windows(start, end))

    def startswith(self, prefix: bytes | tuple[bytes, ...], start: int = 0) -> bool:
        longest = max(map(len, prefix)) if isinstance(prefix, tuple) else len(prefix)
        return self[start : start + longest].startswith(prefix)

    def search(self, pattern: re.Pattern[bytes], start: int, longest: int) -> tuple[int, int] | None:
        """Where a pattern that matches no more than `longest` octets, and needs none around them, is first found."""
        for offset, window, low, high in self.windows(start, self._size, longest - 1):
            found = pattern.search(window, low, high)
            if found is not None:
                return offset + found.start(), offset + found.end()
        return None


class View(Windowed):
    """A range of another."""

    def __init__(self, whole: Windowed, start: int, end: int) -> None:
        super().__init__(end - start)
        self._whole = whole
        self._offset = start

    def read(self, start: int, end: int) -> bytes:
        return self._whole.read(self._offset + start, self._offset + end)


Octets = bytes | Windowed


def chunks(raw: Octets, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The octets of a range, one window after the other."""
    if isinstance(raw, Windowed):
        return raw.chunks(start, end)
    stop = len(raw) if end is None else min(end, len(raw))
    return (raw[at : min(at + WINDOW, stop)] for at in range(start, stop, WINDOW))


def search(pattern: re.Pattern[bytes], raw: Octets, start: int, longest: int) -> tuple[int, int] | None:
    """`pattern.search(raw, start)` as a span; see `Windowed.search`."""
    if isinstance(raw, Windowed):
        return raw.search(pattern, start, longest)
    found = pattern.search(raw, start)
    return found.span() if found is not None else None
