"""One trace in short: who wrote, about what, and where the message is now for each of its recipients.

Made from the trace's events in their order (`add`), a few at a time: what was known is the start of what comes next.
Reads and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mailservers.store.events import Step
from mailservers.store.tracing import terms
from mailservers.store.transaction import Event

MAX_PLACES = 100  # recipients whose place is kept
MAX_WHERE = 120


class State(StrEnum):
    """Of a message for one recipient; the later in this order the more it deserves to be looked at."""

    ACCEPTED = "accepted"  # and nothing else is known yet
    OPENED = "opened"
    DELIVERED = "delivered"
    SENT = "sent"
    CANCELLED = "cancelled"
    WAITING = "waiting"
    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed"


_GRAVITY = {state.value: gravity for gravity, state in enumerate(State)}
_AFTER = {  # what a step makes of its recipient's state
    Step.FILED: State.DELIVERED,
    Step.QUEUED: State.WAITING,
    Step.ATTEMPTED: State.WAITING,
    Step.HELD: State.HELD,
    Step.SENT: State.SENT,
    Step.FAILED: State.FAILED,
    Step.CANCELLED: State.CANCELLED,
    Step.REFUSED: State.REFUSED,
    Step.OPENED: State.OPENED,
}


class Direction(StrEnum):
    IN = "in"  # from elsewhere
    OUT = "out"  # from one of our users, to whomever
    OWN = "own"  # notices and reports that we write


_DIRECTION = {
    Step.RECEIVED: Direction.IN,
    Step.REFUSED: Direction.IN,
    Step.DISCONNECTED: Direction.IN,
    Step.SUBMITTED: Direction.OUT,
}


@dataclass(slots=True)
class Summary:
    """`terms`: what the trace is found by, besides its states."""

    id: int
    trace_id: str
    first_at: datetime
    last_at: datetime
    direction: str = Direction.OWN
    sender: str = ""
    subject: str = ""
    message_id: str = ""
    size: int = 0
    places: dict[str, list[str]] = field(default_factory=dict)
    terms: set[str] = field(default_factory=set)
    is_turned_away: bool = False

    @property
    def state(self) -> str:
        if self.is_turned_away:
            return State.REFUSED
        return max((state for state, _ in self.places.values()), key=_GRAVITY.__getitem__, default=State.ACCEPTED)

    def add(self, event: Event) -> None:
        """What this event, the next one, makes of it."""
        assert event.at is not None
        self.last_at = max(self.last_at, event.at)
        if event.step in _DIRECTION and self.direction == Direction.OWN:
            self.direction = _DIRECTION[event.step]
        self.sender = self.sender or event.sender
        self.terms.update(terms.party(event.sender))
        if event.step == Step.DISCONNECTED:
            self.is_turned_away = True
        if event.step in (Step.RECEIVED, Step.SUBMITTED, Step.REFUSED, Step.DISCONNECTED) and event.peer:
            self.terms.add(terms.peer(event.peer))
        self._learn(event)
        for recipient in recipients_of(event):
            self.terms.update(terms.party(recipient))
            self._place(recipient.lower(), event)

    def _learn(self, event: Event) -> None:
        """What the first step tells of the message."""
        subject, message_id, size = (event.data.get(name) for name in ("subject", "message_id", "size"))
        if isinstance(subject, str) and subject:
            self.subject = subject[:500]
            self.terms.update(terms.subject_words(subject))
        if isinstance(message_id, str) and message_id:
            self.message_id = message_id[:998]
            self.terms.add(terms.message_id(message_id))
        if isinstance(size, int):
            self.size = size
        if isinstance(event.data.get("for"), str):
            self.terms.update(terms.party(str(event.data["for"])))

    def _place(self, recipient: str, event: Event) -> None:
        state = _AFTER.get(event.step)
        if state is None or (recipient not in self.places and len(self.places) >= MAX_PLACES):
            return
        if state is State.OPENED and self.places.get(recipient, [""])[0] not in (State.DELIVERED, State.OPENED):
            return
        where = _where(event)
        if state is State.OPENED:
            before = self.places[recipient][1]
            where = before if where in before else f"{before}; {where}"[:MAX_WHERE]
        self.places[recipient] = [state, where]

    def all_terms(self) -> set[str]:
        states = {state for state, _ in self.places.values()} | {self.state}
        pairs = {terms.state_of(state, self.direction) for state in states}
        return self.terms | {terms.direction(self.direction)} | {terms.state(state) for state in states} | pairs


def begin(event: Event) -> Summary:
    """Of a trace whose first event this is; it is still to be added."""
    assert event.at is not None
    return Summary(event.id, event.trace_id, event.at, event.at)


def recipients_of(event: Event) -> Iterator[str]:
    yield from (address for address in event.recipient.split(", ") if address)


def _where(event: Event) -> str:
    """In a few words: the folder, the host that has it, what was said."""
    if event.step == Step.FILED:
        return event.detail.removeprefix("Put into ").partition(" (for ")[0][:MAX_WHERE]
    if event.step == Step.SENT:
        return event.peer[:MAX_WHERE]
    return event.detail.partition("\n")[0][:MAX_WHERE]
