"""Looking at the queue: pages of it, filtered, and totals.

What is done to it is in `acts`; the runner's side is in `leases` (claiming) and `results` (outcomes).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from mailservers.models import QueuedRecipient, RecipientState
from mailservers.outbound.leases import WAITING_STATES

PAGE = 50
Rows = QuerySet[QueuedRecipient]
SCHEDULED = "scheduled"  # a state for filters: waits for the time its sender asked for


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One recipient that waits, with what is known of its message."""

    id: int  # of the recipient: the key of pages, and what the acts take
    queued_id: int
    trace_id: str
    message_id: int
    subject: str
    size: int  # octets
    sender: str  # reverse-path, "" for <>
    recipient: str
    domain: str
    state: str
    attempts: int
    next_attempt: datetime
    last_attempt: datetime | None
    last_reply: str
    created_at: datetime
    expires_at: datetime
    route: str
    is_in_progress: bool

    @property
    def is_scheduled(self) -> bool:
        """Waits for its time, as its sender wished; nobody has tried."""
        return self.state == RecipientState.QUEUED and not self.attempts and self.next_attempt > timezone.now()


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which recipients are wanted; empty values ask for nothing. `state`: a `RecipientState` that waits, or SCHEDULED.
    `domain`: the recipients', whole. `sender`: part of the reverse-path. `older_s`: accepted so many seconds ago at
    least. `text`: part of an address, the subject, the last reply, or a whole trace id."""

    state: str = ""
    domain: str = ""
    sender: str = ""
    older_s: int = 0
    text: str = ""

    def rows(self, among: Rows) -> Rows:
        now = timezone.now()
        rows = among.filter(state__in=[self.state] if self.state in WAITING_STATES else WAITING_STATES)
        if self.state == SCHEDULED:
            rows = rows.filter(state=RecipientState.QUEUED, attempts=0, next_attempt__gt=now)
        if self.domain:
            rows = rows.filter(domain=self.domain.lower())
        if self.sender:
            rows = rows.filter(queued__reverse_path__icontains=self.sender)
        if self.older_s:
            rows = rows.filter(queued__created_at__lte=now - timedelta(seconds=self.older_s))
        if self.text:
            said = Q(address__icontains=self.text) | Q(last_reply__icontains=self.text)
            message = Q(queued__reverse_path__icontains=self.text) | Q(queued__message__subject__icontains=self.text)
            rows = rows.filter(said | message | Q(queued__trace_id=self.text))
        return rows


@dataclass(frozen=True, slots=True)
class QueueTotals:
    waiting: int  # recipients
    deferred: int  # of them, those tried before
    held: int  # of them, those an administrator has to let go
    oldest: datetime | None


_COLUMNS = (
    "id", "queued_id", "queued__trace_id", "queued__message_id", "queued__message__subject",
    "queued__message__size", "queued__reverse_path", "address", "domain", "state", "attempts", "next_attempt",
    "last_attempt", "last_reply", "queued__created_at", "queued__expires_at", "route", "lease_until",
)  # fmt: skip


def list_queue(
    wanted: QueueFilter | None = None, *, before: int | None = None, limit: int = PAGE, among: Rows | None = None
) -> list[QueueRow]:
    """A page of what waits, the newest first. `before`: the last page's last id. `among`: what one may see."""
    rows = (wanted or QueueFilter()).rows(QueuedRecipient.objects.all() if among is None else among)
    if before is not None:
        rows = rows.filter(id__lt=before)
    now = timezone.now()
    page: list[QueueRow] = []
    for *columns, lease_until in rows.order_by("-id").values_list(*_COLUMNS)[:limit]:
        values: list[Any] = [*columns, lease_until is not None and lease_until > now]
        page.append(QueueRow(*values))
    return page


def queue_totals(among: Rows | None = None) -> QueueTotals:
    rows = (QueuedRecipient.objects.all() if among is None else among).filter(state__in=WAITING_STATES)
    counts = dict(rows.values_list("state").annotate(n=Count("id")).values_list("state", "n"))
    oldest = rows.aggregate(oldest=Min("queued__created_at"))["oldest"]
    return QueueTotals(
        sum(counts.values()), counts.get(RecipientState.DEFERRED, 0), counts.get(RecipientState.HELD, 0), oldest
    )
