"""Which delivery events this process's subscribers have been told of: each one once, whoever wrote it.

A process hears of its own events as they are committed, and reads those of others from the table. Row ids are given
out in order but not committed in order where several processes write (PostgreSQL), so "all after the last I know" is
not enough: neither may an own event hide another's that is still unread, nor may an event that was committed late be
passed over. So the position only moves by reading, own events beyond it are remembered one by one, and the ids that
a reading does not find are asked for again for LATE_S seconds, the longest that a transaction may take to commit.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailservers.store.transaction import Event

LATE_S = 60.0
MAX_GAPS = 500  # ids asked for again; more were lost in one piece, by a database that was started anew


class EventPosition:
    """`begin`, then `own` for events committed here and `read` for what was found after `last` and at `gaps`."""

    def __init__(self) -> None:
        self._first = 0  # events up to here are never read
        self._own: set[int] = set()  # told, and not read yet
        self._gaps: dict[int, float] = {}  # ids that may come yet: when to give them up
        self.last: int | None = None  # all up to here was told or is a gap

    def begin(self, newest: int) -> None:
        """What is there now was told by others, or concerns nobody here."""
        self._first = self.last = newest
        self._gaps.clear()
        self._own = {pk for pk in self._own if pk > newest}

    @property
    def gaps(self) -> list[int]:
        return list(self._gaps)

    def own(self, events: Sequence[Event]) -> list[Event]:
        """Those that have not been told: a reading may have been quicker than the word of them."""
        return [event for event in events if self._is_news(event.id)]

    def _is_news(self, pk: int) -> bool:
        if self.last is None or pk <= self._first:
            return True
        if pk > self.last:
            self._own.add(pk)
            return True
        if self._gaps.pop(pk, None) is None:
            return False
        self._own.add(pk)  # a reading under way may bring it, too
        return True

    def read(self, events: Sequence[Event], now: float) -> list[Event]:
        """Those of them that have not been told. `events`: found at `gaps`, then the next after `last`, by id."""
        assert self.last is not None
        last = self.last
        news = [e for e in events if e.id not in self._own and (e.id > last or e.id in self._gaps)]
        found = {event.id for event in events}
        newest = max(found, default=0)
        for pk in found:
            self._gaps.pop(pk, None)
        if newest > last:
            missing = set(range(max(last + 1, newest - MAX_GAPS), newest)) - found - self._own
            self._gaps.update((pk, now + LATE_S) for pk in missing)
            self.last = newest
        self._gaps = {pk: until for pk, until in self._gaps.items() if until > now}
        self._own = {pk for pk in self._own if pk > self.last}
        return news

    def pass_own(self, newest: int) -> None:
        """Nobody else has written an event up to `newest`, one of this process: no need to read them."""
        if self.last is not None and newest > self.last:
            self.last = newest
            self._own = {pk for pk in self._own if pk > newest}

    @property
    def newest_own(self) -> int:
        return max(self._own, default=0)
