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
from django.db import connection
from django.db.models import F, Q, QuerySet

from mailservers.formats.esmtp import NOTHING_ASKED, DeliverBy, DsnRequest
from mailservers.models import QueuedRecipient, RecipientState
from mailservers.outbound.passed_over import PassedOver
from mailservers.outbound.way import Route
from mailservers.store.content import read_messages
from mailservers.store.events import Step
from mailservers.store.statements import fetch, from_moment, marks, to_moment, write
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


def claim(
    tx: Transaction, token: str, limit: int, allowance: Mapping[str, int], passed: PassedOver | None = None
) -> list[Job]:
    """Lease up to `limit` groups that are due, the longest due first; five queries, however many.

    `token`: of this claim alone. `allowance`: how many groups of a domain may be taken; UNKNOWN_DOMAIN of those not
    named. `passed`: what the runner's last claims have passed over."""
    passed = passed or PassedOver()
    full = [domain for domain, room in allowance.items() if room <= 0]
    after = passed.after(full)
    candidates = [_candidates(tx.now, state, full, after) for state in OPEN_STATES]
    groups = _choose([row for rows in candidates for row in rows], limit, allowance)
    recipients = _recipients_of(tx.now, groups) if groups else {}
    leased = [recipient.id for chosen in recipients.values() for recipient in chosen]
    _lease(tx, token, leased)
    _note_passed(tx, passed, full, after, candidates, leased)
    return _jobs(token, recipients)


def _recipients_of(now: datetime, groups: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[ClaimedRecipient]]:
    """Those that go in one transaction with the first of their group."""
    recipients: dict[tuple[int, str], list[ClaimedRecipient]] = {group: [] for group in groups}
    for queued_id, domain, *columns in _due_of(now, sorted({queued_id for queued_id, _ in groups})):
        chosen, claimed = recipients.get((queued_id, domain)), _claimed(*columns)
        if chosen is not None and len(chosen) < MAX_RECIPIENTS and (not chosen or chosen[0].route == claimed.route):
            chosen.append(claimed)
    return recipients


def _note_passed(
    tx: Transaction,
    passed: PassedOver,
    full: Sequence[str],
    after: int,
    candidates: Sequence[Sequence[tuple[Any, ...]]],
    leased: Collection[int],
) -> None:
    """All that was due besides full domains is taken: the next claims begin behind it."""
    taken = set(leased)
    if full and all(len(rows) < CANDIDATES and all(row[1] in taken for row in rows) for rows in candidates):
        last_id = fetch("SELECT COALESCE(MAX(id), 0) FROM mailservers_queuedrecipient", [])[0][0]
        tx.after_commit.append(lambda: passed.note(last_id, full, after))


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
    lease_until = to_moment(tx.now + timedelta(seconds=settings.QUEUE_LEASE_S))
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        statement = "UPDATE mailservers_queuedrecipient SET lease_until = %s, lease_token = %s WHERE id IN ({})"
        write(statement.format(marks(len(some))), [lease_until, token, *some])


def _due_of(now: datetime, queued_ids: Sequence[int]) -> list[tuple[Any, ...]]:
    """The recipients of these messages that are due, locked: _RECIPIENT_COLUMNS."""
    moment = to_moment(now)
    return fetch(
        f"SELECT {', '.join(_RECIPIENT_COLUMNS)} FROM mailservers_queuedrecipient"
        " WHERE (lease_until IS NULL OR lease_until <= %s) AND next_attempt <= %s"
        f" AND state IN ({marks(len(OPEN_STATES))}) AND queued_id IN ({marks(len(queued_ids))})"
        f" ORDER BY id{_skip_locked()}",
        [moment, moment, *OPEN_STATES, *queued_ids],
    )


def _skip_locked() -> str:
    """Locked rows are another runner's claim under way; SQLite has one writer."""
    return " FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""


def _by_id() -> str:
    """SQLite would walk the index that has the order, for the few rows that are new."""
    return " NOT INDEXED" if connection.vendor == "sqlite" else ""


def _due(now: datetime) -> QuerySet[QueuedRecipient]:
    return QueuedRecipient.objects.filter(_free(now), state__in=OPEN_STATES, next_attempt__lte=now)


def _free(now: datetime) -> Q:
    return Q(lease_until=None) | Q(lease_until__lte=now)


def _lockable(rows: QuerySet[QueuedRecipient]) -> QuerySet[QueuedRecipient]:
    """Locked rows are another runner's claim under way; SQLite has one writer and ignores this."""
    return rows.select_for_update(skip_locked=True, of=("self",))


def _choose(rows: Sequence[tuple[Any, ...]], limit: int, allowance: Mapping[str, int]) -> list[tuple[int, str]]:
    """(queued message, domain) of the groups to claim: new ones in the order of their senders' turns, those tried
    before in the order in which they are due."""
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


def _candidates(now: datetime, state: str, full: Sequence[str], after: int) -> list[tuple[Any, ...]]:
    """(what they are ordered by, id, queued id, domain) of the first that are due, along an index; those of `full`
    domains, and all up to the id `after`, are passed over."""
    order = "turn" if state == RecipientState.QUEUED else "next_attempt"
    others = f" AND domain NOT IN ({marks(len(full))})" if full else ""
    newer = " AND id > %s" if after else ""
    moment = to_moment(now)
    return fetch(
        f"SELECT {order}, id, queued_id, domain FROM mailservers_queuedrecipient{_by_id() if after else ''}"
        f" WHERE (lease_until IS NULL OR lease_until <= %s) AND state = %s AND next_attempt <= %s{others}{newer}"
        f" ORDER BY {order} LIMIT {CANDIDATES}{_skip_locked()}",
        [moment, state, moment, *full, *([after] if after else [])],
    )


_QUEUED = """
    SELECT q.id, q.message_id, m.size, q.trace_id, q.reverse_path, q.sender_id, q.smtputf8, q.created_at, q.expires_at,
        q.envid, q.ret, q.require_tls, q.is_binary, q.tls_optional, q.priority, q.deliver_by, q.by_mode
    FROM mailservers_queuedmessage q JOIN mailservers_message m ON m.id = q.message_id WHERE q.id IN ({})
"""


def _jobs(token: str, recipients: Mapping[tuple[int, str], Sequence[ClaimedRecipient]]) -> list[Job]:
    """One job for each group that has recipients."""
    if not recipients:
        return []
    queued_ids = sorted({queued_id for queued_id, _ in recipients})
    messages = {row[0]: row for row in fetch(_QUEUED.format(marks(len(queued_ids))), queued_ids)}
    contents = dict(read_messages([row[1] for row in messages.values() if row[2] <= SMALL_OCTETS]))
    ours = _ours({domain for _, domain in recipients})
    return [
        _job(token, messages[queued_id], domain, chosen, contents, is_ours=domain in ours)
        for (queued_id, domain), chosen in recipients.items()
        if chosen and queued_id in messages
    ]


def _job(
    token: str,
    row: tuple[Any, ...],
    domain: str,
    chosen: Sequence[ClaimedRecipient],
    contents: Mapping[int, bytes],
    *,
    is_ours: bool,
) -> Job:
    *envelope, smtputf8, created, expires, envid, ret, require_tls, is_binary, tls_optional, priority, by, mode = row
    route = chosen[0].route
    fields: tuple[Any, ...] = (
        *envelope,
        bool(smtputf8),
        from_moment(created),
        from_moment(expires),
        domain,
        tuple(chosen),
        envid,
        ret,
        bool(require_tls),
        bool(is_binary),
        bool(tls_optional),
        priority,
        _deliver_by(from_moment(by), mode),
        is_ours and not route,
        route,
        None,  # how it is sent is for `routes` to say
        contents.get(row[1]),
    )
    return Job(token, *fields)


def _ours(domains: Collection[str]) -> set[str]:
    statement = f"SELECT name FROM accounts_domain WHERE is_active AND name IN ({marks(len(domains))})"
    return {name for (name,) in fetch(statement, list(domains))}


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


def next_due(now: datetime, blocked: Collection[str], after: int = 0) -> datetime | None:
    """When the next free recipient is due, those of `blocked` domains apart; None: there is none.

    `after` (`PassedOver.after`): of those up to this id, only what is due later than `now` counts."""
    others = f" AND domain NOT IN ({marks(len(blocked))})" if blocked else ""
    earliest = (
        "SELECT MIN(next_attempt) FROM mailservers_queuedrecipient{}"
        f" WHERE (lease_until IS NULL OR lease_until <= %s) AND state = %s{others}"
    )
    moment = to_moment(now)
    wanted: list[tuple[str, str, Any]] = [("", "", None)]
    if after:
        wanted = [(_by_id(), " AND id > %s", after), ("", " AND next_attempt > %s", moment)]
    statements, values = [], []
    for state in OPEN_STATES:
        for way, condition, value in wanted:
            statements.append(earliest.format(way) + condition)
            values += [moment, state, *blocked, *([value] if condition else [])]
    moments = fetch(" UNION ALL ".join(statements), values)
    return min((from_moment(moment) for (moment,) in moments if moment is not None), default=None)
