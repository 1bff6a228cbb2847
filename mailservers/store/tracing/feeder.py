"""Feeding the summaries and counts in the background, at a fraction of the time while mail keeps coming."""

from __future__ import annotations

import asyncio
import logging
import time

from mailservers.store.engine import store
from mailservers.store.tracing.feeding import BATCH, prepare, write
from mailservers.store.tracing.opening import openings

log = logging.getLogger(__name__)

PAUSE_S = 2.0  # so far a search lags behind what happens
SHARE = 0.2  # of the time
AGAIN_AFTER_S = 30.0  # when it failed


class TraceFeeder:
    """One per process; any number of processes may run one."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="trace feeder")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await feed_waiting(share=SHARE)
                await openings.write()
                await asyncio.sleep(PAUSE_S)
            except Exception:
                log.warning("summing up delivery events failed", exc_info=True)
                await asyncio.sleep(AGAIN_AFTER_S)


async def feed_waiting(share: float = 1.0) -> int:
    """Read all events that wait; how many batches. `share`: of the time that may be taken."""
    batches = 0
    while True:
        began = time.monotonic()
        fed = await store.read(prepare, BATCH)
        if fed is None:
            return batches
        if await store.call(write, fed):
            batches += 1
        await asyncio.sleep((time.monotonic() - began) * (1 / share - 1))
