"""Reading the events that came since the last time, and writing down what they come to.

`prepare` reads and computes, in a reader's thread; `write` is one short store operation that counts only if nobody else
has gone on from the same event meanwhile (compare-and-set), so any number of processes may do this.

Row ids are given out in order but, on PostgreSQL, not committed in order: behind an id that is missing nothing is read
until LATE_S have passed, the longest that a transaction takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Max, Q
from django.utils import timezone

from accounts.models import Domain
from mailservers.formats.mailbox_address import domain_spellings
from mailservers.models import DeliveryEvent, EventsRead, HourCount, TraceSummary, TraceTerm
from mailservers.store.event_position import LATE_S
from mailservers.store.inserting import execute_rows, insert
from mailservers.store.statements import marks
from mailservers.store.statements import write as write_statement
from mailservers.store.tracing import hours, terms
from mailservers.store.tracing.summary import Direction, State, Summary, begin
from mailservers.store.tracing.terms import key
from mailservers.store.transaction import Event, Transaction

BATCH = 500  # events
FORGOTTEN_AT_ONCE = 500


def _passing() -> Iterator[str]:
    """Terms of a trace that may be true no more later on."""
    for direction in Direction:
        yield terms.direction(direction)
        yield from (terms.state_of(state, direction) for state in State)
    yield from map(terms.state, State)


_PASSING = frozenset(key(term) for term in _passing())
_SUMMARY = (
    "id", "trace_id", "first_at", "last_at", "direction", "sender", "subject", "message_id", "size", "state", "places",
)  # fmt: skip

_EVENT = ("trace_id", "step", "outcome", "sender", "recipient", "peer", "detail", "data", "at", "id")


@dataclass(frozen=True, slots=True)
class Fed:
    """What a batch of events comes to. `after`, `up_to`: ids of events."""

    after: int
    up_to: int
    summaries: list[Summary]
    known: frozenset[int]  # of those summaries, the ids of the ones that are there already
    new_terms: list[tuple[int, int]]  # (key, summary)
    old_terms: list[int]  # rows
    counts: dict[hours.Key, list[int]] = field(default_factory=dict)  # [count, amount]


def read_up_to() -> int:
    return EventsRead.objects.values_list("up_to", flat=True).first() or 0


def backlog() -> int:
    """About how many events wait to be read."""
    newest = DeliveryEvent.objects.aggregate(newest=Max("id"))["newest"] or 0
    return max(0, newest - read_up_to())


def prepare(limit: int = BATCH) -> Fed | None:
    """None when there is nothing to read."""
    after = read_up_to()
    events = _next_events(after, limit)
    if not events:
        return None
    summaries, known = _summaries(events)
    counts: dict[hours.Key, list[int]] = {}
    ours = _our_domains()
    for event in events:
        summary = summaries[event.trace_id]
        summary.add(event)
        for counted in hours.count(event, ours, summary.first_at):
            total = counts.setdefault(counted.key, [0, 0])
            total[0] += 1
            total[1] += counted.amount
    new_terms, old_terms = _terms(summaries.values(), known)
    return Fed(after, events[-1].id, list(summaries.values()), known, new_terms, old_terms, counts)


def write(tx: Transaction, fed: Fed) -> bool:
    """Store operation. False when another process was quicker."""
    if not _move_on(fed):
        return False
    if fed.old_terms:
        TraceTerm.objects.filter(pk__in=fed.old_terms).delete()
    known = sorted(fed.known)
    if known:  # in place of what they were: the rows that refer to them are looked at when all is written
        write_statement(f"DELETE FROM mailservers_tracesummary WHERE id IN ({marks(len(known))})", known)
    insert(TraceSummary, _SUMMARY, [_row(summary) for summary in fed.summaries], want_ids=False)
    insert(TraceTerm, ("key", "trace_id"), fed.new_terms, want_ids=False)
    _add_counts(fed.counts)
    return True


def forget_summaries(tx: Transaction, before: datetime) -> int:
    """Store operation: remove the oldest whose last event was before then; how many, at most FORGOTTEN_AT_ONCE."""
    old = TraceSummary.objects.filter(last_at__lt=before).order_by("last_at").values_list("pk", flat=True)
    gone = list(old[:FORGOTTEN_AT_ONCE])
    TraceTerm.objects.filter(trace_id__in=gone).delete()
    TraceSummary.objects.filter(pk__in=gone).delete()
    return len(gone)


def forget_addresses(tx: Transaction, before: datetime) -> int:
    """Store operation: remove the counts of single addresses from before then; those of domains stay."""
    gone, _ = HourCount.objects.filter(hour__lt=before).exclude(party="").exclude(party__startswith="@").delete()
    return gone


def _next_events(after: int, limit: int) -> list[Event]:
    rows = DeliveryEvent.objects.filter(id__gt=after).order_by("id").values_list(*_EVENT)[:limit]
    events = [Event(*row) for row in rows]
    if connection.vendor == "sqlite":  # one writer at a time: ids are committed in order
        return events
    return settled(after, events, timezone.now() - timedelta(seconds=LATE_S))


def settled(after: int, events: Sequence[Event], late: datetime) -> list[Event]:
    """Those before the first missing id behind which an event is younger than `late`."""
    for at, event in enumerate(events):
        assert event.at is not None
        if event.id != after + 1 and after and event.at > late:
            return list(events[:at])
        after = event.id
    return list(events)


def _summaries(events: Iterable[Event]) -> tuple[dict[str, Summary], frozenset[int]]:
    """By trace, as far as it is known; and which of them have a row."""
    first: dict[str, Event] = {}
    for event in events:
        first.setdefault(event.trace_id, event)
    found = {row.trace_id: row for row in TraceSummary.objects.filter(trace_id__in=first)}
    summaries = {}
    for trace_id, event in first.items():
        row = found.get(trace_id)
        summaries[trace_id] = begin(event) if row is None else _read(row)
    return summaries, frozenset(row.pk for row in found.values())


def _read(row: TraceSummary) -> Summary:
    return Summary(
        row.pk, row.trace_id, row.first_at, row.last_at, row.direction, row.sender, row.subject, row.message_id,
        row.size, dict(row.places), is_turned_away=row.state == "refused" and not row.places,
    )  # fmt: skip


def _row(summary: Summary) -> tuple[object, ...]:
    s = summary
    return (
        s.id, s.trace_id, s.first_at, s.last_at, s.direction, s.sender, s.subject, s.message_id, s.size, s.state,
        s.places,
    )  # fmt: skip


def _terms(summaries: Iterable[Summary], known: frozenset[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Rows to write, and rows that are true no more: states that have passed."""
    there: dict[int, dict[int, int]] = {pk: {} for pk in known}
    for pk, number, trace in TraceTerm.objects.filter(trace_id__in=known).values_list("pk", "key", "trace_id"):
        there[trace][number] = pk
    new, old = [], []
    for summary in summaries:
        wanted, has = {key(term) for term in summary.all_terms()}, there.get(summary.id, {})
        new += [(number, summary.id) for number in wanted if number not in has]
        old += [pk for number, pk in has.items() if number in _PASSING and number not in wanted]
    return new, old


def _our_domains() -> set[str]:
    """In every spelling."""
    return {spelling for name in Domain.objects.values_list("name", flat=True) for spelling in domain_spellings(name)}


def _move_on(fed: Fed) -> bool:
    if EventsRead.objects.filter(up_to=fed.after).update(up_to=fed.up_to):
        return True
    if fed.after or EventsRead.objects.exists():
        return False
    EventsRead.objects.create(pk=1, up_to=fed.up_to)
    return True


_ADD = """
    WITH new(id, count, amount) AS (VALUES {})
    UPDATE mailservers_hourcount SET
        count = mailservers_hourcount.count + new.count, amount = mailservers_hourcount.amount + new.amount
    FROM new WHERE mailservers_hourcount.id = new.id
"""


def _add_counts(counts: dict[hours.Key, list[int]]) -> None:
    there = _counted(counts)
    execute_rows(_ADD, [(there[k], *added) for k, added in counts.items() if k in there])
    rows = [(*k, number, amount) for k, (number, amount) in counts.items() if k not in there]
    insert(HourCount, ("hour", "measure", "party", "detail", "count", "amount"), rows, want_ids=False)


def _counted(counts: Iterable[hours.Key]) -> dict[hours.Key, int]:
    """Which of them have rows, and which."""
    parties: dict[datetime, set[str]] = {}
    for k in counts:
        parties.setdefault(k.hour, set()).add(k.party)
    wanted = Q(pk__in=())
    for hour, names in parties.items():
        wanted |= Q(hour=hour, party__in=names)
    rows = HourCount.objects.filter(wanted).values_list("pk", "hour", "measure", "party", "detail")
    return {hours.Key(hour, measure, party, detail): pk for pk, hour, measure, party, detail in rows}
