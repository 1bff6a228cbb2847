"""How often an address may do a thing: counted in two half-windows, so that a count costs a few octets an address.

In memory, of this process, and bounded: beyond MAX_ADDRESSES the oldest are forgotten. IPv6 clients are counted by
their /64, which one customer has whole.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from accounts.auth.throttle import network_of

MAX_ADDRESSES = 50_000


class AddressRate:
    """`note` things as they happen; `count` says how many there were in about the last `window_s` seconds."""

    def __init__(self, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._half_s = window_s / 2
        self._clock = clock
        self._counts: OrderedDict[str, tuple[int, int, int]] = OrderedDict()  # half-window, its count, the one before

    def note(self, address: str, times: int = 1) -> int:
        """Count it; how many there are now."""
        key = network_of(address)
        now, current, before = self._state(key)
        self._counts[key] = now, current + times, before
        self._counts.move_to_end(key)
        if len(self._counts) > MAX_ADDRESSES:
            self._counts.popitem(last=False)
        return current + times + before

    def count(self, address: str) -> int:
        _, current, before = self._state(network_of(address))
        return current + before

    def clear(self) -> None:
        self._counts.clear()

    def _state(self, key: str) -> tuple[int, int, int]:
        now = int(self._clock() / self._half_s)
        then, current, before = self._counts.get(key, (now, 0, 0))
        if then == now:
            return now, current, before
        return now, 0, current if then == now - 1 else 0
