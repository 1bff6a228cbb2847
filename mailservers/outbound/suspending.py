"""A domain whose hosts cannot be reached: what else waits for it is put off, without trying each message.

One attempt finds out that nobody answers; a hundred thousand messages behind it would each find out the same, and
stand in the way of other mail until they had. So they are put off together, portion by portion. The time of a message
goes on meanwhile: one that has expired, or whose sender is to be told of the delay, gets the same outcome as the
attempt, written down as if it had been tried itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q

from mailservers.models import QueuedRecipient
from mailservers.outbound.leases import claim_recipients, due_of_domain
from mailservers.outbound.outcomes import Outcome
from mailservers.outbound.results import MAX_REPLY, Attempted, pause_after, write_results
from mailservers.store.transaction import Transaction

PORTION = 2000  # recipients put off in one transaction
TIMELY = 200  # of those that something has to be written about


def suspend(tx: Transaction, token: str, domain: str, outcome: Outcome) -> int:
    """Store operation: put off up to PORTION recipients that are due; how many. Call it again until it is 0.

    `token`: of this call alone, as for a claim."""
    due = due_of_domain(tx.now, domain)
    timely = list(due.filter(_has_news(tx.now)).order_by("id").values_list("id", flat=True)[:TIMELY])
    if timely:
        jobs = claim_recipients(tx, token, timely)
        write_results(tx, [Attempted(job, {r.id: outcome for r in job.recipients}) for job in jobs])
        return len(timely)
    ids = list(due.order_by("id").values_list("id", flat=True)[:PORTION])
    rows = QueuedRecipient.objects.filter(id__in=ids)
    rows.update(next_attempt=tx.now + pause_after(1), last_reply=f"Not tried: {outcome.words}"[:MAX_REPLY])
    return len(ids)


def _has_news(now: datetime) -> Q:
    """Time is up, or the notice of the delay is due (see `results`)."""
    expired = Q(queued__expires_at__lte=now)
    not_told_yet = Q(last_attempt=None) | Q(last_attempt__lt=F("queued__deliver_by"))
    expired |= Q(queued__deliver_by__lte=now, queued__deliver_by__gt=F("queued__created_at")) & not_told_yet
    if not settings.QUEUE_DELAY_NOTICE_S:
        return expired
    wait = timedelta(seconds=settings.QUEUE_DELAY_NOTICE_S)
    not_told = Q(last_attempt=None) | Q(last_attempt__lt=F("queued__created_at") + wait)
    return expired | (Q(queued__created_at__lte=now - wait) & not_told)
