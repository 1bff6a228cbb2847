"""What a claim need not look through again: a hundred thousand recipients may be due behind one domain that is full,
and to walk past them costs 50 ms, for each message that comes for another.

A claim that took all that was due besides full domains tells the next ones: for REMEMBER_S, and while those domains are
full, only recipients queued since then are of interest. What becomes due meanwhile among the older ones (a retry, one
let go, the lease of a dead runner) is found REMEMBER_S later at most.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

REMEMBER_S = 5.0


@dataclass(slots=True)
class PassedOver:
    """One per runner. Every recipient up to `last_id` was taken, or of a domain in `full`."""

    last_id: int = 0
    full: frozenset[str] = frozenset()
    until: float = 0.0

    def after(self, full: Collection[str]) -> int:
        """Recipients with ids up to here need not be looked at; 0: look at all."""
        return self.last_id if time.monotonic() < self.until and self.full <= set(full) else 0

    def note(self, last_id: int, full: Collection[str], looked_after: int) -> None:
        """`looked_after`: what `after` said to the claim that has found this."""
        if not looked_after:
            self.full, self.until = frozenset(full), time.monotonic() + REMEMBER_S
        self.last_id = last_id
