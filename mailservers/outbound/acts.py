"""What people do to queued mail: one store operation for each act, for the console, the webmail and the command line.

Every act takes ids of recipients, leaves those alone that an attempt has in its hands, and writes an event that says
who did it. The lease decides: an act and a claim both take the recipient's row under its lock, so a recipient is
either cancelled or sent, never both; `Acted.in_flight` counts those for which the act came too late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from mailservers.models import QueuedMessage, QueuedRecipient, RecipientState
from mailservers.outbound.leases import OPEN_STATES, WAITING_STATES, claim_recipients
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.outbound.results import Attempted, finish, write_results
from mailservers.outbound.routes import check_target
from mailservers.store.events import Step, new_trace_id
from mailservers.store.outbox import lock_queued
from mailservers.store.transaction import Event, Transaction

MAX_IDS = 1000  # acted on at once
USERS_PAUSE = timedelta(seconds=15)  # between two attempts that a user asks for
Rows = Sequence[QueuedRecipient]


@dataclass(frozen=True, slots=True)
class Acted:
    """How many recipients were changed, and how many were being tried and so left alone."""

    done: int
    in_flight: int = 0


def take(tx: Transaction, recipients: QuerySet[QueuedRecipient], states: Sequence[str] = WAITING_STATES) -> list:
    """(row, is in flight) of those recipients that wait, under their locks and their messages'."""
    found = dict(recipients.filter(state__in=states).values_list("id", "queued_id")[:MAX_IDS])
    lock_queued(set(found.values()))
    rows = QueuedRecipient.objects.select_for_update(of=("self",)).filter(id__in=found, state__in=states)
    locked = rows.order_by("id").select_related("queued")
    return [(row, row.lease_until is not None and row.lease_until > tx.now) for row in locked]


def _act(tx: Transaction, recipients: QuerySet[QueuedRecipient], change: Callable[[Rows], None], *states: str) -> Acted:
    taken = take(tx, recipients, states or WAITING_STATES)
    rows = [row for row, is_in_flight in taken if not is_in_flight]
    if rows:
        change(rows)
    return Acted(len(rows), len(taken) - len(rows))


def _these(recipient_ids: Sequence[int]) -> QuerySet[QueuedRecipient]:
    return QueuedRecipient.objects.filter(id__in=list(recipient_ids)[:MAX_IDS])


def _tell(tx: Transaction, rows: Rows, step: str, outcome: str, detail: str, actor: str) -> None:
    for row in rows:
        queued, data = row.queued, {"actor": actor} if actor else {}
        tx.events.append(
            Event(queued.trace_id, step, outcome, queued.reverse_path, row.address, detail=detail, data=data)
        )


def _by(actor: str) -> str:
    return f" by {actor}" if actor else ""


def _update(rows: Rows, **values: object) -> None:
    QueuedRecipient.objects.filter(id__in=[row.pk for row in rows]).update(**values)


def _begin_lifetime(tx: Transaction, rows: Rows) -> None:
    """Of messages that were held: nobody has tried yet."""
    held = {row.queued_id for row in rows if row.state == RecipientState.HELD}
    lifetime = timedelta(seconds=settings.QUEUE_LIFETIME_S)
    QueuedMessage.objects.filter(pk__in=held, expires_at__lt=tx.now + lifetime).update(expires_at=tx.now + lifetime)


# ---------------------------------------------------------------- an administrator's


def retry_now(tx: Transaction, recipient_ids: Sequence[int], actor: str = "") -> Acted:
    """Store operation: make them due at once, held ones too. The event wakes the runner."""

    def change(rows: Rows) -> None:
        _update(rows, next_attempt=tx.now)
        _update([row for row in rows if row.state == RecipientState.HELD], state=RecipientState.QUEUED)
        _begin_lifetime(tx, rows)
        _tell(tx, rows, Step.QUEUED, "ok", f"To be tried again now{_asked(actor)}", actor)

    return _act(tx, _these(recipient_ids), change)


def _asked(actor: str) -> str:
    return f", {actor} asked" if actor else ""


def hold(tx: Transaction, recipient_ids: Sequence[int], actor: str) -> Acted:
    """Store operation: they wait until an administrator lets them go."""

    def change(rows: Rows) -> None:
        _update(rows, state=RecipientState.HELD)
        _tell(tx, rows, Step.HELD, "temporary", f"Held{_by(actor)}", actor)

    return _act(tx, _these(recipient_ids), change, *OPEN_STATES)


def release(tx: Transaction, recipient_ids: Sequence[int], actor: str) -> Acted:
    """Store operation: what was held goes when it would have gone: at once, or at the time its sender asked for."""

    def change(rows: Rows) -> None:
        for state, chosen in (
            (RecipientState.QUEUED, [row for row in rows if not row.attempts]),
            (RecipientState.DEFERRED, [row for row in rows if row.attempts]),
        ):
            _update(chosen, state=state)
        _begin_lifetime(tx, rows)
        _tell(tx, rows, Step.QUEUED, "ok", f"Released{_by(actor)}", actor)

    return _act(tx, _these(recipient_ids), change, RecipientState.HELD)


def reroute(tx: Transaction, recipient_ids: Sequence[int], target: str, actor: str) -> Acted:
    """Store operation: send them by this host (HOST or HOST:PORT), at once; "" is the ordinary way again. What is
    held stays held. Raises `InvalidTarget`."""
    target = check_target(target) if target else ""
    way = f"by way of {target}" if target else "the ordinary way"

    def change(rows: Rows) -> None:
        _update(rows, route=target, next_attempt=tx.now)
        _tell(tx, rows, Step.QUEUED, "ok", f"To be sent {way}{_asked(actor)}", actor)

    return _act(tx, _these(recipient_ids), change)


def remove(tx: Transaction, recipient_ids: Sequence[int], actor: str, *, tell_sender: bool = False) -> Acted:
    """Store operation: take them out of the queue, with a bounce to the sender or without."""
    if not tell_sender:
        return cancel(tx, _these(recipient_ids), actor)

    def change(rows: Rows) -> None:
        _tell(tx, rows, Step.CANCELLED, "permanent", f"Taken out of the queue by {actor}; the sender is told", actor)
        _update(rows, state=RecipientState.QUEUED)
        outcome = Outcome(Result.FAILED, "5.7.0", explanation="an administrator took it out of the queue")
        jobs = claim_recipients(tx, new_trace_id(), [row.pk for row in rows])
        write_results(tx, [Attempted(job, {r.id: outcome for r in job.recipients}) for job in jobs])

    return _act(tx, _these(recipient_ids), change)


def cancel(
    tx: Transaction, recipients: QuerySet[QueuedRecipient], actor: str, words: str = "Taken out of the queue"
) -> Acted:
    """Part of a store operation: they will not be sent, and no notice is written."""

    def change(rows: Rows) -> None:
        _update(rows, state=RecipientState.CANCELLED, lease_until=None, lease_token="")
        _tell(tx, rows, Step.CANCELLED, "permanent", f"{words}{_by(actor)}", actor)
        finish(tx, {row.queued_id for row in rows}, keep=True)

    return _act(tx, recipients, change)


# ---------------------------------------------------------------- a sender's own


def own(user_id: int, recipient_ids: Sequence[int]) -> QuerySet[QueuedRecipient]:
    """Those of the recipients that are of this user's messages."""
    return _these(recipient_ids).filter(queued__sender_id=user_id)


def cancel_own(tx: Transaction, user_id: int, recipient_ids: Sequence[int], actor: str) -> Acted:
    """Store operation: the sender does not want these to get the message any more."""
    return cancel(tx, own(user_id, recipient_ids), actor, "Cancelled")


def send_own_now(tx: Transaction, user_id: int, recipient_ids: Sequence[int], actor: str) -> Acted:
    """Store operation: what waits for its time, or for another attempt, is tried at once; not what an administrator
    holds, and not again within USERS_PAUSE."""
    rested = Q(last_attempt=None) | Q(last_attempt__lte=tx.now - USERS_PAUSE)

    def change(rows: Rows) -> None:
        _update(rows, next_attempt=tx.now)
        _tell(tx, rows, Step.QUEUED, "ok", f"To be sent now{_asked(actor)}", actor)

    return _act(tx, own(user_id, recipient_ids).filter(rested), change, *OPEN_STATES)
