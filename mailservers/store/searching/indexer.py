"""Feeding the search index in the background, out of the way of mail that is coming in.

Texts are made in a thread of their own, those of documents in processes, and written through the store thread, a few
at a time, when no new mail has come for QUIET_S seconds, or when the oldest waits longer than PATIENCE_S: then at a
fraction of the time. Searches do not depend on it: what is not indexed yet is looked through, all but the documents.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from mailservers.store.engine import read_here, store
from mailservers.store.errors import StoreError
from mailservers.store.searching import documents
from mailservers.store.searching.texts import (
    gone_texts,
    indexed_up_to,
    last_message,
    prepare_texts,
    remove_gone_texts,
    write_texts,
)

log = logging.getLogger(__name__)

QUIET_S = 2.0
PATIENCE_S = 60.0
BATCH = 16  # texts written in one operation
BATCH_OCTETS = 512 * 1024  # of messages read for one
SHARE = 0.2  # of the time, while mail keeps coming
_thread = ThreadPoolExecutor(1, "indexer")


class Indexer:
    """One per process; any number of processes may run one."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        documents.ending.clear()
        self._task = asyncio.create_task(self._run(), name="search index")

    async def stop(self) -> None:
        documents.ending.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._wait_for_work()
                await index_waiting(may_go_on=True)
                await asyncio.sleep(QUIET_S)
            except StoreError as error:
                log.warning("feeding the search index has to wait: %s", error)
                await asyncio.sleep(PATIENCE_S)
            except Exception:
                log.warning("feeding the search index failed", exc_info=True)
                await asyncio.sleep(PATIENCE_S)

    async def _wait_for_work(self) -> None:
        """Until something is to be done and nothing comes in, or for long enough."""
        since: float | None = None
        last = 0
        while True:
            top = await store.read(last_message)
            if top > await store.read(indexed_up_to) or await store.read(gone_texts):
                since = since or time.monotonic()
                if top == last or time.monotonic() - since > PATIENCE_S:
                    return
            last = top
            await asyncio.sleep(QUIET_S)


async def index_waiting(may_go_on: bool = False) -> int:
    """Index all that waits and take out what is gone; the number of texts. `may_go_on`: while new mail keeps coming,
    leave most of the time to it; otherwise (tests, commands) go as fast as it goes."""
    loop = asyncio.get_running_loop()
    count = 0
    last = await store.read(last_message)
    while True:
        began = time.monotonic()
        before = await store.read(indexed_up_to)
        texts, up_to = await loop.run_in_executor(_thread, read_here, prepare_texts, BATCH, BATCH_OCTETS)
        if texts or up_to > before:
            count += await store.call(write_texts, texts, up_to)
        elif not await store.call(remove_gone_texts, BATCH):
            return count
        if may_go_on:
            top = await store.read(last_message)
            took = time.monotonic() - began
            await asyncio.sleep(took * (1 / SHARE - 1) if top != last else 0)
            last = top
