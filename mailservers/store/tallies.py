"""What is only counted: by kind, day (UTC) and domain, how often the same facts were seen. For aggregate reports.

Counted in memory, written once a minute and when the process ends: a crash loses at most the last minute's numbers,
and the hot path pays a dictionary entry.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import F
from django.utils import timezone

from mailservers.models import ReportTally
from mailservers.store.engine import store
from mailservers.store.transaction import Transaction

MAX_KEPT = 20_000  # different facts between two writings: what is more is not counted
WRITTEN_AT_ONCE = 500


class Key(NamedTuple):
    """`facts`: JSON."""

    kind: str
    day: datetime.date
    domain: str
    facts: str


class Tallies:
    """One per process."""

    def __init__(self) -> None:
        self._counts: Counter[Key] = Counter()

    def count(self, kind: str, domain: str, facts: Mapping[str, Any]) -> None:
        """Once more. From the event loop."""
        key = Key(kind, timezone.now().date(), domain, json.dumps(facts, sort_keys=True))
        if key in self._counts or len(self._counts) < MAX_KEPT:
            self._counts[key] += 1

    async def write(self) -> None:
        """Into the database. Raises a `StoreError`; what could not be written is kept."""
        while self._counts:
            keys = list(self._counts)[:WRITTEN_AT_ONCE]
            counts = {key: self._counts.pop(key) for key in keys}
            try:
                await store.call(add_tallies, counts)
            except BaseException:
                self._counts.update(counts)
                raise

    def clear(self) -> None:
        self._counts.clear()


tallies = Tallies()


def add_tallies(tx: Transaction, counts: Mapping[Key, int]) -> None:
    """Store operation."""
    by_digest = {_digest(key): (key, count) for key, count in counts.items()}
    known = set(ReportTally.objects.filter(digest__in=by_digest).values_list("digest", flat=True))
    for digest in known:
        ReportTally.objects.filter(digest=digest).update(count=F("count") + by_digest[digest][1])
    ReportTally.objects.bulk_create(
        ReportTally(kind=key.kind, day=key.day, domain=key.domain, facts=key.facts, digest=digest, count=count)
        for digest, (key, count) in by_digest.items()
        if digest not in known
    )


def tallied(kind: str, before: datetime.date) -> Sequence[tuple[datetime.date, str]]:
    """(day, domain) of the days before then that nobody has reported yet."""
    rows = ReportTally.objects.filter(kind=kind, day__lt=before)
    return list(rows.values_list("day", "domain").distinct().order_by("day", "domain"))


def read_tallies(kind: str, day: datetime.date, domain: str, limit: int) -> list[tuple[dict[str, Any], int]]:
    """(facts, count), the most frequent first, at most so many."""
    rows = ReportTally.objects.filter(kind=kind, day=day, domain=domain).order_by("-count", "pk")
    return [(json.loads(facts), count) for facts, count in rows.values_list("facts", "count")[:limit]]


def forget_tallies(kind: str, day: datetime.date, domain: str) -> int:
    """Part of the store operation that reports them, or decides not to: how many rows went. 0: somebody else did it."""
    return ReportTally.objects.filter(kind=kind, day=day, domain=domain).delete()[0]


def _digest(key: Key) -> str:
    return hashlib.sha256("\0".join((key.kind, key.day.isoformat(), key.domain, key.facts)).encode()).hexdigest()
