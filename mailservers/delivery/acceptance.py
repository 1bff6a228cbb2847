"""Taking responsibility for a message: one transaction holds its content, every local copy, its queue rows and
its events. When `accept` returns, the message is durable and visible; when it raises, nothing of it is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from mailservers.delivery.allowance import take_allowance
from mailservers.delivery.checking import checked_event, form_opinion, is_checked, verdict, without_forged_results
from mailservers.delivery.envelope import Envelope
from mailservers.delivery.forwarding import set_onward_path
from mailservers.delivery.notices import succeeded, tell_success
from mailservers.delivery.undo import held_for_undo, sender_wishes
from mailservers.formats.esmtp import MailOptions
from mailservers.formats.headers import first_field
from mailservers.models import Flag, Mailbox
from mailservers.store import outbox
from mailservers.store.content import NewMessage, prepare_async
from mailservers.store.engine import store
from mailservers.store.errors import OverQuota
from mailservers.store.events import Step
from mailservers.store.placing import Delivery, Placement, QueueEntry, deliver, lock_mailboxes, write_deliveries
from mailservers.store.quota import find_full
from mailservers.store.reports import keep_report
from mailservers.store.sent_traces import remember_trace
from mailservers.store.spool import Content, header_of, with_header
from mailservers.store.transaction import Event, Transaction


class MailLoop(Exception):
    """Too many Received fields (RFC 5321 6.3)."""


async def accept(envelope: Envelope, content: Content, *, in_part: bool = True) -> None:
    """Store a received message for all its recipients.

    `content`: the message with CRLF line ends. `in_part`: where some mailboxes are full, the others get theirs, and
    the queue tries again for the full ones. Raises `MailLoop`, `MessageRefused` (by the checks), a `StoreError`, or
    OSError (disk)."""
    if count_received(header_of(content)) >= settings.MAX_RECEIVED:
        raise MailLoop("this message has passed through too many hosts")
    if is_checked(envelope):
        await _form_opinion(envelope, content)
    await set_onward_path(envelope)
    if not envelope.options.require_tls and asks_for_no_tls(header_of(content)):
        envelope.options = replace(envelope.options, tls_optional=True)
    fields = envelope.trace_fields(settings.HOSTNAME, timezone.now())
    raw = with_header(content, lambda octets: fields + without_forged_results(octets))
    try:
        await _write(envelope, await prepare_async(raw), header_of(raw))
    except OverQuota:
        if not in_part or (len(envelope.recipients) == 1 and not envelope.recipients[0].is_group):
            raise
        await store.call(accept_in_part, envelope, await prepare_async(raw), header_of(raw))


async def _write(envelope: Envelope, message: NewMessage, header: bytes) -> None:
    if envelope.sender_id is not None:
        await store.call(accept_submitted, envelope, message, header)
    elif envelope.takes_reports or succeeded(envelope):
        await store.call(accept_and_tell, envelope, message, header)
    else:
        await store.call(deliver, plan(envelope, message))


_one_spooled = asyncio.Semaphore(1)


async def _form_opinion(envelope: Envelope, content: Content) -> None:
    """Checking a large message costs seconds: one after the other."""
    if isinstance(content, bytes):
        await form_opinion(envelope, content)
        return
    async with _one_spooled:
        await form_opinion(envelope, content)


def accept_submitted(tx: Transaction, envelope: Envelope, message: NewMessage, header: bytes) -> None:
    """Store operation: the delivery of a user's own message, counted, with a copy in Sent if the user wants that.

    Raises `OverAllowance`."""
    user_id = envelope.sender_id
    assert user_id is not None
    wishes = sender_wishes(user_id)
    if wishes.undo_submitted:
        envelope = held_for_undo(tx.now, envelope, wishes.undo_s)
    envelope = within_allowance(tx, envelope)
    delivery = plan(envelope, message)
    sent_id = sent_mailbox(user_id) if wishes.stores_sent else None
    if sent_id is not None and not envelope.is_held:
        delivery.placements += (Placement(sent_id, Flag.SEEN, owner_id=user_id),)
    (outcome,) = write_deliveries(tx, [delivery])
    if isinstance(outcome, Exception):
        raise outcome
    remember_trace(tx, user_id, message.summary.message_id, envelope.trace_id)
    if envelope.is_held:
        outbox.enter(tx, envelope.trace_id, sent_id)
    else:
        take_report(tx, envelope, message)
        tell_success(tx, envelope, message, header)


def sent_mailbox(user_id: int) -> int | None:
    found = Mailbox.objects.filter(owner_id=user_id, special_use="\\Sent")
    return found.order_by("pk").values_list("id", flat=True).first()


def within_allowance(tx: Transaction, envelope: Envelope) -> Envelope:
    """Count the message of a user; the envelope says so when it is to be held. Raises `OverAllowance`."""
    assert envelope.sender_id is not None
    because = take_allowance(
        tx, envelope.sender_id, envelope.sender_login, len(envelope.recipients), envelope.remote_addresses()
    )
    return replace(envelope, held_because=because) if because else envelope


def accept_and_tell(tx: Transaction, envelope: Envelope, message: NewMessage, header: bytes) -> None:
    """Store operation: the delivery, the notices of success that were asked for (RFC 3461), and reports."""
    (outcome,) = write_deliveries(tx, [plan(envelope, message)])
    if isinstance(outcome, Exception):
        raise outcome
    take_report(tx, envelope, message)
    tell_success(tx, envelope, message, header)


def take_report(tx: Transaction, envelope: Envelope, message: NewMessage) -> None:
    """Part of the store operation that wrote the delivery: what came to `reports@…` is for `reporting` to read."""
    if envelope.takes_reports:
        keep_report(tx, envelope.trace_id, message.summary.sha256)


def accept_in_part(tx: Transaction, envelope: Envelope, message: NewMessage, header: bytes) -> None:
    """Store operation: the delivery, with the users whose mailboxes are full put off: for them it waits in the queue
    (see `outbound.homeward`). Raises `OverQuota` when there is nobody else."""
    lock_mailboxes(placement.mailbox_id for placement in _placements(envelope))
    readers = [target.user_id for _, target in envelope.local_targets()]
    full = find_full(readers, message.summary.size)
    if len(full) == len(readers) and not envelope.remote_addresses():
        raise OverQuota("the mailbox is full")
    envelope = replace(envelope, put_off=full)
    if envelope.sender_id is not None:
        accept_submitted(tx, envelope, message, header)
    else:
        accept_and_tell(tx, envelope, message, header)


def asks_for_no_tls(header: bytes) -> bool:
    """RFC 8689 section 5: a message that is sent on even where TLS fails; REQUIRETLS overrules it."""
    if b"tls-required" not in header.lower():
        return False
    return (first_field(header, b"tls-required") or b"").strip().lower() == b"no"


def count_received(content: bytes) -> int:
    """Received fields in the header."""
    end = content.find(b"\r\n\r\n")
    header = content[: end if end >= 0 else len(content)].lower()
    return header.count(b"\nreceived:") + header.startswith(b"received:")


def plan(envelope: Envelope, message: NewMessage) -> Delivery:
    """The delivery that accepting means: copies in INBOX or Junk, queue entry, events."""
    if envelope.is_held:
        waiting = tuple(dict.fromkeys(recipient.address for recipient in envelope.recipients))
        return Delivery(
            message, (), queue_entry(envelope, waiting), tuple(_events(envelope, message, waiting, is_filed=False))
        )
    remote = envelope.remote_addresses()
    waiting = (*remote, *envelope.waiting_logins())
    return Delivery(
        message,
        tuple(_placements(envelope)),
        queue_entry(envelope, waiting) if waiting else None,
        tuple(_events(envelope, message, remote)),
        verdict(envelope.opinion, trace_id=envelope.trace_id),
    )


def _placements(envelope: Envelope) -> Iterator[Placement]:
    for _, target in envelope.local_targets():
        yield Placement(envelope.junk_ids.get(target.user_id, target.inbox_id))


def queue_entry(envelope: Envelope, waiting: tuple[str, ...]) -> QueueEntry:
    options = envelope.options
    starts_at = options.not_before or timezone.now()
    return QueueEntry(
        envelope.trace_id,
        envelope.reverse_path if envelope.onward_path is None else envelope.onward_path,
        waiting,
        _ends_at(options, starts_at),
        envelope.sender_id,
        envelope.smtputf8,
        options.not_before,
        {r.address: r.request for r in envelope.recipients} if envelope.is_held else envelope.requests(),
        options.envid,
        options.ret,
        options.require_tls,
        options.is_binary,
        options.deliver_by,
        options.priority,
        options.tls_optional,
        frozenset(waiting) if envelope.held_because else envelope.junk_held,
    )


def _ends_at(options: MailOptions, starts_at: datetime) -> datetime:
    """When the queue gives up: after its lifetime, or when the time is over by which it was to be delivered."""
    lifetime = starts_at + timedelta(seconds=settings.QUEUE_LIFETIME_S)
    by = options.deliver_by
    return min(lifetime, by.at) if by is not None and by.returns else lifetime


def _events(
    envelope: Envelope, message: NewMessage, remote: tuple[str, ...], *, is_filed: bool = True
) -> Iterator[Event]:
    summary, sender, trace_id = message.summary, envelope.reverse_path, envelope.trace_id
    secured = f" over {envelope.tls}" if envelope.tls else ""
    who = f"{envelope.sender_login} at " if envelope.sender_login else ""
    yield Event(
        trace_id,
        Step.SUBMITTED if envelope.sender_id else Step.RECEIVED,
        sender=sender,
        recipient=envelope.some_recipients(),
        peer=envelope.peer_address,
        detail=f"From {who}{envelope.helo or 'the webmail'} [{envelope.peer_address}]{secured}, {summary.size} octets",
        data={
            "message_id": summary.message_id,
            "subject": summary.subject,
            "size": summary.size,
            "connection": envelope.connection_id,
            "with": envelope.with_protocol,
            "helo": envelope.helo,
            "tls": envelope.tls,
        },
    )
    checked = checked_event(envelope)
    if checked is not None:
        yield checked
    for address, target in envelope.local_targets() if is_filed else ():
        via = f" (for {address})" if address.lower() != target.login else ""
        folder = "Junk" if target.user_id in envelope.junk_ids else target.folder
        detail, data = f"Put into {folder}{via}", {"for": address} if via else {}
        yield Event(trace_id, Step.FILED, sender=sender, recipient=target.login, detail=detail, data=data)
    waiting = "Waiting to be sent"
    if envelope.held_because:
        waiting = f"Held for an administrator: {envelope.held_because}"
    elif envelope.options.not_before:
        waiting = f"To be sent at {envelope.options.not_before:%Y-%m-%d %H:%M} UTC"
    elif envelope.onward_path is not None:
        waiting = f"Waiting to be sent on, as from {envelope.onward_path}"
    for recipient in envelope.recipients if is_filed else ():
        if recipient.resolution.takes_reports:
            yield Event(
                trace_id, Step.FILED, sender=sender, recipient=recipient.address, detail="Put among the reports"
            )
    for address in remote:
        if address in envelope.junk_held:
            detail = "Held for an administrator: it looks like junk, and would be sent on to another host"
            yield Event(trace_id, Step.HELD, "temporary", sender=sender, recipient=address, detail=detail)
        else:
            yield Event(trace_id, Step.QUEUED, sender=sender, recipient=address, detail=waiting)
    for login in envelope.waiting_logins():
        detail = "The mailbox is full: waiting in the queue"
        yield Event(trace_id, Step.QUEUED, "temporary", sender=sender, recipient=login, detail=detail)
    for address in sorted(envelope.kept_back):
        detail = "Not sent on to another host: it is junk, and lies in Junk here"
        yield Event(trace_id, Step.CANCELLED, "permanent", sender=sender, recipient=address, detail=detail)
