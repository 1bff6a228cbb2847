"""What a serving process does again and again in the background; a chore that fails is tried again at its next time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mailservers.store.errors import StoreError

log = logging.getLogger(__name__)

Chore = Callable[[], Awaitable[None]]


async def again_and_again(chore: Chore, every_s: float, first_after_s: float | None = None) -> None:
    """Until cancelled. `first_after_s`: like `every_s` when left out."""
    await asyncio.sleep(every_s if first_after_s is None else first_after_s)
    while True:
        try:
            await chore()
        except StoreError as error:
            log.warning("%s has to wait: %s", chore.__name__, error)
        except Exception:
            log.warning("%s failed", chore.__name__, exc_info=True)
        await asyncio.sleep(every_s)
