"""A system clock that is set back: what waits is due by the time that has passed, not when the old time comes again.

Moments in the queue are absolute. After a step back by a day a retry in ten minutes would come in a day and ten
minutes, and mail taken just before the step would wait for a day. Such rows can be told: they were tried, or taken, in
what is now the future, or wait for longer than any pause is. What a user wants sent at a moment stays.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet

from mailservers.models import QueuedRecipient, RecipientState
from mailservers.outbound.leases import OPEN_STATES
from mailservers.outbound.results import JITTER
from mailservers.store.transaction import Transaction

AHEAD = timedelta(seconds=60)  # hosts that share a queue may differ by so much


class SystemClock:
    """Notices that the system's clock was set back, by the one that only goes forward."""

    def __init__(self) -> None:
        self._offset_s: float | None = None  # None: who knows what was before this process

    def was_set_back(self) -> bool:
        """Since the last time this was asked; True the first time."""
        before, self._offset_s = self._offset_s, time.time() - time.monotonic()
        return before is None or self._offset_s < before - AHEAD.total_seconds()


def bring_back(tx: Transaction) -> int:
    """Store operation: what waits for a time that was set back waits for its first pause instead; how many rows."""
    first = tx.now + timedelta(seconds=settings.QUEUE_RETRY_FIRST_S)
    waiting = QueuedRecipient.objects.filter(state__in=OPEN_STATES, next_attempt__gt=tx.now)
    longest = timedelta(seconds=settings.QUEUE_RETRY_MAX_S * (1 + JITTER)) + AHEAD
    too_long = Q(state=RecipientState.DEFERRED, next_attempt__gt=tx.now + longest)
    tried = waiting.filter(Q(last_attempt__gt=tx.now + AHEAD) | too_long)
    moved = tried.update(next_attempt=first, last_attempt=tx.now)
    moved += _never_tried(waiting, tx.now).update(next_attempt=tx.now)
    return moved


def _never_tried(waiting: QuerySet[QueuedRecipient], now: datetime) -> QuerySet[QueuedRecipient]:
    """New mail that was to be sent at once, or put off without an attempt because its host does not answer."""
    longest = timedelta(seconds=settings.QUEUE_RETRY_FIRST_S * (1 + JITTER)) + AHEAD
    just_taken = Q(queued__created_at__gt=now + AHEAD, next_attempt__lte=F("queued__created_at") + timedelta(seconds=1))
    put_off = ~Q(last_reply="") & Q(next_attempt__gt=now + longest)
    new = waiting.filter(just_taken | put_off, state=RecipientState.QUEUED, attempts=0)
    return QueuedRecipient.objects.filter(id__in=new.values("id"))
