"""Claiming queued recipients, by compare-and-set on their lease, so that any number of runners can share a queue.

A claim sets `lease_until` and a `lease_token` that no other claim has. Only who holds the token may write a result
other than "delivered" (see `results`). A runner renews its leases while it works; those of a runner that died run out
after QUEUE_LEASE_S, or are released at once by the next runner with the same data directory (see `presence`). A
message whose runner died after the last octet, but before the result was written, is sent once more: no protocol can
tell the two cases apart (RFC 1047).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Min, Q, QuerySet

from mailservers.formats.esmtp import NOTHING_ASKED, DsnRequest
from mailservers.models import QueuedMessage, QueuedRecipient, RecipientState
from mailservers.store.transaction import Transaction

CANDIDATES = 200  # rows looked at in one claim
MAX_RECIPIENTS = 100  # in one transaction: what every host must take (RFC 5321 4.5.3.1.8)
OPEN_STATES = (RecipientState.QUEUED, RecipientState.DEFERRED)  # to be sent by a runner
WAITING_STATES = (*OPEN_STATES, RecipientState.HELD)  # not decided upon


@dataclass(frozen=True, slots=True)
class ClaimedRecipient:
    id: int
    address: str
    request: DsnRequest = NOTHING_ASKED


@dataclass(frozen=True, slots=True)
class Job:
    """Recipients of one message in one domain, claimed: one mail transaction."""

    token: str
    queued_id: int
    message_id: int
    size: int  # octets
    trace_id: str
    reverse_path: str
    sender_id: int | None
    smtputf8: bool
    created_at: datetime
    expires_at: datetime
    domain: str
    recipients: tuple[ClaimedRecipient, ...]
    envid: str = ""
    ret: str = ""
    require_tls: bool = False
    is_binary: bool = False


def claim(tx: Transaction, token: str, limit: int, allowance: Mapping[str, int]) -> list[Job]:
    """Lease up to `limit` groups that are due, the longest due first.

    `token`: of this claim alone. `allowance`: how many groups of a domain may be taken; QUEUE_PER_DESTINATION of
    those not named."""
    jobs: list[Job] = []
    for queued_id, domain in _choose(tx.now, limit, allowance):
        due = _due(tx.now).filter(queued_id=queued_id, domain=domain)
        ids = list(due.order_by("id").values_list("id", flat=True)[:MAX_RECIPIENTS])
        lease_until = tx.now + timedelta(seconds=settings.QUEUE_LEASE_S)
        if _due(tx.now).filter(id__in=ids).update(lease_until=lease_until, lease_token=token):
            jobs.append(_job(token, queued_id, domain, ids))
    return jobs


def _due(now: datetime) -> QuerySet[QueuedRecipient]:
    return QueuedRecipient.objects.filter(_free(now), state__in=OPEN_STATES, next_attempt__lte=now)


def _free(now: datetime) -> Q:
    return Q(lease_until=None) | Q(lease_until__lte=now)


def _choose(now: datetime, limit: int, allowance: Mapping[str, int]) -> list[tuple[int, str]]:
    """(queued message, domain) of the groups to claim. Each state is asked for alone, along the index."""
    full = [domain for domain, room in allowance.items() if room <= 0]
    rows: list[tuple[datetime, int, int, str]] = []
    for state in OPEN_STATES:
        # Locked rows are another runner's claim under way; SQLite has one writer and ignores this.
        due = QueuedRecipient.objects.select_for_update(skip_locked=True)
        due = due.filter(_free(now), state=state, next_attempt__lte=now).exclude(domain__in=full)
        rows += due.order_by("next_attempt").values_list("next_attempt", "id", "queued_id", "domain")[:CANDIDATES]
    room = dict(allowance)
    chosen: list[tuple[int, str]] = []
    for queued_id, domain in dict.fromkeys((queued_id, domain) for _, _, queued_id, domain in sorted(rows)):
        left = room.get(domain, settings.QUEUE_PER_DESTINATION)
        if left > 0:
            room[domain] = left - 1
            chosen.append((queued_id, domain))
            if len(chosen) == limit:
                break
    return chosen


def _job(token: str, queued_id: int, domain: str, ids: Collection[int]) -> Job:
    queued = QueuedMessage.objects.select_related("message").only(
        "trace_id",
        "reverse_path",
        "sender_id",
        "smtputf8",
        "created_at",
        "expires_at",
        "message__size",
        "envid",
        "ret",
        "require_tls",
        "is_binary",
    )
    row = queued.get(pk=queued_id)
    claimed = QueuedRecipient.objects.filter(id__in=ids, lease_token=token).order_by("id")
    return Job(
        token,
        queued_id,
        row.message_id,
        row.message.size,
        row.trace_id,
        row.reverse_path,
        row.sender_id,
        row.smtputf8,
        row.created_at,
        row.expires_at,
        domain,
        tuple(
            ClaimedRecipient(pk, address, DsnRequest(notify, orcpt))
            for pk, address, notify, orcpt in claimed.values_list("id", "address", "notify", "orcpt")
        ),
        row.envid,
        row.ret,
        row.require_tls,
        row.is_binary,
    )


def renew(tx: Transaction, tokens: Iterable[str]) -> None:
    """The work goes on: keep the leases for another QUEUE_LEASE_S."""
    lease_until = tx.now + timedelta(seconds=settings.QUEUE_LEASE_S)
    QueuedRecipient.objects.filter(lease_token__in=list(tokens)).update(lease_until=lease_until)


def release_runners(tx: Transaction, runner_ids: Iterable[str]) -> int:
    """Whoever comes next may claim, at once, what these runners had claimed; how many recipients that is.

    For runners that are dead, and for one that has stopped."""
    released = 0
    for runner_id in runner_ids:
        held = QueuedRecipient.objects.filter(lease_token__startswith=f"{runner_id}.")
        released += held.update(lease_until=None, lease_token="")
    return released


def next_due(now: datetime, blocked: Collection[str]) -> datetime | None:
    """When the next free recipient is due, those of `blocked` domains apart; None: there is none."""
    waiting = QueuedRecipient.objects.filter(_free(now)).exclude(domain__in=list(blocked))
    moments = [waiting.filter(state=s).aggregate(moment=Min("next_attempt"))["moment"] for s in OPEN_STATES]
    return min((moment for moment in moments if moment is not None), default=None)
