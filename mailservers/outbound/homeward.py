"""Queued mail for our own users: what was held (RFC 4865, or for an administrator) and is due now.

The addresses are looked up again when the time has come. The delivery is written by `results.record`, in the
transaction that takes the recipients out of the queue: so it is made once, whatever crashes.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailservers.delivery.acceptance import plan
from mailservers.delivery.envelope import Envelope, Recipient
from mailservers.delivery.routing import RoutingError, resolve_address
from mailservers.formats.esmtp import MailOptions
from mailservers.outbound.leases import Job
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.store.content import prepare_async, read_message
from mailservers.store.engine import store
from mailservers.store.placing import Delivery

UNKNOWN = Outcome(Result.FAILED, "5.1.1", explanation="there is no such address here")
FILED = Outcome(Result.DELIVERED, "2.1.5", explanation="put into a mailbox here", is_here=True)
PASSED_ON = Outcome(Result.DELIVERED, "2.1.5", explanation="it leads to other addresses", has_dsn=True)


@dataclass(frozen=True, slots=True)
class Homeward:
    """What to write, and what that comes to for each recipient, by its id."""

    delivery: Delivery | None
    outcomes: dict[int, Outcome]


async def bring_home(job: Job) -> Homeward:
    """Prepare the delivery of a job whose domain is ours."""
    recipients = await store.read(_resolve, job)
    outcomes: dict[int, Outcome] = {}
    for claimed in job.recipients:
        recipient = recipients.get(claimed.id)
        outcomes[claimed.id] = UNKNOWN if recipient is None else PASSED_ON if _goes_on(recipient) else FILED
    if not recipients:
        return Homeward(None, outcomes)
    raw = await store.read(read_message, job.message_id)
    if raw is None:
        raise RuntimeError(f"message {job.message_id} is in the queue but not in the store")
    envelope = Envelope(
        job.trace_id,
        job.reverse_path,
        "",
        sender_id=job.sender_id,
        smtputf8=job.smtputf8,
        recipients=list(recipients.values()),
        options=MailOptions(
            "BINARYMIME" if job.is_binary else "8BITMIME", job.smtputf8, job.ret, job.envid, job.require_tls
        ),
    )
    delivery = plan(envelope, await prepare_async(raw))
    delivery.events = delivery.events[1:]  # that it was accepted has been told
    return Homeward(delivery, outcomes)


def _goes_on(recipient: Recipient) -> bool:
    return bool(recipient.resolution.remote)


def _resolve(job: Job) -> dict[int, Recipient]:
    found: dict[int, Recipient] = {}
    for claimed in job.recipients:
        try:
            found[claimed.id] = Recipient(claimed.address, resolve_address(claimed.address), claimed.request)
        except RoutingError:
            continue
    return found
