"""What a serving process tidies up in the background, in small steps between the mail."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from asgiref.sync import sync_to_async
from django.conf import settings
from django.utils import timezone

from accounts.services.removal import due_removals, finish_removal
from mailservers.chores import again_and_again
from mailservers.store.bodies import are_bodies_held
from mailservers.store.engine import store
from mailservers.store.events import EVENTS_AT_ONCE, forget_events
from mailservers.store.forgetting import forget_expunges, mailboxes_with_many_expunges
from mailservers.store.greylist import prune_greylist
from mailservers.store.retention import LOOK_EVERY_S, STEP, advance_clock, sweep_deleted
from mailservers.store.sent_traces import FORGOTTEN_AT_ONCE, forget_sent_traces
from mailservers.store.soundness import remove_left_over_bodies
from mailservers.store.threads import forget_empty_threads, owners_with_empty_threads
from mailservers.store.tracing.feeding import FORGOTTEN_AT_ONCE as SUMMARIES_AT_ONCE
from mailservers.store.tracing.feeding import forget_addresses, forget_summaries

BETWEEN_STEPS_S = 0.1


class Sweeping:
    """`start()`, and `stop()` before the store is closed."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        deleted = DeletedMail()
        for chore, every_s, at_once in (
            (sweep_left_over_bodies, 3600.0, True),
            (forget_threads, 24 * 3600.0, False),
            (forget_old_expunges, 24 * 3600.0, False),
            (deleted.sweep, float(LOOK_EVERY_S), True),
            (forget_trace, 3600.0, True),
            (remove_deleted_users, float(LOOK_EVERY_S), True),
        ):
            self._tasks.append(
                asyncio.create_task(again_and_again(chore, every_s, 0.0 if at_once else None), name=chore.__name__)
            )

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


async def sweep_left_over_bodies() -> None:
    if not are_bodies_held():
        await sync_to_async(remove_left_over_bodies, thread_sensitive=False)()


async def forget_threads() -> None:
    """Threads without messages."""
    for owner_id in await store.read(owners_with_empty_threads):
        await store.call(forget_empty_threads, owner_id)


async def remove_deleted_users() -> None:
    """Those whose days are over, one after the other."""
    for user_id in await store.read(due_removals):
        await sync_to_async(finish_removal, thread_sensitive=False)(user_id)


async def forget_trace() -> None:
    """Events over the time they are kept, and greylist entries nobody needs any more."""
    await store.call(prune_greylist)
    if settings.EVENTS_KEPT_S <= 0:
        return
    before = timezone.now() - timedelta(seconds=settings.EVENTS_KEPT_S)
    gone = EVENTS_AT_ONCE
    while gone == EVENTS_AT_ONCE:
        gone = await store.call(forget_events, before)
    gone = FORGOTTEN_AT_ONCE
    while gone == FORGOTTEN_AT_ONCE:
        gone = await store.call(forget_sent_traces, before)
    gone = SUMMARIES_AT_ONCE
    while gone == SUMMARIES_AT_ONCE:
        gone = await store.call(forget_summaries, before)
    await store.call(forget_addresses, before)


async def forget_old_expunges() -> None:
    """One mailbox after the other."""
    for mailbox_id in await store.read(mailboxes_with_many_expunges):
        await store.call(forget_expunges, mailbox_id)
        await asyncio.sleep(BETWEEN_STEPS_S)


class DeletedMail:
    """Moves the retention clock on by the time this process has run, and forgets what has expired."""

    def __init__(self) -> None:
        self._beat: int | None = None
        self._last_look = time.monotonic()

    async def sweep(self) -> None:
        now = time.monotonic()
        self._beat = await store.call(advance_clock, self._beat, int(now - self._last_look))
        self._last_look = now
        gone = STEP
        while gone == STEP:
            gone = await store.call(sweep_deleted)
            await asyncio.sleep(BETWEEN_STEPS_S)  # the mail goes first
