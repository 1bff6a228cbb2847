"""What a serving process does about reports in the background."""

from __future__ import annotations

import asyncio
import logging

from mailservers.chores import Chore, again_and_again
from mailservers.reporting.reading import read_reports
from mailservers.reporting.sending import Reporter
from mailservers.store.errors import StoreError
from mailservers.store.tallies import tallies

log = logging.getLogger(__name__)

WRITE_EVERY_S = 60.0
READ_EVERY_S = 30.0
SEND_EVERY_S = 1800.0


class Reporting:
    """`start` on the event loop, `await stop()` before the store closes."""

    def __init__(self, *, sends: bool) -> None:
        self._sends = sends
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        chores: list[tuple[Chore, float]] = [
            (tallies.write, WRITE_EVERY_S),
            (read_reports, READ_EVERY_S),
        ]
        if self._sends:
            chores.append((Reporter().send_due, SEND_EVERY_S))
        self._tasks = [
            asyncio.create_task(again_and_again(chore, every_s), name=chore.__name__) for chore, every_s in chores
        ]

    async def stop(self) -> None:
        """What was counted is written down."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await tallies.write()
        except StoreError as error:
            log.warning("the last minute's numbers for reports are lost: %s", error)
