"""What became of a message that a user sent, for each recipient: from the trace, and from the queue while it waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from django.utils import timezone

from mailservers.models import DeliveryEvent, QueuedMessage, QueuedRecipient, RecipientState
from mailservers.outbound.leases import WAITING_STATES
from mailservers.store.events import Step
from mailservers.store.sent_traces import traces_of

MAX_EVENTS = 5000  # looked through for one message
MAX_SHOWN = 200  # recipients


class Stage(StrEnum):
    SCHEDULED = "scheduled"  # waits for its time
    WAITING = "waiting"  # for its turn
    TRYING = "trying"
    DEFERRED = "deferred"
    HELD = "held"  # by an administrator
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Tracked:
    """One recipient of one trace. `said`: the other server's words, or ours, of the last attempt. `recipient_id`: in
    the queue, 0 when it has left it."""

    trace_id: str
    address: str
    stage: Stage
    at: datetime  # of the last step
    said: str = ""
    peer: str = ""
    tls: str = ""
    next_attempt: datetime | None = None
    recipient_id: int = 0
    corrected_to: str = ""
    is_told: bool = False  # a bounce was written

    @property
    def may_act(self) -> bool:
        return self.recipient_id != 0 and self.stage is not Stage.TRYING

    @property
    def may_hurry(self) -> bool:
        return self.may_act and self.stage is not Stage.HELD

    @property
    def may_correct(self) -> bool:
        """What is scheduled can be taken back and edited instead."""
        return self.stage in (Stage.WAITING, Stage.DEFERRED, Stage.FAILED) and not self.corrected_to


_STAGES = {
    Step.QUEUED: Stage.WAITING,
    Step.ATTEMPTED: Stage.DEFERRED,
    Step.HELD: Stage.HELD,
    Step.SENT: Stage.DELIVERED,
    Step.FILED: Stage.DELIVERED,
    Step.FAILED: Stage.FAILED,
    Step.CANCELLED: Stage.CANCELLED,
}


def track(user_id: int, message_id_field: str) -> list[Tracked]:
    """Every recipient of a message that this user sent, in the order of the traces; empty for others' messages."""
    traces = traces_of(user_id, message_id_field)
    if not traces:
        return []
    found: dict[tuple[str, str], Tracked] = {}
    for event in DeliveryEvent.objects.filter(trace_id__in=traces).order_by("id")[:MAX_EVENTS]:
        address = str(event.data.get("for") or event.recipient)  # of a group, its address and not its members'
        key = (event.trace_id, address.lower())
        if event.step in _STAGES:
            found[key] = _after(event, address)
        elif event.step == Step.CORRECTED and key in found:
            found[key] = replace(found[key], corrected_to=str(event.data.get("corrected_to") or ""))
        elif event.step == Step.BOUNCED:
            _note_told(found, event)
    for row in _waiting(user_id, traces):
        key = (row.queued.trace_id, row.address.lower())
        found[key] = _as_queued(row, found.get(key))
    order = {trace_id: n for n, trace_id in enumerate(traces)}
    return sorted(found.values(), key=lambda one: order[one.trace_id])[:MAX_SHOWN]


def _after(event: DeliveryEvent, address: str) -> Tracked:
    return Tracked(
        event.trace_id,
        address,
        _STAGES[event.step],
        event.at,
        event.detail,
        event.peer,
        str(event.data.get("tls") or ""),
    )


def _note_told(found: dict[tuple[str, str], Tracked], event: DeliveryEvent) -> None:
    for address in event.data.get("about") or ():
        key = (event.trace_id, str(address).lower())
        if key in found and found[key].stage is Stage.FAILED and event.outcome == "ok":
            found[key] = replace(found[key], is_told=True)


def _waiting(user_id: int, traces: Sequence[str]) -> list[QueuedRecipient]:
    rows = QueuedRecipient.objects.filter(queued__trace_id__in=traces, queued__sender_id=user_id)
    return list(rows.filter(state__in=WAITING_STATES).select_related("queued").order_by("id")[:MAX_SHOWN])


def _as_queued(row: QueuedRecipient, said: Tracked | None) -> Tracked:
    now = timezone.now()
    if row.lease_until is not None and row.lease_until > now:
        stage = Stage.TRYING
    elif row.state == RecipientState.HELD:
        stage = Stage.HELD
    elif row.attempts or row.last_reply:
        stage = Stage.DEFERRED
    else:
        stage = Stage.SCHEDULED if row.next_attempt > now else Stage.WAITING
    return Tracked(
        row.queued.trace_id,
        row.address,
        stage,
        row.last_attempt or row.queued.created_at,
        row.last_reply or (said.said if said is not None and stage is Stage.HELD else ""),
        said.peer if said is not None and stage is Stage.DEFERRED else "",
        said.tls if said is not None and stage is Stage.DEFERRED else "",
        row.next_attempt,
        row.pk,
    )


@dataclass(frozen=True, slots=True)
class NextTry:
    """When a message in the Outbox goes, or is tried again; `at` None: an administrator holds it."""

    at: datetime | None
    is_first: bool


def next_tries(mailbox_id: int, uids: Sequence[int]) -> dict[int, NextTry]:
    """By UID in an Outbox: the soonest of each message's recipients."""
    rows = QueuedRecipient.objects.filter(queued__outbox_id=mailbox_id, queued__outbox_uid__in=list(uids))
    rows = rows.filter(state__in=WAITING_STATES).order_by("next_attempt")
    found: dict[int, NextTry] = {}
    for uid, state, moment, attempts in rows.values_list("queued__outbox_uid", "state", "next_attempt", "attempts"):
        is_held = state == RecipientState.HELD
        if uid is not None and (uid not in found or (found[uid].at is None and not is_held)):
            found[uid] = NextTry(None if is_held else moment, attempts == 0)
    return found


def trace_of_place(user_id: int, mailbox_id: int, uid: int) -> str:
    """The trace of the user's message with this place in the Outbox; "" when it has left the queue."""
    queued = QueuedMessage.objects.filter(sender_id=user_id, outbox_id=mailbox_id, outbox_uid=uid)
    return queued.values_list("trace_id", flat=True).first() or ""


def is_over(tracked: Sequence[Tracked]) -> bool:
    """Nothing more will happen."""
    return all(one.stage in (Stage.DELIVERED, Stage.FAILED, Stage.CANCELLED) for one in tracked)
