"""Telling the sender what became of queued recipients: the notice is stored in the transaction that changes the state.

So there is exactly one notice for the recipients that an attempt decided upon, whatever crashes. What the sender
asked to be told (RFC 3461) is decided in `results`; whom a notice reaches, in `delivery.notices`.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from mailservers.delivery.notices import new_message_id, write_notice
from mailservers.formats.dsn import Action, Notice, RecipientReport
from mailservers.formats.outgoing import to_wire
from mailservers.outbound.leases import Job
from mailservers.store.content import read_header, read_message
from mailservers.store.events import Step
from mailservers.store.transaction import Event, Transaction

MAX_RETURNED_OCTETS = 256 * 1024  # of a message whose return was asked for (RET=FULL); of larger ones the header
WORDS = {
    Action.FAILED: "that it could not be delivered",
    Action.DELAYED: "that it is delayed",
    Action.DELIVERED: "that it was delivered",
    Action.RELAYED: "that it was passed on",
}


def send_notice(tx: Transaction, job: Job, action: Action, reports: Sequence[RecipientReport]) -> None:
    """Part of a store operation: put the notice into the sender's INBOX, or the queue when the sender is elsewhere."""
    if not job.reverse_path:
        return
    trace_id, message_id = new_message_id()
    notice = Notice(
        action,
        settings.HOSTNAME,
        job.reverse_path,
        message_id,
        tx.now,
        job.created_at,
        job.trace_id,
        tuple(reports),
        read_header(job.message_id) or b"",
        envid=job.envid,
        content=_content(job) if action is Action.FAILED else b"",
    )
    trouble = write_notice(tx, notice, require_tls=job.require_tls, priority=job.priority)
    _tell_log(tx, job, action, reports, "" if trouble else trace_id, trouble)


def _content(job: Job) -> bytes:
    """The whole message when its return was asked for (RFC 3461 4.3); not of one that requires TLS (RFC 8689 5)."""
    if job.ret != "FULL" or job.require_tls or job.is_binary or job.size > MAX_RETURNED_OCTETS:
        return b""
    return to_wire(read_message(job.message_id) or b"")


def _tell_log(
    tx: Transaction, job: Job, action: Action, reports: Sequence[RecipientReport], notice_trace: str, trouble: str
) -> None:
    """In the message's own trace; a delay is no step of its own."""
    tx.events.append(
        Event(
            job.trace_id,
            Step.ATTEMPTED if action is Action.DELAYED else Step.BOUNCED,
            "permanent" if trouble else "ok",
            job.reverse_path,
            job.reverse_path,
            detail=f"Nobody was told: {trouble}" if trouble else f"{job.reverse_path} was told {WORDS[action]}",
            data={"notice": notice_trace, "about": [report.address for report in reports[:20]]},
        )
    )
