"""How many connections go to each domain, so that a slow or dead one does not keep others waiting.

A domain may have QUEUE_PER_DESTINATION at once. One whose hosts could not be reached lately may have one, and all of
those together only half of the runner's: the other half is always there for hosts that answer.
"""

from __future__ import annotations

import time
from collections import Counter

from django.conf import settings

TROUBLE_S = 300.0  # how long a domain is remembered as unreachable


class Destinations:
    """The runner's account of what it is doing."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._trouble: dict[str, float] = {}  # domain -> until when, monotonic

    def begin(self, domain: str) -> None:
        self._running[domain] += 1

    def end(self, domain: str, *, was_reached: bool) -> None:
        self._running[domain] -= 1
        if not self._running[domain]:
            del self._running[domain]
        if was_reached:
            self._trouble.pop(domain, None)
        else:
            self._trouble[domain] = time.monotonic() + TROUBLE_S

    def free_slots(self) -> int:
        return settings.QUEUE_CONCURRENCY - self._running.total()

    def allowance(self) -> dict[str, int]:
        """How many more each domain may have; those not named may have QUEUE_PER_DESTINATION."""
        now = time.monotonic()
        self._trouble = {domain: until for domain, until in self._trouble.items() if until > now}
        slow = sum(count for domain, count in self._running.items() if domain in self._trouble)
        slow_room = max(settings.QUEUE_CONCURRENCY // 2, 1) - slow
        room = {domain: settings.QUEUE_PER_DESTINATION - count for domain, count in self._running.items()}
        for domain in self._trouble:
            room[domain] = max(min(1 - self._running[domain], slow_room), 0)
        return room
