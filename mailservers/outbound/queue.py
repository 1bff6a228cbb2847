"""The queue as the console sees it: pages of it, and an administrator's acts on it.

The runner's side is in `leases` (claiming) and `results` (outcomes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone

from mailservers.models import QueuedMessage, QueuedRecipient, RecipientState
from mailservers.outbound.leases import WAITING_STATES
from mailservers.outbound.results import finish
from mailservers.store.events import Step
from mailservers.store.transaction import Event, Transaction

PAGE = 50
MAX_IDS = 1000  # acted on at once


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
    is_in_progress: bool


@dataclass(frozen=True, slots=True)
class QueueTotals:
    waiting: int  # recipients
    deferred: int  # of them, those tried before
    held: int  # of them, those an administrator has to let go
    oldest: datetime | None


_COLUMNS = (
    "id", "queued_id", "queued__trace_id", "queued__message_id", "queued__message__subject",
    "queued__message__size", "queued__reverse_path", "address", "domain", "state", "attempts", "next_attempt",
    "last_attempt", "last_reply", "queued__created_at", "queued__expires_at", "lease_until",
)  # fmt: skip


def list_queue(*, before: int | None = None, limit: int = PAGE, search: str = "", state: str = "") -> list[QueueRow]:
    """A page of what waits, the newest first. `before`: the last page's last id. `search`: part of the sender's or
    a recipient's address. `state`: "queued", "deferred" or "held"."""
    rows = QueuedRecipient.objects.filter(state__in=[state] if state in WAITING_STATES else WAITING_STATES)
    if before is not None:
        rows = rows.filter(id__lt=before)
    if search:
        rows = rows.filter(address__icontains=search) | rows.filter(queued__reverse_path__icontains=search)
    now = timezone.now()
    page: list[QueueRow] = []
    for *columns, lease_until in rows.order_by("-id").values_list(*_COLUMNS)[:limit]:
        values: list[Any] = [*columns, lease_until is not None and lease_until > now]
        page.append(QueueRow(*values))
    return page


def queue_totals() -> QueueTotals:
    rows = QueuedRecipient.objects.filter(state__in=WAITING_STATES)
    counts = dict(rows.values_list("state").annotate(n=Count("id")).values_list("state", "n"))
    oldest = rows.aggregate(oldest=Min("queued__created_at"))["oldest"]
    return QueueTotals(
        sum(counts.values()), counts.get(RecipientState.DEFERRED, 0), counts.get(RecipientState.HELD, 0), oldest
    )


def retry_now(tx: Transaction, recipient_ids: Sequence[int]) -> int:
    """Store operation: make them due at once, held ones too; how many. The event wakes the runner. Those being tried
    stay."""
    rows = _open_rows(tx, recipient_ids, in_progress=False)
    QueuedRecipient.objects.filter(id__in=[row.pk for row in rows]).update(next_attempt=tx.now)
    QueuedRecipient.objects.filter(id__in=[row.pk for row in rows], state=RecipientState.HELD).update(
        state=RecipientState.QUEUED
    )
    held = {row.queued_id for row in rows if row.state == RecipientState.HELD}
    lifetime = timedelta(seconds=settings.QUEUE_LIFETIME_S)  # begins now: nobody has tried yet
    QueuedMessage.objects.filter(pk__in=held, expires_at__lt=tx.now + lifetime).update(expires_at=tx.now + lifetime)
    for row in rows:
        queued = row.queued
        tx.events.append(
            Event(queued.trace_id, Step.QUEUED, "ok", queued.reverse_path, row.address, detail="To be tried again now")
        )
    return len(rows)


def cancel(tx: Transaction, recipient_ids: Sequence[int], actor: str) -> int:
    """Store operation: take them out of the queue without a notice to the sender; how many.

    `actor`: who did it, a login. An attempt under way is not stopped: if it delivers, the log says so."""
    rows = _open_rows(tx, recipient_ids, in_progress=True)
    QueuedRecipient.objects.filter(id__in=[row.pk for row in rows]).update(
        state=RecipientState.CANCELLED, lease_until=None, lease_token=""
    )
    for row in rows:
        queued = row.queued
        detail = f"Taken out of the queue by {actor}"
        tx.events.append(
            Event(
                queued.trace_id,
                Step.CANCELLED,
                "permanent",
                queued.reverse_path,
                row.address,
                detail=detail,
                data={"actor": actor},
            )
        )
    for queued_id in {row.queued_id for row in rows}:
        finish(tx, queued_id)
    return len(rows)


def _open_rows(tx: Transaction, recipient_ids: Sequence[int], *, in_progress: bool) -> list[QueuedRecipient]:
    """The rows that can be acted on, their messages locked first, as `results.record` does."""
    ids = list(recipient_ids)[:MAX_IDS]
    queued_ids = QueuedRecipient.objects.filter(id__in=ids).values_list("queued_id", flat=True)
    list(QueuedMessage.objects.select_for_update().filter(pk__in=list(queued_ids)).order_by("pk"))
    rows = QueuedRecipient.objects.filter(id__in=ids, state__in=WAITING_STATES).select_related("queued")
    return [row for row in rows if in_progress or row.lease_until is None or row.lease_until <= tx.now]
