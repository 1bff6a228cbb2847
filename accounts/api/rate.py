"""How often one token, or one stranger's address, may ask: a bucket each, refilled evenly. In memory and bounded."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

MAX_BUCKETS = 20_000


class Buckets:
    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key: (what is left, when)
        self._lock = threading.Lock()

    def take(self, key: str, per_minute: int, now: float | None = None) -> float:
        """0.0, or the seconds until there is one again. A full bucket holds a minute's."""
        if per_minute <= 0:
            return 0.0
        now = time.monotonic() if now is None else now
        with self._lock:
            left, at = self._buckets.get(key, (float(per_minute), now))
            left = min(per_minute, left + (now - at) * per_minute / 60)
            is_free = left >= 1
            self._buckets[key] = (left - 1 if is_free else left, now)
            self._buckets.move_to_end(key)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        return 0.0 if is_free else (1 - left) * 60 / per_minute

    def clear(self) -> None:
        with self._lock:
            self._buckets.clear()


buckets = Buckets()
