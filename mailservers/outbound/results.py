"""Writing down what an attempt came to: states, events and notices to the sender, in one transaction.

A message whose recipients are all decided upon leaves the queue at once, its rows and (if no mailbox holds it) its
content with it. What became of it stays in the delivery events, which the console shows; so finished rows never pile
up, and "recent outcomes" have one source.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings

from mailservers.formats.dsn import Action, RecipientReport
from mailservers.formats.esmtp import DsnRequest, original_recipient
from mailservers.models import QueuedRecipient, RecipientState
from mailservers.outbound.bounces import send_notice
from mailservers.outbound.homeward import Homeward, write_home
from mailservers.outbound.leases import OPEN_STATES, WAITING_STATES, ClaimedRecipient, Job
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.store import outbox
from mailservers.store.engine import bulk
from mailservers.store.events import Step
from mailservers.store.removing import forget_messages
from mailservers.store.statements import fetch, marks, write
from mailservers.store.transaction import Event, Transaction

JITTER = 0.1  # of the pause: messages deferred together are not tried together for ever
SOON_S = 1.0
MAX_REPLY = 4000  # characters kept of a reply

_STATES = {
    Result.DELIVERED: RecipientState.DELIVERED,
    Result.DEFERRED: RecipientState.DEFERRED,
    Result.FAILED: RecipientState.FAILED,
}


@dataclass(frozen=True, slots=True)
class Attempted:
    """What one attempt came to. `outcomes`: by recipient id, one for each of the job's. `home`: what is put into our
    own mailboxes with it (see `homeward`), if the lease is still ours."""

    job: Job
    outcomes: Mapping[int, Outcome]
    home: Homeward | None = None


@bulk
def record(tx: Transaction, attempts: list[Attempted]) -> list[Exception | None]:
    """`write_results` for `store.call`: one attempt a call, all that wait written together."""
    return write_results(tx, attempts)


def write_results(tx: Transaction, attempts: Sequence[Attempted]) -> list[Exception | None]:
    """Store operation. Results of recipients whose lease has passed to another runner, or that were cancelled, are
    dropped; that a message was delivered is a fact whoever holds the lease, and always written down."""
    queued_ids = sorted({attempt.job.queued_id for attempt in attempts})
    queued = outbox.lock_queued(queued_ids)
    rows = QueuedRecipient.objects.in_bulk([r.id for attempt in attempts for r in attempt.job.recipients])
    changed: list[QueuedRecipient] = []
    for attempt in attempts:
        changed += _decide(tx, attempt, rows)
    ended = {row.pk for row in changed if row.state not in WAITING_STATES}
    finished = _finished(queued_ids, ended)
    left = [row for row in changed if row.queued_id not in finished]
    if left:
        QueuedRecipient.objects.bulk_update(left, _CHANGED_COLUMNS)
    outbox.begin(tx, [queued[pk] for pk in sorted({row.queued_id for row in changed})])
    waiting = {row.queued_id for row in left if row.state == RecipientState.DEFERRED and row.attempts}
    outbox.enter_all(tx, [queued[pk] for pk in sorted(waiting) if queued[pk].outbox_id is None])
    forget_queued(tx, finished)
    return [None] * len(attempts)


_CHANGED_COLUMNS = ("state", "attempts", "next_attempt", "lease_until", "lease_token", "last_attempt", "last_reply")


def _decide(tx: Transaction, attempt: Attempted, rows: Mapping[int, QueuedRecipient]) -> list[QueuedRecipient]:
    """Apply an attempt's outcomes to the rows, with events and notices; the rows that changed."""
    job, outcomes = attempt.job, attempt.outcomes
    if attempt.home is not None:
        if any((row := rows.get(r.id)) is None or row.lease_token != job.token for r in job.recipients):
            return []
        outcomes = write_home(tx, attempt.home)
    changed: list[QueuedRecipient] = []
    news: dict[Action, list[RecipientReport]] = {action: [] for action in Action}
    for recipient in job.recipients:
        outcome = outcomes[recipient.id]
        row = rows.get(recipient.id)
        is_open = row is not None and row.state in OPEN_STATES
        if row is None or not is_open or row.lease_token != job.token:
            if outcome.result is not Result.DELIVERED:
                continue
            if row is None or not is_open:
                tx.events.append(_event(job, recipient.address, outcome, 0, None))
                continue
        outcome = _give_up_in_time(tx.now, job, outcome)
        is_late, is_overdue = _passes_notice_time(tx.now, job, row), _passes_deadline(tx.now, job, row)
        _apply(tx.now, job, row, outcome)
        changed.append(row)
        moment = row.next_attempt if outcome.result is Result.DEFERRED else None
        tx.events.append(_event(job, row.address, outcome, row.attempts, moment))
        action = _news(recipient.request, outcome, is_late=is_late, is_overdue=is_overdue)
        if action is not None:
            news[action].append(_report(job, recipient, outcome, tx.now))
    for action, reports in news.items():
        if reports:
            send_notice(tx, job, action, reports)
    return changed


def _news(request: DsnRequest, outcome: Outcome, *, is_late: bool, is_overdue: bool) -> Action | None:
    """What the sender is to be told of one recipient (RFC 3461 4.1, 5.2.2; RFC 2852 4.1.4, 5); None: nothing."""
    if outcome.result is Result.FAILED:
        return Action.FAILED if request.wants("FAILURE") else None
    if outcome.result is Result.DEFERRED:
        is_told = (is_late and request.wants("DELAY")) or (is_overdue and request.notify != "NEVER")
        return Action.DELAYED if is_told else None
    if outcome.tells_passage and request.notify != "NEVER":
        return Action.RELAYED
    if outcome.has_dsn or not request.wants("SUCCESS"):
        return None
    return Action.DELIVERED if outcome.is_here else Action.RELAYED


def pause_after(attempts: int) -> timedelta:
    """How long to wait after the so-manieth attempt: QUEUE_RETRY_FIRST_S, doubled each time, QUEUE_RETRY_MAX_S at
    most; give or take JITTER."""
    doubled = settings.QUEUE_RETRY_FIRST_S * 2 ** min(attempts - 1, 30)
    seconds = min(doubled, settings.QUEUE_RETRY_MAX_S)
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))


def _give_up_in_time(now: datetime, job: Job, outcome: Outcome) -> Outcome:
    """A deferral after the message's time is a failure (RFC 5321 4.5.4.1); the last reply stays the reason."""
    if outcome.result is not Result.DEFERRED or now < job.expires_at:
        return outcome
    if job.deliver_by is not None and job.deliver_by.returns and now >= job.deliver_by.at:
        explanation = f"It could not be delivered in the time it was given. At last: {outcome.words}"
        return replace(outcome, result=Result.FAILED, status="5.4.7", explanation=explanation)
    hours = round((now - job.created_at).total_seconds() / 3600)
    tried = f"I have tried for {hours // 24} days" if hours >= 48 else f"I have tried for {max(hours, 1)} h"
    explanation = f"{tried}, and have given up. At last: {outcome.explanation or outcome.reply}"
    return replace(outcome, result=Result.FAILED, status="4.4.7", explanation=explanation)


def _passes_notice_time(now: datetime, job: Job, row: QueuedRecipient) -> bool:
    """Is this the first attempt after QUEUE_DELAY_NOTICE_S? Attempts are the clock, so it is true once."""
    if not settings.QUEUE_DELAY_NOTICE_S:
        return False
    moment = job.created_at + timedelta(seconds=settings.QUEUE_DELAY_NOTICE_S)
    return now >= moment and (row.last_attempt is None or row.last_attempt < moment)


def _passes_deadline(now: datetime, job: Job, row: QueuedRecipient) -> bool:
    """Is this the first attempt after the time by which it was to be delivered (RFC 2852, mode N)?"""
    by = job.deliver_by
    if by is None or by.returns or by.at <= job.created_at:  # what came too late was told by the host before
        return False
    return now >= by.at and (row.last_attempt is None or row.last_attempt < by.at)


def _apply(now: datetime, job: Job, row: QueuedRecipient, outcome: Outcome) -> None:
    row.state = _STATES[outcome.result]
    row.last_attempt = now
    row.last_reply = outcome.words[:MAX_REPLY]
    row.lease_until, row.lease_token = None, ""
    if outcome.result is Result.DEFERRED and outcome.try_soon:
        row.next_attempt = now + timedelta(seconds=SOON_S)
        return
    row.attempts += 1
    if outcome.result is Result.DEFERRED:
        # The last try is when time is up, not up to an hour before.
        soon = now + timedelta(seconds=SOON_S)
        row.next_attempt = min(now + pause_after(row.attempts), max(job.expires_at, soon))
        if job.deliver_by is not None and now < job.deliver_by.at:  # so that its passing is told in time
            row.next_attempt = min(row.next_attempt, max(job.deliver_by.at, soon))


def _event(job: Job, address: str, outcome: Outcome, attempts: int, again_at: datetime | None) -> Event:
    step, result = {
        Result.DELIVERED: (Step.SENT, "ok"),
        Result.DEFERRED: (Step.ATTEMPTED, "temporary"),
        Result.FAILED: (Step.FAILED, "permanent"),
    }[outcome.result]
    data: dict[str, object] = {"status": outcome.status, "attempt": attempts}
    if outcome.tls:
        data["tls"] = outcome.tls
    if again_at is not None:
        data["next_attempt"] = again_at.isoformat()
    if outcome.explanation:
        data["explanation"] = outcome.explanation
    return Event(job.trace_id, step, result, job.reverse_path, address, outcome.peer, outcome.words, data)


def _report(job: Job, recipient: ClaimedRecipient, outcome: Outcome, now: datetime) -> RecipientReport:
    is_timeout = outcome.status in ("4.4.7", "5.4.7")
    return RecipientReport(
        recipient.address,
        outcome.status,
        outcome.reply,
        outcome.explanation if is_timeout or not outcome.reply else "",
        outcome.host if outcome.reply else "",
        now,
        job.expires_at if outcome.result is Result.DEFERRED else None,
        original_recipient(recipient.request.orcpt) if recipient.request.orcpt else "",
    )


def finish(tx: Transaction, queued_ids: Collection[int], *, keep: bool = False) -> None:
    """Take messages whose recipients are all decided upon out of the queue, with contents that nobody needs. `keep`
    their places in the Outbox restorable: they were cancelled."""
    forget_queued(tx, _finished(queued_ids, ()), keep=keep)


def _finished(queued_ids: Collection[int], ended: Collection[int]) -> set[int]:
    """Those messages that no recipient waits of, the rows `ended` apart (they are not written yet)."""
    statement = (
        f"SELECT id, queued_id FROM mailservers_queuedrecipient WHERE queued_id IN ({marks(len(queued_ids))})"
        f" AND state IN ({marks(len(WAITING_STATES))})"
    )
    waiting = fetch(statement, [*queued_ids, *WAITING_STATES]) if queued_ids else ()
    return set(queued_ids) - {queued_id for pk, queued_id in waiting if pk not in ended}


def forget_queued(tx: Transaction, queued_ids: Collection[int], *, keep: bool = False) -> None:
    """Delete queued messages with their recipients and places in the Outbox, and contents that nobody needs any
    more."""
    if not queued_ids:
        return
    ids, some = list(queued_ids), marks(len(queued_ids))
    rows = fetch(f"SELECT message_id, outbox_id, outbox_uid FROM mailservers_queuedmessage WHERE id IN ({some})", ids)
    write(f"DELETE FROM mailservers_queuedrecipient WHERE queued_id IN ({some})", ids)  # nothing cascades from either
    write(f"DELETE FROM mailservers_queuedmessage WHERE id IN ({some})", ids)
    outbox.leave(tx, [(mailbox_id, uid) for _, mailbox_id, uid in rows], keep=keep)
    forget_messages(tx, [message_id for message_id, _, _ in rows])
