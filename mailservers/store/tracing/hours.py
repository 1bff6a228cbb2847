"""What happened within each hour, in numbers: of all, and of each of our domains; within each day of each address.

A pure function of the events, in any order; the numbers of several readings are added up.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from mailservers.store.events import Step
from mailservers.store.tracing.summary import recipients_of
from mailservers.store.transaction import Event


class Measure(StrEnum):
    RECEIVED = "received"  # `amount`: octets
    SUBMITTED = "submitted"  # `amount`: octets
    REFUSED = "refused"  # `detail`: the status code
    TURNED_AWAY = "turned-away"  # connections; `detail`: the status code
    FILED = "filed"  # into mailboxes
    JUNK = "junk"  # of them, into Junk
    SENT = "sent"  # `amount`: milliseconds since it was accepted
    DEFERRED = "deferred"
    FAILED = "failed"


_MEASURES = {
    Step.RECEIVED: Measure.RECEIVED,
    Step.SUBMITTED: Measure.SUBMITTED,
    Step.REFUSED: Measure.REFUSED,
    Step.DISCONNECTED: Measure.TURNED_AWAY,
    Step.FILED: Measure.FILED,
    Step.SENT: Measure.SENT,
    Step.ATTEMPTED: Measure.DEFERRED,
    Step.FAILED: Measure.FAILED,
}
_BY_SENDER = frozenset({Measure.SUBMITTED, Measure.SENT, Measure.DEFERRED, Measure.FAILED})
_STATUS = re.compile(r"\b[45]\d\d ([45]\.\d{1,3}\.\d{1,3})\b")


class Key(NamedTuple):
    hour: datetime
    measure: str
    party: str
    detail: str


class Counted(NamedTuple):
    key: Key
    amount: int


def count(event: Event, our_domains: Collection[str], accepted_at: datetime | None) -> Iterator[Counted]:
    """What to add for an event, once for each of its parties. `our_domains`: lower case; `accepted_at`: the trace's
    beginning."""
    measure = _MEASURES.get(event.step)
    if measure is None or event.at is None:
        return
    hour = event.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    detail, amount = _detail(measure, event), _amount(measure, event, accepted_at)
    measures = [measure]
    if measure is Measure.FILED and event.detail.startswith("Put into Junk"):
        measures.append(Measure.JUNK)
    for one in measures:
        for party in ("", *sorted(_parties(measure, event, our_domains))):
            since = hour if party.startswith("@") or not party else hour.replace(hour=0)
            yield Counted(Key(since, one, party, detail), amount)


def _parties(measure: Measure, event: Event, our_domains: Collection[str]) -> set[str]:
    addresses = [event.sender] if measure in _BY_SENDER else list(recipients_of(event))
    parties = set()
    for address in addresses:
        address = address.lower()
        domain = address.rpartition("@")[2]
        if domain in our_domains:
            parties.add(f"@{domain}")
            if measure is not Measure.REFUSED:  # anybody can have mail to made-up addresses refused
                parties.add(address)
    return parties


def _detail(measure: Measure, event: Event) -> str:
    if measure not in (Measure.REFUSED, Measure.TURNED_AWAY):
        return ""
    found = _STATUS.search(event.detail)
    return found[1] if found else ""


def _amount(measure: Measure, event: Event, accepted_at: datetime | None) -> int:
    if measure in (Measure.RECEIVED, Measure.SUBMITTED):
        size = event.data.get("size")
        return size if isinstance(size, int) else 0
    if measure is Measure.SENT and accepted_at is not None and event.at is not None:
        return max(0, int((event.at - accepted_at).total_seconds() * 1000))
    return 0
