"""A progress line on standard error, for people: nothing where it is not a terminal."""

from __future__ import annotations

import sys
import time

WIDTH = 30
EVERY_S = 0.1


class ProgressLine:
    """`line(done, total)` as often as you like; `line.end()` before anything else is written."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._is_shown = sys.stderr.isatty()
        self._next = 0.0
        self._started = time.monotonic()
        self._length = 0

    def __call__(self, done: int, total: int = 0) -> None:
        now = time.monotonic()
        if not self._is_shown or (now < self._next and done != total):
            return
        self._next = now + EVERY_S
        if total:
            filled = WIDTH * min(done, total) // total
            text = f"{self.label} [{'#' * filled}{'.' * (WIDTH - filled)}] {done:,}/{total:,}"
        else:
            text = f"{self.label} {done:,}"
        rate = done / max(now - self._started, 0.001)
        text += f"  {rate:,.0f}/s"
        sys.stderr.write("\r" + text.ljust(self._length))
        sys.stderr.flush()
        self._length = len(text)

    def end(self) -> None:
        if self._length:
            sys.stderr.write("\r" + " " * self._length + "\r")
            sys.stderr.flush()
            self._length = 0
