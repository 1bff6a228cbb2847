"""Reader threads: short queries of the event loop, each thread with a connection of its own.

`concurrent.futures` makes a future with a lock for each call and chains it to the loop's own: more work on the event
loop than many of these queries are (20 µs a call, 10 here).
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

from django.db import connection

from mailservers.store.errors import StoreUnavailable


class Readers:
    """The threads start with the first call and end with `close`."""

    def __init__(self, count: int) -> None:
        self._waiting: queue.SimpleQueue[_Read | None] = queue.SimpleQueue()
        self._is_closed = False
        self._threads = [threading.Thread(target=self._run, name=f"reader_{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def read(self, query: Callable[[], Any]) -> asyncio.Future[Any]:
        """What the query returns or raises. Raises `StoreUnavailable` after `close`."""
        if self._is_closed:
            raise StoreUnavailable("the mail store is shutting down")
        read = _Read(query)
        self._waiting.put(read)
        return read.future

    def close(self) -> None:
        """Finish what waits, then end the threads."""
        self._is_closed = True
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (read := self._waiting.get()) is not None:
            if not read.future.cancelled():
                read.run()
        connection.close()


class _Read:
    __slots__ = ("_loop", "_query", "future")

    def __init__(self, query: Callable[[], Any]) -> None:
        self._query = query
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()

    def run(self) -> None:
        try:
            outcome, act = self._query(), self.future.set_result
        except BaseException as error:
            outcome, act = error, self.future.set_exception
        try:
            self._loop.call_soon_threadsafe(self._settle, act, outcome)
        except RuntimeError:  # the loop has ended: nobody waits any more
            pass

    def _settle(self, act: Callable[[Any], None], outcome: Any) -> None:
        if not self.future.done():
            act(outcome)
