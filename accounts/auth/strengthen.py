"""Replacing the quick hashes of large imports by Argon2id, slowly, while the server runs.

One password at a time and about one a second, so that mail is never disturbed: a thousand take a quarter of an hour.
A hash that changed meanwhile (a login, a new password) is left alone (compare-and-set).
"""

from __future__ import annotations

import asyncio
import logging

from accounts.auth.hashers import ArgonOverImportHasher, ImportHasher
from accounts.models import User
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.transaction import Transaction

log = logging.getLogger(__name__)
PAUSE_S = 1.0  # between two passwords
LOOK_AGAIN_S = 60.0  # when there was nothing to do: imports come from other processes
AT_ONCE = 100  # rows read together


class Strengthening:
    """`await start()` on the event loop that serves; `await stop()` ends it at once."""

    def __init__(self, pause_s: float = PAUSE_S, look_again_s: float = LOOK_AGAIN_S) -> None:
        self._pause_s = pause_s
        self._look_again_s = look_again_s
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="strengthening passwords")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            weak: list[tuple[int, str]] = []
            try:
                weak = await store.read(weak_hashes, AT_ONCE)
                for user_id, encoded in weak:
                    await strengthen(user_id, encoded)
                    await asyncio.sleep(self._pause_s)
            except StoreError as error:
                log.warning("strengthening imported passwords waits: %s", error)
                weak = []
            except Exception:
                log.exception("strengthening imported passwords failed; trying again later")
                weak = []
            if len(weak) < AT_ONCE:
                await asyncio.sleep(self._look_again_s)


def weak_hashes(limit: int) -> list[tuple[int, str]]:
    """(user id, encoded) of passwords that still have an import's quick hash."""
    rows = User.objects.filter(password__startswith=f"{ImportHasher.algorithm}$").order_by("pk")
    return list(rows.values_list("pk", "password")[:limit])


async def strengthen(user_id: int, encoded: str) -> bool:
    """Wrap one hash; False when it changed meanwhile."""
    stronger = await asyncio.to_thread(ArgonOverImportHasher().wrap, encoded)
    return await store.call(replace_hash, user_id, encoded, stronger)


def replace_hash(tx: Transaction, user_id: int, old: str, new: str) -> bool:
    return User.objects.filter(pk=user_id, password=old).update(password=new) == 1
