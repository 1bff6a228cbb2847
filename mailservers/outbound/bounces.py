"""Telling the sender (RFC 3464, RFC 5321 6.1): the notice is stored in the transaction that changes the state.

So there is exactly one notice for the recipients that an attempt decided upon, whatever crashes. None is written for
an empty reverse-path, and none for a reverse-path of ours that leads nowhere: a notice about a notice would loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings

from mailservers.delivery.routing import NotOurDomain, Resolution, UnknownRecipient, resolve_address
from mailservers.formats.dsn import Action, Notice, RecipientReport, build_notice
from mailservers.outbound.leases import Job
from mailservers.store.content import prepare, read_header
from mailservers.store.events import Step, new_trace_id
from mailservers.store.placing import Delivery, Placement, QueueEntry, write_deliveries
from mailservers.store.transaction import Event, Transaction

RETURN_PATH = b"Return-Path: <>\r\n"  # RFC 5321 4.4: final delivery; left out again when a notice is sent on


def send_notice(tx: Transaction, job: Job, action: Action, reports: Sequence[RecipientReport]) -> None:
    """Part of a store operation: put the notice into the sender's INBOX, or the queue when the sender is elsewhere."""
    if not job.reverse_path:
        return
    try:
        resolution = resolve_address(job.reverse_path)
    except NotOurDomain:
        resolution = Resolution((), (job.reverse_path,))
    except UnknownRecipient:
        _tell_log(tx, job, action, reports, "", f"Nobody was told: there is no {job.reverse_path} here")
        return
    trace_id = new_trace_id()
    delivery = _delivery(tx, _notice(tx, job, action, reports, trace_id), resolution)
    (outcome,) = write_deliveries(tx, [delivery])
    if isinstance(outcome, Exception):  # the mailbox went in this very moment
        _tell_log(tx, job, action, reports, "", f"Nobody was told: {outcome}")
        return
    _tell_log(tx, job, action, reports, trace_id, f"{job.reverse_path} was told")


def _notice(tx: Transaction, job: Job, action: Action, reports: Sequence[RecipientReport], trace_id: str) -> Notice:
    return Notice(
        action,
        settings.HOSTNAME,
        job.reverse_path,
        f"<{trace_id}@{settings.HOSTNAME}>",
        tx.now,
        job.created_at,
        job.trace_id,
        tuple(reports),
        read_header(job.message_id) or b"",
    )


def _delivery(tx: Transaction, notice: Notice, resolution: Resolution) -> Delivery:
    trace_id = notice.message_id[1:].partition("@")[0]
    message = prepare(RETURN_PATH + build_notice(notice))
    events = [
        Event(trace_id, Step.FILED, recipient=target.login, detail=f"Put into INBOX: notice about {notice.trace_id}")
        for target in resolution.local
    ]
    queue = None
    if resolution.remote:
        expires_at = tx.now + timedelta(seconds=settings.QUEUE_LIFETIME_S)
        needs_utf8 = not notice.sender.isascii()
        queue = QueueEntry(trace_id, "", resolution.remote, expires_at, smtputf8=needs_utf8)
        events += [
            Event(
                trace_id, Step.QUEUED, recipient=address, detail=f"Waiting to be sent: notice about {notice.trace_id}"
            )
            for address in resolution.remote
        ]
    placements = tuple(Placement(target.inbox_id) for target in resolution.local)
    return Delivery(message, placements, queue, tuple(events))


def _tell_log(
    tx: Transaction, job: Job, action: Action, reports: Sequence[RecipientReport], notice_trace: str, text: str
) -> None:
    """In the message's own trace: BOUNCED for a failure; a delay is no step of its own."""
    step = Step.BOUNCED if action is Action.FAILED else Step.ATTEMPTED
    what = "that it could not be delivered" if action is Action.FAILED else "that it is delayed"
    tx.events.append(
        Event(
            job.trace_id,
            step,
            "ok" if notice_trace else "permanent",
            job.reverse_path,
            job.reverse_path,
            detail=f"{text} {what}" if notice_trace else text,
            data={"notice": notice_trace, "about": [report.address for report in reports[:20]]},
        )
    )
