"""Queued mail for our own users: what was held (RFC 4865, or for an administrator) and is due now, and what waits for
room in a full mailbox.

The addresses are looked up again when the time has come. The delivery is written by `results.record`, in the
transaction that takes the recipients out of the queue: so it is made once, whatever crashes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mailservers.delivery.acceptance import plan, take_report
from mailservers.delivery.checking import junk_mailboxes, junk_readers
from mailservers.delivery.envelope import Envelope, Recipient
from mailservers.delivery.forwarding import set_onward_path
from mailservers.delivery.routing import Resolution, RoutingError, resolve_address
from mailservers.formats.esmtp import MailOptions
from mailservers.outbound.leases import Job
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.store.content import NewMessage, prepare_async
from mailservers.store.engine import store
from mailservers.store.errors import OverQuota
from mailservers.store.placing import write_deliveries
from mailservers.store.quota import find_full
from mailservers.store.stored import octets_of
from mailservers.store.transaction import Transaction
from mailservers.store.verdicts import read_verdict

UNKNOWN = Outcome(Result.FAILED, "5.1.1", explanation="there is no such address here")
FILED = Outcome(Result.DELIVERED, "2.1.5", explanation="put into a mailbox here", is_here=True)
PASSED_ON = Outcome(Result.DELIVERED, "2.1.5", explanation="it leads to other addresses", has_dsn=True)


@dataclass(frozen=True, slots=True)
class Homeward:
    """What to write (`envelope` None: nothing), and what that comes to for each recipient, by its id."""

    outcomes: dict[int, Outcome]
    recipients: dict[int, Recipient] = field(default_factory=dict)
    envelope: Envelope | None = None
    message: NewMessage | None = None


async def bring_home(job: Job) -> Homeward:
    """Prepare the delivery of a job whose domain is ours."""
    recipients = await store.read(_resolve, job)
    outcomes: dict[int, Outcome] = {}
    for claimed in job.recipients:
        recipient = recipients.get(claimed.id)
        outcomes[claimed.id] = UNKNOWN if recipient is None else PASSED_ON if _goes_on(recipient) else FILED
    if not recipients:
        return Homeward(outcomes)
    raw = await store.read(octets_of, job.message_id, job.size)
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
            "BINARYMIME" if job.is_binary else "8BITMIME",
            job.smtputf8,
            job.ret,
            job.envid,
            job.require_tls,
            None,
            job.deliver_by,
            job.priority,
            job.tls_optional,
        ),
    )
    await set_onward_path(envelope)
    envelope.junk_ids = await store.read(_junk_mailboxes, job.message_id, envelope)
    return Homeward(outcomes, recipients, envelope, await prepare_async(raw))


def _junk_mailboxes(message_id: int, envelope: Envelope) -> dict[int, int]:
    """What was junk when it came is junk still."""
    verdict = read_verdict(message_id)
    readers = junk_readers(verdict, [target.user_id for _, target in envelope.local_targets()]) if verdict else []
    return junk_mailboxes(readers) if readers else {}


def write_home(tx: Transaction, home: Homeward) -> dict[int, Outcome]:
    """Part of a store operation: the delivery, for all at once, and for each alone if that fails: a full mailbox does
    not keep the others waiting. The outcomes; who could not be delivered to is tried again."""
    if home.envelope is None:
        return home.outcomes
    trouble = _write(tx, home, home.envelope)
    if trouble is None:
        return home.outcomes
    outcomes = dict(home.outcomes)
    done: set[int] = set()
    sent_on: set[str] = set()
    for pk, recipient in home.recipients.items():
        resolution = recipient.resolution
        local = tuple(target for target in resolution.local if target.user_id not in done)
        remote = tuple(address for address in resolution.remote if address not in sent_on)
        alone = replace(recipient, resolution=Resolution(local, remote))
        envelope = replace(home.envelope, recipients=[alone], put_off=_full_members(home, alone))
        trouble = _write(tx, home, envelope)
        if trouble is None:
            done.update(target.user_id for target in local)
            sent_on.update(remote)
        else:
            status = "4.2.2" if isinstance(trouble, OverQuota) else "4.2.0"
            outcomes[pk] = Outcome(Result.DEFERRED, status, explanation=f"{trouble}")
    return outcomes


def _full_members(home: Homeward, recipient: Recipient) -> frozenset[int]:
    """Of a group: they get it later, for themselves."""
    assert home.message is not None
    if not recipient.is_group:
        return frozenset()
    members = [target.user_id for target in recipient.resolution.local]
    full = find_full(members, home.message.summary.size)
    return full if len(full) < len(members) or recipient.resolution.remote else frozenset()


def _write(tx: Transaction, home: Homeward, envelope: Envelope) -> Exception | None:
    assert home.message is not None
    delivery = plan(envelope, home.message)
    delivery.events = delivery.events[1:]  # that it was accepted has been told
    (outcome,) = write_deliveries(tx, [delivery])
    if isinstance(outcome, Exception):
        return outcome
    take_report(tx, envelope, home.message)
    return None


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
