"""Delivery events as people read them: one step is one plain sentence. Also finding them: by page, by message."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Q
from django.utils import timezone

from accounts.roles import Scope
from mailservers.models import DeliveryEvent
from mailservers.store.events import Step
from mailservers.store.transaction import Event

PAGE = 100  # events
LOOK_BACK = 50_000  # events looked through for one page when an address is asked for
MAX_FILTER = 320  # characters

# step: (label, icon, sentence); {sender} and {recipient} are never empty, {peer} and {detail} may be
STEPS: dict[str, tuple[str, str, str]] = {
    Step.RECEIVED: ("Received", "download", "Accepted from another server for {recipient}."),
    Step.SUBMITTED: ("Submitted", "pencil", "{sender} handed in a message for {recipient}."),
    Step.CHECKED: ("Checked", "shield-check", "Looked at who vouches for the message from {sender}."),
    Step.REFUSED: ("Refused", "ban", "Refused a message from {sender} for {recipient}."),
    Step.DISCONNECTED: ("Turned away", "unplug", "{peer} connected and left without a message."),
    Step.FILED: ("Delivered", "inbox", "Delivered to {recipient}."),
    Step.OPENED: ("Opened", "mail-open", "{recipient} got the text for the first time."),
    Step.QUEUED: ("Queued", "clock", "Waits to be sent to {recipient}."),
    Step.ATTEMPTED: ("Deferred", "refresh-cw", "Could not be sent to {recipient} yet; it will be tried again."),
    Step.SENT: ("Sent", "send", "{peer} took it for {recipient}."),
    Step.FAILED: ("Failed", "circle-x", "Could not be sent to {recipient}, for good."),
    Step.BOUNCED: ("Sender told", "undo-2", "A notice to {sender}."),
    Step.HELD: ("Set aside", "pause", "Waits for an administrator; it is not sent to {recipient} until then."),
    Step.CORRECTED: ("Corrected", "pencil", "The address was corrected: {recipient}."),
    Step.CANCELLED: ("Cancelled", "trash-2", "Taken out of the queue: it will not be sent to {recipient}."),
}
OUTCOMES = (
    ("", "All outcomes"),
    ("ok", "Fine"),
    ("temporary", "To be tried again"),
    ("permanent", "Refused or failed"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One event, ready to be shown; the same in a page and over the WebSocket."""

    id: int
    at: datetime
    trace_id: str
    step: str
    label: str
    icon: str
    outcome: str
    sender: str
    recipient: str
    sentence: str
    detail: str
    subject: str
    reasons: tuple[dict[str, Any], ...] = ()  # of a checked message: name, weight, text

    def as_json(self) -> dict[str, Any]:
        local = timezone.localtime(self.at)
        return {
            "id": self.id,
            "at": local.isoformat(timespec="milliseconds"),
            "time": f"{local:%H:%M:%S}",
            "trace_id": self.trace_id,
            "step": self.step,
            "label": self.label,
            "outcome": self.outcome,
            "sentence": self.sentence,
            "detail": self.detail,
            "subject": self.subject,
        }


def row(event: Event | DeliveryEvent) -> Row:
    """An event's row; the subject only where the event carries it (the first step)."""
    label, icon, sentence = STEPS.get(event.step, (event.step.capitalize(), "circle", "{recipient}"))
    words = {
        "sender": event.sender or "the mail system (empty reverse-path)",
        "recipient": event.recipient or "nobody yet",
        "peer": event.peer or "The other server",
    }
    return Row(
        id=event.pk if isinstance(event, DeliveryEvent) else event.id,
        at=event.at or timezone.now(),
        trace_id=event.trace_id,
        step=event.step,
        label=label,
        icon=icon,
        outcome=event.outcome,
        sender=event.sender,
        recipient=event.recipient,
        sentence=sentence.format(**words),
        detail=event.detail,
        subject=str(event.data.get("subject") or ""),
        reasons=tuple(event.data.get("reasons") or ()),
    )


@dataclass(frozen=True, slots=True)
class Filter:
    """What one viewer wants to see. `address`: part of the sender or a recipient, or a whole trace id."""

    address: str = ""
    outcome: str = ""

    @classmethod
    def of(cls, address: object, outcome: object) -> Filter:
        """From what a browser sent; anything odd becomes no filter."""
        words = address.strip().lower()[:MAX_FILTER] if isinstance(address, str) else ""
        return cls(words, outcome if isinstance(outcome, str) and outcome in dict(OUTCOMES) else "")

    def admits(self, event: Event) -> bool:
        if self.outcome and event.outcome != self.outcome:
            return False
        if not self.address:
            return True
        return (
            self.address in event.sender.lower()
            or self.address in event.recipient.lower()
            or self.address == event.trace_id
        )


@dataclass(frozen=True, slots=True)
class LogPage:
    """Newest first. `older` is the id to page on from, 0 at the end; `newest` is the last event there is."""

    rows: list[Row]
    older: int
    newest: int


def log_page(scope: Scope, wanted: Filter, before: int = 0) -> LogPage:
    """Events before the id `before` (0: the newest). Bounded: at most LOOK_BACK events are looked through, so a page
    of a rare address may have few rows, or none, and still an older one."""
    newest = DeliveryEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    start = before or newest + 1
    floor = max(0, start - LOOK_BACK - 1) if wanted != Filter() or not scope.is_everything else 0
    events = scope.events().filter(pk__lt=start, pk__gt=floor)
    if wanted.address:
        party = Q(sender__icontains=wanted.address) | Q(recipient__icontains=wanted.address)
        events = events.filter(party | Q(trace_id=wanted.address))
    if wanted.outcome:
        events = events.filter(outcome=wanted.outcome)
    found = list(events.order_by("-pk")[: PAGE + 1])
    older = found[PAGE - 1].pk if len(found) > PAGE else (floor + 1 if floor else 0)
    return LogPage([row(seen_by(scope, event)) for event in found[:PAGE]], older, newest)


def events_after(last: int, limit: int) -> list[Event]:
    """The newest `limit` events with an id over `last`, in order: what a viewer missed."""
    found = DeliveryEvent.objects.filter(pk__gt=last).order_by("-pk")[:limit]
    return [
        Event(e.trace_id, e.step, e.outcome, e.sender, e.recipient, e.peer, e.detail, e.data, e.at, e.pk)
        for e in reversed(found)
    ]


def trace_rows(scope: Scope, trace_id: str, limit: int = 500) -> list[Row]:
    """All steps of a message that one may see, in order."""
    events = scope.events().filter(trace_id=trace_id).order_by("pk")[:limit]
    return [row(seen_by(scope, event)) for event in events]


AnyEvent = TypeVar("AnyEvent", Event, DeliveryEvent)


def seen_by(scope: Scope, event: AnyEvent) -> AnyEvent:
    """Of a step with several recipients, those of other domains are not told, unless the sender is of one's own."""
    if scope.sees(event.sender, "") or "," not in event.recipient:
        return event
    event = copy(event)
    theirs = event.recipient.split(", ")
    event.recipient = ", ".join(address for address in theirs if scope.sees("", address))
    return event


def first_of(rows: Iterable[Row], name: str) -> str:
    """The first value of a column that is not empty, or ""."""
    return next((value for value in (getattr(row, name) for row in rows) if value), "")
