"""Claiming queued recipients, by compare-and-set on their lease, so that any number of runners can share a queue.

A claim sets `lease_until` and a `lease_token` that no other claim has. Only who holds the token may write a result
other than "delivered" (see `results`). A runner renews its leases while it works; those of a runner that died run out
after QUEUE_LEASE_S, or are released at once by the next runner with the same data directory (see `presence`). A
message whose runner died after the last octet, but before the result was written, is sent once more: no protocol can
tell the two cases apart (RFC 1047).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Min, Q, QuerySet

from accounts.models import Domain
from mailservers.formats.esmtp import NOTHING_ASKED, DeliverBy, DsnRequest
from mailservers.models import QueuedMessage, QueuedRecipient, RecipientState
from mailservers.outbound.way import Route
from mailservers.store.content import read_messages
from mailservers.store.events import Step
from mailservers.store.transaction import Event, Transaction

CANDIDATES = 400  # rows looked at in one claim
CHUNK = 500  # values in one IN (...)
SMALL_OCTETS = 16 * 1024  # messages up to this size are read with the claim
MAX_CRASHES = 3
UNKNOWN_DOMAIN = 2  # times QUEUE_DESTINATION_START: messages claimed at first of a domain not in use
MAX_RECIPIENTS = 100  # in one transaction: what every host must take (RFC 5321 4.5.3.1.8)
OPEN_STATES = (RecipientState.QUEUED, RecipientState.DEFERRED)  # to be sent by a runner
WAITING_STATES = (*OPEN_STATES, RecipientState.HELD)  # not decided upon


@dataclass(frozen=True, slots=True)
class ClaimedRecipient:
    id: int
    address: str
    request: DsnRequest = NOTHING_ASKED
    route: str = ""  # HOST:PORT that an administrator has chosen


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
    tls_optional: bool = False
    priority: int = 0
    deliver_by: DeliverBy | None = None
    is_ours: bool = False  # the domain: what was held is brought home (see `homeward`)
    route: str = ""  # HOST:PORT to be sent by, instead of the domain's own hosts
    by: Route | None = None  # how it is sent, where it is not by the domain's own hosts (`routes`)
    content: bytes | None = None  # of small messages; others are read when a host is there to take them


def claim(tx: Transaction, token: str, limit: int, allowance: Mapping[str, int]) -> list[Job]:
    """Lease up to `limit` groups that are due, the longest due first; five queries, however many.

    `token`: of this claim alone. `allowance`: how many groups of a domain may be taken; UNKNOWN_DOMAIN of those not
    named."""
    groups = _choose(tx.now, limit, allowance)
    if not groups:
        return []
    due = _lockable(_due(tx.now)).filter(queued_id__in={queued_id for queued_id, _ in groups})
    recipients: dict[tuple[int, str], list[ClaimedRecipient]] = {group: [] for group in groups}
    for queued_id, domain, *columns in due.order_by("id").values_list(*_RECIPIENT_COLUMNS):
        chosen, claimed = recipients.get((queued_id, domain)), _claimed(*columns)
        if chosen is not None and len(chosen) < MAX_RECIPIENTS and (not chosen or chosen[0].route == claimed.route):
            chosen.append(claimed)
    _lease(tx, token, [recipient.id for chosen in recipients.values() for recipient in chosen])
    return _jobs(token, recipients)


def claim_recipients(tx: Transaction, token: str, ids: Sequence[int]) -> list[Job]:
    """Lease these recipients, which the caller has found due in the same transaction."""
    rows = _lockable(QueuedRecipient.objects.filter(id__in=ids))
    recipients: dict[tuple[int, str], list[ClaimedRecipient]] = {}
    for queued_id, domain, *claimed in rows.order_by("id").values_list(*_RECIPIENT_COLUMNS):
        recipients.setdefault((queued_id, domain), []).append(_claimed(*claimed))
    _lease(tx, token, ids)
    return _jobs(token, recipients)


def due_of_domain(now: datetime, domain: str) -> QuerySet[QueuedRecipient]:
    """The recipients of a domain that may be claimed now."""
    return _lockable(_due(now).filter(domain=domain))


_RECIPIENT_COLUMNS = ("queued_id", "domain", "id", "address", "notify", "orcpt", "route")


def _claimed(pk: int, address: str, notify: str, orcpt: str, route: str) -> ClaimedRecipient:
    return ClaimedRecipient(pk, address, DsnRequest(notify, orcpt), route)


def _lease(tx: Transaction, token: str, ids: Sequence[int]) -> None:
    lease_until = tx.now + timedelta(seconds=settings.QUEUE_LEASE_S)
    for start in range(0, len(ids), CHUNK):
        rows = QueuedRecipient.objects.filter(id__in=ids[start : start + CHUNK])
        rows.update(lease_until=lease_until, lease_token=token)


def _due(now: datetime) -> QuerySet[QueuedRecipient]:
    return QueuedRecipient.objects.filter(_free(now), state__in=OPEN_STATES, next_attempt__lte=now)


def _free(now: datetime) -> Q:
    return Q(lease_until=None) | Q(lease_until__lte=now)


def _lockable(rows: QuerySet[QueuedRecipient]) -> QuerySet[QueuedRecipient]:
    """Locked rows are another runner's claim under way; SQLite has one writer and ignores this."""
    return rows.select_for_update(skip_locked=True, of=("self",))


def _choose(now: datetime, limit: int, allowance: Mapping[str, int]) -> list[tuple[int, str]]:
    """(queued message, domain) of the groups to claim: new ones in the order of their senders' turns, those tried
    before in the order in which they are due. Each state is asked for alone, along its index."""
    full = [domain for domain, room in allowance.items() if room <= 0]
    rows: list[tuple[datetime, int, int, str]] = []
    for state in OPEN_STATES:
        due = _lockable(QueuedRecipient.objects.filter(_free(now), state=state, next_attempt__lte=now))
        due = due.exclude(domain__in=full) if full else due
        order = "turn" if state == RecipientState.QUEUED else "next_attempt"
        rows += due.order_by(order).values_list(order, "id", "queued_id", "domain")[:CANDIDATES]
    unknown = settings.QUEUE_DESTINATION_START * UNKNOWN_DOMAIN
    room = dict(allowance)
    chosen: list[tuple[int, str]] = []
    for queued_id, domain in dict.fromkeys((queued_id, domain) for _, _, queued_id, domain in sorted(rows)):
        left = room.get(domain, unknown)
        if left > 0:
            room[domain] = left - 1
            chosen.append((queued_id, domain))
            if len(chosen) == limit:
                break
    return chosen


_QUEUED_COLUMNS = (
    "id", "message_id", "message__size", "trace_id", "reverse_path", "sender_id", "smtputf8", "created_at",
    "expires_at", "envid", "ret", "require_tls", "is_binary", "tls_optional", "priority", "deliver_by",
    "by_mode",
)  # fmt: skip
_ENVELOPE_COLUMNS = 9  # of them come before a Job's domain and recipients
_BY_COLUMNS = 2  # the last


def _jobs(token: str, recipients: Mapping[tuple[int, str], Sequence[ClaimedRecipient]]) -> list[Job]:
    """One job for each group that has recipients."""
    rows = QueuedMessage.objects.filter(id__in={queued_id for queued_id, _ in recipients})
    messages = {row[0]: row for row in rows.values_list(*_QUEUED_COLUMNS)}
    contents = dict(read_messages([row[1] for row in messages.values() if row[2] <= SMALL_OCTETS]))
    domains = {domain for _, domain in recipients}
    ours = set(Domain.objects.filter(name__in=domains, is_active=True).values_list("name", flat=True))
    jobs: list[Job] = []
    for (queued_id, domain), chosen in recipients.items():
        row = messages.get(queued_id)
        if chosen and row is not None:
            envelope, asked = row[:_ENVELOPE_COLUMNS], row[_ENVELOPE_COLUMNS:-_BY_COLUMNS]
            route = chosen[0].route
            goes_home = domain in ours and not route
            way = (_deliver_by(*row[-_BY_COLUMNS:]), goes_home, route, None, contents.get(row[1]))
            fields: tuple[Any, ...] = (*envelope, domain, tuple(chosen), *asked, *way)
            jobs.append(Job(token, *fields))
    return jobs


def _deliver_by(at: datetime | None, mode: str) -> DeliverBy | None:
    return DeliverBy(at, mode[0], mode.endswith("T")) if at is not None else None


def renew(tx: Transaction, tokens: Iterable[str]) -> None:
    """The work goes on: keep the leases for another QUEUE_LEASE_S."""
    lease_until = tx.now + timedelta(seconds=settings.QUEUE_LEASE_S)
    QueuedRecipient.objects.filter(lease_token__in=list(tokens)).update(lease_until=lease_until)


def release_runners(tx: Transaction, runner_ids: Iterable[str], *, have_died: bool = True) -> int:
    """Whoever comes next may claim, at once, what these runners had claimed; how many recipients that is.

    For runners that are dead, and for one that has stopped. A message that was in the hands of MAX_CRASHES runners
    that died may be what kills them: it is set aside, for an administrator to look at."""
    released = 0
    for runner_id in runner_ids:
        held = QueuedRecipient.objects.filter(lease_token__startswith=f"{runner_id}.")
        if have_died:
            held.update(crashes=F("crashes") + 1)
            suspects = held.filter(crashes__gte=MAX_CRASHES, state__in=OPEN_STATES)
            _set_aside(tx, list(suspects.values_list("id", flat=True)))
        released += held.update(lease_until=None, lease_token="")
    return released


def _set_aside(tx: Transaction, ids: Sequence[int]) -> None:
    text = f"Set aside: the server ended {MAX_CRASHES} times while it was sending this message"
    rows = QueuedRecipient.objects.filter(id__in=ids)
    for trace_id, sender, address in rows.values_list("queued__trace_id", "queued__reverse_path", "address"):
        tx.events.append(Event(trace_id, Step.HELD, "temporary", sender, address, detail=text))
    rows.update(state=RecipientState.HELD, last_reply=text)


def next_due(now: datetime, blocked: Collection[str]) -> datetime | None:
    """When the next free recipient is due, those of `blocked` domains apart; None: there is none."""
    waiting = QueuedRecipient.objects.filter(_free(now)).exclude(domain__in=list(blocked))
    moments = [waiting.filter(state=s).aggregate(moment=Min("next_attempt"))["moment"] for s in OPEN_STATES]
    return min((moment for moment in moments if moment is not None), default=None)
