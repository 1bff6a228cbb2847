"""The numbers of the overview: of the hours that were counted, for the domains that one looks after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from accounts.console.charts import Chart, Series, bars
from accounts.roles import Scope
from mailservers.models import HourCount
from mailservers.store.tracing.hours import Measure

TOP = 8
WHY = {  # status codes of RFC 3463 in plain words
    "5.1.1": "nobody has that address",
    "5.1.10": "the domain takes no mail",
    "5.2.2": "the mailbox is full",
    "5.3.4": "too large",
    "5.4.6": "it went round in a circle",
    "5.5.1": "commands in a wrong order",
    "5.7.0": "not signed in, or not allowed",
    "5.7.1": "against our rules: a list, a policy, or junk",
    "5.7.8": "wrong password",
    "5.7.20": "no valid DKIM signature",
    "5.7.23": "SPF says no",
    "5.7.26": "the domain’s DMARC policy says no",
    "4.2.2": "the mailbox is full, for now",
    "4.3.1": "no room on the disk",
    "4.7.0": "too many, too fast",
    "4.7.1": "a first contact, asked to come again",
}


@dataclass(frozen=True, slots=True)
class Period:
    """`step_s`: what one column stands for."""

    name: str
    words: str
    columns: int
    step_s: int

    def starts(self, now: datetime) -> list[datetime]:
        """Of the columns, in UTC, the oldest first."""
        last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        if self.step_s > 3600:
            last = last.replace(hour=0)
        return [last - timedelta(seconds=self.step_s * back) for back in reversed(range(self.columns))]


PERIODS = (
    Period("day", "24 hours", 24, 3600),
    Period("week", "7 days", 7, 24 * 3600),
    Period("month", "30 days", 30, 24 * 3600),
)


@dataclass(frozen=True, slots=True)
class Figures:
    flow: Chart
    refused: Chart
    junk: Chart
    latency: Chart
    why: list[tuple[str, str, int]]  # status, words, how often
    domains: list[tuple[str, int, int, int]]  # name, in, out, refused
    users: list[tuple[str, int, int]]  # address, into the mailbox, out


def figures(scope: Scope, period: Period) -> Figures:
    starts = period.starts(timezone.now())
    rows = HourCount.objects.filter(hour__gte=starts[0])
    mine = rows.filter(party="") if scope.is_everything else rows.filter(party__in=_domains(scope))
    counts: dict[str, Counter[datetime]] = {measure: Counter() for measure in Measure}
    amounts: Counter[datetime] = Counter()
    for hour, measure, count, amount in mine.values_list("hour", "measure").annotate(Sum("count"), Sum("amount")):
        column = hour if period.step_s == 3600 else hour.astimezone(UTC).replace(hour=0)
        counts.setdefault(measure, Counter())[column] += count
        if measure == Measure.SENT:
            amounts[column] += amount

    def of(*measures: Measure) -> list[float]:
        return [float(sum(counts[measure][start] for measure in measures)) for start in starts]

    labels = [_label(start, period) for start in starts]
    filed, junk, sent = of(Measure.FILED), of(Measure.JUNK), of(Measure.SENT)
    share = [100 * bad / all_ if all_ else 0.0 for bad, all_ in zip(junk, filed, strict=True)]
    seconds = [amounts[start] / 1000 / n if n else 0.0 for start, n in zip(starts, sent, strict=True)]
    return Figures(
        bars("Mail in and out", labels, Series("from elsewhere", of(Measure.RECEIVED)),
             Series("from our users", of(Measure.SUBMITTED)), Series("sent to other servers", sent)),
        bars("Refused", labels, Series("messages", of(Measure.REFUSED)),
             Series("connections turned away", of(Measure.TURNED_AWAY))),
        bars("Junk, share of what was delivered", labels, Series("junk", share), unit=" %"),
        bars("Time until another server had it", labels, Series("on average", seconds), unit=" s"),
        _why(mine),
        _top_domains(rows, scope),
        _top_users(rows, scope),
    )  # fmt: skip


def _label(start: datetime, period: Period) -> str:
    local = timezone.localtime(start) if period.step_s == 3600 else start
    return f"{local:%H:%M}" if period.step_s == 3600 else f"{local.day} {local:%b}"


def _why(rows: QuerySet[HourCount]) -> list[tuple[str, str, int]]:
    refused = rows.filter(measure__in=(Measure.REFUSED, Measure.TURNED_AWAY)).values_list("detail")
    return [
        (status or "—", WHY.get(status, "see the log"), count)
        for status, count in refused.annotate(n=Sum("count")).order_by("-n")[:TOP]
    ]


def _top_domains(rows: QuerySet[HourCount], scope: Scope) -> list[tuple[str, int, int, int]]:
    rows = rows.filter(party__startswith="@") if scope.is_everything else rows.filter(party__in=_domains(scope))
    found = _by_party(rows)
    names = sorted(found, key=lambda name: -sum(found[name].values()))[:TOP]
    return [(n[1:], found[n][Measure.RECEIVED], found[n][Measure.SUBMITTED], found[n][Measure.REFUSED]) for n in names]


def _top_users(rows: QuerySet[HourCount], scope: Scope) -> list[tuple[str, int, int]]:
    rows = rows.exclude(party="").exclude(party__startswith="@")
    if not scope.is_everything:
        ours = Q(pk__in=())
        for name in _domains(scope):
            ours |= Q(party__endswith=name)
        rows = rows.filter(ours)
    found = _by_party(rows.filter(measure__in=(Measure.FILED, Measure.SUBMITTED)))
    names = sorted(found, key=lambda name: -sum(found[name].values()))[:TOP]
    return [(name, found[name][Measure.FILED], found[name][Measure.SUBMITTED]) for name in names]


def _by_party(rows: QuerySet[HourCount]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for party, measure, count in rows.values_list("party", "measure").annotate(Sum("count")):
        found.setdefault(party, Counter())[measure] += count
    return found


def _domains(scope: Scope) -> Iterable[str]:
    return [f"@{name}" for name in scope.domain_names]
