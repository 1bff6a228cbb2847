"""Telling a sender what became of a message (RFC 3464, RFC 5321 6.1): the notice is a delivery like any other, written
in the transaction that makes its news true.

None is written for an empty reverse-path, and none for a reverse-path of ours that leads nowhere: a notice about a
notice would loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings

from mailservers.delivery.envelope import Envelope, Recipient
from mailservers.delivery.routing import NotOurDomain, Resolution, UnknownRecipient, resolve_address
from mailservers.formats.dsn import Action, Notice, RecipientReport, build_notice
from mailservers.formats.esmtp import DsnRequest, original_recipient
from mailservers.store.content import NewMessage, prepare
from mailservers.store.errors import OverQuota
from mailservers.store.events import Step, new_trace_id
from mailservers.store.placing import Delivery, Placement, QueueEntry, write_deliveries
from mailservers.store.quota import find_full
from mailservers.store.transaction import Event, Transaction

RETURN_PATH = b"Return-Path: <>\r\n"  # RFC 5321 4.4: final delivery; left out again when a notice is sent on
NEVER = DsnRequest("NEVER")


def new_message_id() -> tuple[str, str]:
    """A trace id for a notice, and the Message-ID that holds it."""
    trace_id = new_trace_id()
    return trace_id, f"<{trace_id}@{settings.HOSTNAME}>"


def write_notice(tx: Transaction, notice: Notice, *, require_tls: bool = False, priority: int = 0) -> str:
    """Part of a store operation: put the notice into the sender's INBOX, or into the queue when the sender is
    elsewhere or that mailbox is full. Returns why nobody could be told, or ""."""
    try:
        resolution = resolve_address(notice.sender)
    except NotOurDomain:
        resolution = Resolution((), (notice.sender,))
    except UnknownRecipient:
        return f"there is no {notice.sender} here"
    message = prepare(RETURN_PATH + build_notice(notice))
    way = Way(require_tls, priority)
    (outcome,) = write_deliveries(tx, [_delivery(tx, notice, message, resolution, way)])
    if isinstance(outcome, OverQuota):
        resolution, way = _put_off(resolution, way, message.summary.size)
        (outcome,) = write_deliveries(tx, [_delivery(tx, notice, message, resolution, way)])
    return str(outcome) if isinstance(outcome, Exception) else ""  # the mailbox went in this very moment


@dataclass(frozen=True, slots=True)
class Way:
    """How a notice goes on; `full`: logins whose mailboxes have no room: it waits in the queue for them."""

    require_tls: bool
    priority: int
    full: tuple[str, ...] = ()


def _put_off(resolution: Resolution, way: Way, size: int) -> tuple[Resolution, Way]:
    full = find_full([target.user_id for target in resolution.local], size)
    there = tuple(target for target in resolution.local if target.user_id not in full)
    logins = tuple(target.login for target in resolution.local if target.user_id in full)
    return replace(resolution, local=there), replace(way, full=logins)


def _delivery(tx: Transaction, notice: Notice, message: NewMessage, resolution: Resolution, way: Way) -> Delivery:
    trace_id = notice.message_id[1:].partition("@")[0]
    about = f"notice about {notice.trace_id}"
    events = [
        Event(trace_id, Step.FILED, recipient=target.login, detail=f"Put into INBOX: {about}")
        for target in resolution.local
    ]
    events += [
        Event(trace_id, Step.QUEUED, recipient=address, detail=f"Waiting to be sent: {about}")
        for address in resolution.remote
    ]
    events += [
        Event(trace_id, Step.QUEUED, "temporary", recipient=login, detail=f"The mailbox is full, waiting: {about}")
        for login in way.full
    ]
    queue = None
    if waiting := (*resolution.remote, *way.full):
        queue = QueueEntry(
            trace_id,
            "",
            waiting,
            tx.now + timedelta(seconds=settings.QUEUE_LIFETIME_S),
            smtputf8=not notice.sender.isascii(),
            requests=dict.fromkeys(waiting, NEVER),  # RFC 3461 6.2
            require_tls=way.require_tls,
            priority=way.priority,
        )
    return Delivery(message, tuple(Placement(target.inbox_id) for target in resolution.local), queue, tuple(events))


# ---------------------------------------------------------------- success at acceptance


def succeeded(envelope: Envelope) -> list[Recipient]:
    """The recipients whose success is ours to tell at acceptance: filed here, or spread to a group (RFC 3461 5.2.7)."""
    if not envelope.reverse_path:
        return []
    asked = (r for r in envelope.recipients if r.request.wants("SUCCESS"))
    return [r for r in asked if r.is_group or not (r.resolution.remote or _is_put_off(envelope, r))]


def _is_put_off(envelope: Envelope, recipient: Recipient) -> bool:
    return any(target.user_id in envelope.put_off for target in recipient.resolution.local)


def tell_success(tx: Transaction, envelope: Envelope, message: NewMessage, header: bytes) -> None:
    """Part of the store operation that accepts a message: one notice for those filed here, one for groups."""
    told = succeeded(envelope)
    for action, recipients in (
        (Action.DELIVERED, [r for r in told if not r.resolution.remote]),
        (Action.EXPANDED, [r for r in told if r.resolution.remote]),
    ):
        if not recipients:
            continue
        _, message_id = new_message_id()
        notice = Notice(
            action,
            settings.HOSTNAME,
            envelope.reverse_path,
            message_id,
            tx.now,
            tx.now,
            envelope.trace_id,
            tuple(report(r.address, "2.1.5", r.request) for r in recipients),
            header,
            envid=envelope.options.envid,
        )
        trouble = write_notice(tx, notice, require_tls=envelope.options.require_tls, priority=envelope.options.priority)
        tx.events.append(success_event(notice, trouble))


def report(address: str, status: str, request: DsnRequest) -> RecipientReport:
    original = original_recipient(request.orcpt) if request.orcpt else ""
    return RecipientReport(address, status, original=original)


def success_event(notice: Notice, trouble: str) -> Event:
    """In the trace of the message that the notice is about."""
    return Event(
        notice.trace_id,
        Step.BOUNCED,
        "permanent" if trouble else "ok",
        notice.sender,
        notice.sender,
        detail=f"Nobody was told: {trouble}" if trouble else f"{notice.sender} was told: {notice.action}",
        data={"about": [r.address for r in notice.recipients[:20]]},
    )
