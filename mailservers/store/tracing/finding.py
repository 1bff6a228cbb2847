"""Finding messages by their summaries: by any of who, what, when and what became of it, newest first.

Everything asked for is a term (`terms`), so that a search walks the rarest one's rows from the newest on and looks
each of them up under the others: an index alone answers. Pages begin after the last row of the one before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import Exists, Model, OuterRef, QuerySet

from mailservers.models import DeliveryEvent, TraceSummary, TraceTerm
from mailservers.store.event_position import LATE_S
from mailservers.store.tracing import terms
from mailservers.store.tracing.summary import State

Row = TypeVar("Row", bound=Model)
PAGE = 50
RARE = 20_000  # a term with fewer rows is as good as any


@dataclass(frozen=True, slots=True)
class Wanted:
    """Empty values ask for nothing. `party`, `other`: an address, a domain, or what is before an @ ; of the sender or
    of a recipient. `number`: the trace id that a 250 reply named. `peer`: an IP address."""

    party: str = ""
    other: str = ""
    message_id: str = ""
    subject: str = ""
    state: str = ""
    direction: str = ""
    number: str = ""
    peer: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def terms(self) -> Iterator[str]:
        yield from (terms.wanted_party(text) for text in (self.party, self.other) if text)
        if self.message_id:
            yield terms.message_id(self.message_id)
        yield from terms.subject_words(self.subject)
        if self.state and self.direction:
            yield terms.state_of(self.state, self.direction)
        elif self.state:
            yield terms.state(self.state)
        elif self.direction:
            yield terms.direction(self.direction)
        if self.peer:
            yield terms.peer(self.peer)


def find(
    wanted: Wanted, *, domains: Collection[str] | None = None, before: int = 0, limit: int = PAGE
) -> list[TraceSummary]:
    """The newest that fit, with an id under `before` (0: all). `domains`: only those with a party of one of them."""
    lower, upper = _bounds(wanted, before)
    if upper is not None and upper <= lower:
        return []
    if wanted.number:
        rows = TraceSummary.objects.filter(trace_id=wanted.number)
        return list(_admitted(rows, wanted, domains, "pk"))
    keys = [terms.key(term) for term in wanted.terms()]
    if not keys:
        rows = _between(TraceSummary.objects.all(), "pk", lower, upper)
        return list(_admitted(rows, wanted, domains, "pk").order_by("-pk")[:limit])
    first, *others = sorted(keys, key=_rows_up_to_rare)
    found = _between(TraceTerm.objects.filter(key=first), "trace_id", lower, upper)
    for other in others:
        found = found.filter(_has([other], "trace_id"))
    if domains is not None:
        found = found.filter(_has(_domain_keys(domains), "trace_id"))
    found = _timely(found, wanted, "trace__")
    return [term.trace for term in found.select_related("trace").order_by("-trace_id")[:limit]]


def visible(summary: TraceSummary, domains: Collection[str] | None) -> TraceSummary:
    """Without what concerns other domains only, as far as the sender is not of one's own."""
    if domains is None or summary.sender.rpartition("@")[2].lower() in domains:
        return summary
    own = {who: place for who, place in summary.places.items() if who.rpartition("@")[2] in domains}
    order = {state.value: at for at, state in enumerate(State)}
    state = max((place[0] for place in own.values()), key=order.__getitem__, default=State.ACCEPTED.value)
    summary.places, summary.state = own, state
    return summary


def _admitted(
    rows: QuerySet[TraceSummary], wanted: Wanted, domains: Collection[str] | None, pk: str
) -> QuerySet[TraceSummary]:
    for term in wanted.terms():
        rows = rows.filter(_has([terms.key(term)], pk))
    if domains is not None:
        rows = rows.filter(_has(_domain_keys(domains), pk))
    return _timely(rows, wanted, "")


def _has(keys: Collection[int], trace: str) -> Exists:
    return Exists(TraceTerm.objects.filter(key__in=keys, trace_id=OuterRef(trace)))


def _domain_keys(domains: Collection[str]) -> list[int]:
    return [terms.key(terms.domain(name)) for name in domains]


def _rows_up_to_rare(key: int) -> int:
    return TraceTerm.objects.filter(key=key)[:RARE].count()


def _bounds(wanted: Wanted, before: int) -> tuple[int, int | None]:
    """Ids between which the traces of the wanted time lie: (over, under)."""
    lower, upper = 0, before or None
    late = timedelta(seconds=LATE_S)
    if wanted.since:
        row = DeliveryEvent.objects.filter(at__gte=wanted.since - late).order_by("at").values_list("pk", flat=True)
        lower = max(0, (row.first() or 2**62) - 1)
    if wanted.until:
        row = DeliveryEvent.objects.filter(at__gt=wanted.until + late).order_by("at").values_list("pk", flat=True)
        end = row.first()
        upper = min(upper or 2**62, end) if end is not None else upper
    return lower, upper


def _between(rows: QuerySet[Row], name: str, lower: int, upper: int | None) -> QuerySet[Row]:
    if lower:
        rows = rows.filter(**{f"{name}__gt": lower})
    return rows.filter(**{f"{name}__lt": upper}) if upper is not None else rows


def _timely(rows: QuerySet[Row], wanted: Wanted, prefix: str) -> QuerySet[Row]:
    if wanted.since:
        rows = rows.filter(**{f"{prefix}first_at__gte": wanted.since})
    return rows.filter(**{f"{prefix}first_at__lte": wanted.until}) if wanted.until else rows
