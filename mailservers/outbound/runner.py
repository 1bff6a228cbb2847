"""The queue runner: claims what is due, attempts it, writes down what came of it.

It wakes when something is queued (the hub's QUEUED events, in this process at once, from others with the next change
hint), when an attempt ends, when the next retry is due, and every QUEUE_POLL_S at the latest. At most
QUEUE_CONCURRENCY attempts run at once; `destinations` shares them out among domains.

Invariants: an attempt is made only under a lease; its result is written at once, before anything else is done; a result
that the store does not take is offered again until it does, under the renewed lease. `stop` lets what is past return
finish for STOP_GRACE_S, breaks off the rest and releases its leases.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from mailservers.outbound.attempt import Attempt, Means
from mailservers.outbound.clock import SystemClock, bring_back
from mailservers.outbound.destinations import Destinations
from mailservers.outbound.dkim_rotation import keep_rotating
from mailservers.outbound.leases import Job, claim, next_due, release_runners, renew
from mailservers.outbound.outcomes import Outcome
from mailservers.outbound.passed_over import PassedOver
from mailservers.outbound.presence import Presence
from mailservers.outbound.results import Attempted, record
from mailservers.outbound.suspending import suspend
from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.events import Step
from mailservers.store.transaction import Event

log = logging.getLogger(__name__)

STOP_GRACE_S = 3.0
RECORD_AGAIN_S = 1.0  # doubled each time
RECORD_AGAIN_MAX_S = 60.0
MIN_PAUSE_S = 0.02


class QueueRunner:
    """`await start()` on the event loop, `await stop()` before the store closes."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._destinations = Destinations()
        self._means = Means.make()
        self._attempts: dict[asyncio.Task[None], Attempt] = {}
        self._numbers = itertools.count(1)
        self._passed = PassedOver()
        self._clock = SystemClock()
        self._presence: Presence | None = None
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Raises OSError when the data directory cannot be written to."""
        self._presence = presence = Presence()
        await self._release_the_dead(presence)
        hub.attach()
        hub.watch_events(self._on_event)
        self._loops = [
            asyncio.create_task(self._run(), name="queue runner"),
            asyncio.create_task(self._renew(), name="queue leases"),
            asyncio.create_task(keep_rotating(self._means.resolver.dns), name="DKIM keys"),
        ]

    async def stop(self) -> None:
        hub.unwatch_events(self._on_event)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        for task, attempt in self._attempts.items():
            if not attempt.is_past_return:
                task.cancel()
        if self._attempts:
            await asyncio.wait(list(self._attempts), timeout=STOP_GRACE_S)
        for task in self._attempts:
            task.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)
        await self._means.pool.close()
        if self._presence is not None:
            if await self._release_runners([self._presence.runner_id], have_died=False):
                self._presence.leave()
            self._presence = None

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def _on_event(self, event: Event) -> None:
        if event.step == Step.QUEUED:
            self._wake.set()

    async def _release_the_dead(self, presence: Presence) -> None:
        dead = presence.dead_runners()
        if dead and await self._release_runners(dead):
            for runner_id in dead:
                presence.bury(runner_id)

    async def _release_runners(self, runner_ids: list[str], *, have_died: bool = True) -> bool:
        try:
            await store.call(release_runners, runner_ids, have_died=have_died)
        except StoreError as error:
            log.warning("leases were not released, and run out by themselves: %s", error)
            return False
        return True

    # ------------------------------------------------------------ claiming

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                pause_s = await self._fill()
            except StoreError:
                pause_s = settings.QUEUE_POLL_S
            except Exception:
                log.exception("the queue could not be read")
                pause_s = settings.QUEUE_POLL_S
            try:
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _fill(self) -> float:
        """Begin what there is room for, and claim more, until nothing is due; how long to sleep, in seconds."""
        self._begin_ready()
        if self._clock.was_set_back() and (moved := await store.call(bring_back)):
            log.warning("the system's clock was set back: %d recipients in the queue do not wait for it", moved)
        while (wanted := self._destinations.wanted()) > 0:
            await self._means.routes.refresh()
            before = timezone.now()
            jobs = await store.call(claim, self._token(), wanted, self._destinations.allowance(), self._passed)
            self._destinations.add(part for job in jobs for part in self._means.routes.divide(job))
            self._begin_ready()
            if len(jobs) < wanted:  # all there is, or all that its destinations have room for
                return await self._until_due(before)
        return settings.QUEUE_POLL_S

    def _token(self) -> str:
        """Of one claim alone; tells whose it is."""
        assert self._presence is not None
        return f"{self._presence.runner_id}.{next(self._numbers)}"

    def _begin_ready(self) -> None:
        for job in self._destinations.ready():
            self._start(job)

    async def _until_due(self, claimed_at: datetime) -> float:
        blocked = [domain for domain, room in self._destinations.allowance().items() if room <= 0]
        due = await store.read(next_due, claimed_at, blocked, self._passed.after(blocked))
        if due is None:
            return settings.QUEUE_POLL_S
        return min(max((due - timezone.now()).total_seconds(), MIN_PAUSE_S), settings.QUEUE_POLL_S)

    # ------------------------------------------------------------ attempting

    def _start(self, job: Job) -> None:
        attempt = Attempt(job, self._means)
        task = asyncio.create_task(self._carry_out(attempt), name=f"sending {job.trace_id}")
        self._attempts[task] = attempt
        self._destinations.begin(job.domain)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        attempt = self._attempts.pop(task)
        self._destinations.end(attempt.job.domain, was_reached=attempt.was_reached)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the attempt to send %s ended badly", attempt.job.trace_id, exc_info=error)

    async def _carry_out(self, attempt: Attempt) -> None:
        outcomes = await attempt.run()
        attempt.is_recording = True
        attempt.let_go()
        await self._record(Attempted(attempt.job, outcomes, attempt.home))
        attempt.is_recording = False
        if attempt.trouble is not None:
            await self._suspend(attempt.job.domain, attempt.trouble)

    async def _suspend(self, domain: str, trouble: Outcome) -> None:
        """Nobody answers for the domain: what else waits for it is put off."""
        try:
            while await store.call(suspend, self._token(), domain, trouble):
                pass
        except StoreError as error:
            log.warning("the queue of %s was not put off: %s", domain, error)

    async def _record(self, attempted: Attempted) -> None:
        """What happened must be written down: without it, the message is sent again."""
        pause_s = RECORD_AGAIN_S
        while True:
            try:
                await store.call(record, attempted)
            except StoreError as error:
                log.warning("the outcome of %s could not be written yet: %s", attempted.job.trace_id, error)
            except Exception:
                log.exception("the outcome of %s could not be written", attempted.job.trace_id)
            else:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RECORD_AGAIN_MAX_S)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(settings.QUEUE_LEASE_S / 3)
            tokens = {attempt.job.token for attempt in self._attempts.values()} | self._destinations.tokens()
            try:
                if tokens:
                    await store.call(renew, tokens)
            except StoreError:
                log.warning("leases were not renewed", exc_info=True)
