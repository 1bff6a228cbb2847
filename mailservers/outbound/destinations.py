"""How many connections go to each domain, so that a slow or dead one does not keep others waiting.

A domain begins with QUEUE_DESTINATION_START connections at once; each message that a host of it takes adds one, up to
QUEUE_PER_DESTINATION, and each attempt that reaches no host halves them. One whose hosts could not be reached lately
may have one, and all of those together only half of the runner's: the other half is always there for hosts that answer.

Messages are claimed a little ahead of the connections they will go over (AHEAD times as many), so that one claim
serves many; they wait in `waiting`, by domain, and are begun in turn.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable

from django.conf import settings

from mailservers.outbound.leases import Job

TROUBLE_S = 300.0  # how long a domain is remembered as unreachable
AHEAD = 2
MAX_REMEMBERED = 5000  # domains whose number of connections is remembered


class Destinations:
    """The runner's account of what it is doing."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._window: dict[str, float] = {}  # domain -> connections it may have at once
        self._trouble: dict[str, float] = {}  # domain -> until when, monotonic
        self._waiting: dict[str, deque[Job]] = {}
        self._waiting_count = 0

    # ------------------------------------------------------------ what runs

    def begin(self, domain: str) -> None:
        self._running[domain] += 1

    def end(self, domain: str, *, was_reached: bool) -> None:
        self._running[domain] -= 1
        if not self._running[domain]:
            del self._running[domain]
        if len(self._window) > MAX_REMEMBERED:
            self._window.clear()
        if was_reached:
            self._trouble.pop(domain, None)
            self._window[domain] = min(self.window(domain) + 1, settings.QUEUE_PER_DESTINATION)
        else:
            self._trouble[domain] = time.monotonic() + TROUBLE_S
            self._window[domain] = max(self.window(domain) / 2, 1)

    def window(self, domain: str) -> float:
        """How many connections at once the domain may have when it is not in trouble."""
        return self._window.get(domain, min(settings.QUEUE_DESTINATION_START, settings.QUEUE_PER_DESTINATION))

    def _room(self) -> dict[str, int]:
        """How many more connections each domain in use or in trouble may have now."""
        now = time.monotonic()
        self._trouble = {domain: until for domain, until in self._trouble.items() if until > now}
        slow = sum(count for domain, count in self._running.items() if domain in self._trouble)
        slow_room = max(settings.QUEUE_CONCURRENCY // 2, 1) - slow
        room = {domain: int(self.window(domain)) - count for domain, count in self._running.items()}
        for domain in self._trouble:
            room[domain] = max(min(1 - self._running[domain], slow_room), 0)
        return room

    # ------------------------------------------------------------ what is claimed

    def wanted(self) -> int:
        """How many more messages to claim now; 0 while enough wait."""
        ahead = AHEAD * settings.QUEUE_CONCURRENCY - self._running.total() - self._waiting_count
        return ahead if ahead >= settings.QUEUE_CONCURRENCY // 2 or not self._waiting_count else 0

    def allowance(self) -> dict[str, int]:
        """How many more messages may be claimed of each domain in use or in trouble."""
        room = self._room()
        allowed: dict[str, int] = {}
        for domain in self._running.keys() | self._waiting.keys() | self._trouble.keys():
            waiting = len(self._waiting.get(domain, ()))
            if domain in self._trouble:
                allowed[domain] = room[domain] - waiting
            else:
                allowed[domain] = AHEAD * int(self.window(domain)) - self._running[domain] - waiting
        return allowed

    def add(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._waiting.setdefault(job.domain, deque()).append(job)
            self._waiting_count += 1

    def ready(self) -> list[Job]:
        """The jobs to begin now: one of each domain in turn, as long as there is room. The caller begins them."""
        free = settings.QUEUE_CONCURRENCY - self._running.total()
        room = self._room()
        begun: list[Job] = []
        domains = deque(self._waiting)
        while domains and len(begun) < free:
            domain = domains.popleft()
            left = room.get(domain, int(self.window(domain)))
            if left <= 0:
                continue
            room[domain] = left - 1
            begun.append(self._waiting[domain].popleft())
            if self._waiting[domain]:
                domains.append(domain)
            else:
                del self._waiting[domain]
        self._waiting_count -= len(begun)
        return begun

    def tokens(self) -> set[str]:
        """The leases of what waits."""
        return {job.token for jobs in self._waiting.values() for job in jobs}
