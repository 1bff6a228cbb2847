"""Taking responsibility for a message: one transaction holds its content, every local copy, its queue rows and
its events. When `accept` returns, the message is durable and visible; when it raises, nothing of it is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from mailservers.delivery.allowance import Ask, take_allowances
from mailservers.delivery.checking import checked_event, form_opinion, is_checked, verdict, without_forged_results
from mailservers.delivery.envelope import Envelope
from mailservers.delivery.forwarding import set_onward_path
from mailservers.delivery.notices import succeeded, tell_success
from mailservers.delivery.refusals import OverAllowance
from mailservers.delivery.undo import SenderWishes, held_for_undo, wishes_of
from mailservers.formats.esmtp import MailOptions
from mailservers.formats.headers import first_field
from mailservers.models import Flag, Mailbox
from mailservers.store import outbox
from mailservers.store.content import NewMessage, prepare_async
from mailservers.store.engine import bulk, store
from mailservers.store.errors import OverQuota
from mailservers.store.events import Step
from mailservers.store.placing import Delivery, Placement, QueueEntry, deliver, lock_mailboxes, write_deliveries
from mailservers.store.quota import find_full
from mailservers.store.reports import keep_report
from mailservers.store.sent_traces import remember_traces
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
        await store.call(accept_submitted, Submission(envelope, message, header))
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


@dataclass(frozen=True, slots=True)
class Submission:
    """A user's own message on its way in; `header` with the trace fields."""

    envelope: Envelope
    message: NewMessage
    header: bytes


@bulk
def accept_submitted(tx: Transaction, submissions: list[Submission]) -> list[Exception | None]:
    """`write_submissions` for `store.call`: one submission a call, all that wait written together."""
    return write_submissions(tx, submissions)


def write_submissions(tx: Transaction, submissions: list[Submission]) -> list[Exception | None]:
    """Store operation: the deliveries of users' own messages, counted, with a copy in Sent if the user wants that.

    Of each `OverAllowance`, or None. Raises what one of the deliveries came to that failed: what is counted of the
    others would not be right, so each then stands alone."""
    wishes = wishes_of({s.envelope.sender_id for s in submissions if s.envelope.sender_id is not None})
    asked = [_held_as_wished(tx, submission.envelope, wishes) for submission in submissions]
    envelopes = within_allowances(tx, asked)
    sent_ids = sent_mailboxes([user_id for user_id, wish in wishes.items() if wish.stores_sent])
    allowed = [(e, s) for e, s in zip(envelopes, submissions, strict=True) if not isinstance(e, OverAllowance)]
    deliveries = [_with_copy(plan(envelope, s.message), envelope, sent_ids) for envelope, s in allowed]
    for outcome in write_deliveries(tx, deliveries):
        if isinstance(outcome, Exception):
            raise outcome
    remember_traces(tx, ((_sender(e), s.message.summary.message_id, e.trace_id) for e, s in allowed))
    for envelope, submission in allowed:
        if envelope.is_held:
            outbox.enter(tx, envelope.trace_id, sent_ids.get(_sender(envelope)))
        else:
            take_report(tx, envelope, submission.message)
            tell_success(tx, envelope, submission.message, submission.header)
    return [envelope if isinstance(envelope, OverAllowance) else None for envelope in envelopes]


def _sender(envelope: Envelope) -> int:
    assert envelope.sender_id is not None
    return envelope.sender_id


def _held_as_wished(tx: Transaction, envelope: Envelope, wishes: Mapping[int, SenderWishes]) -> Envelope:
    wish = wishes[_sender(envelope)]
    return held_for_undo(tx.now, envelope, wish.undo_s) if wish.undo_submitted else envelope


def _with_copy(delivery: Delivery, envelope: Envelope, sent_ids: Mapping[int, int]) -> Delivery:
    sent_id = sent_ids.get(_sender(envelope))
    if sent_id is not None and not envelope.is_held:
        delivery.placements += (Placement(sent_id, Flag.SEEN, owner_id=envelope.sender_id),)
    return delivery


def sent_mailboxes(user_ids: Collection[int]) -> dict[int, int]:
    """The mailbox for sent mail of those users who have one."""
    if not user_ids:
        return {}
    found = Mailbox.objects.filter(owner_id__in=user_ids, special_use="\\Sent")
    return dict(found.order_by("-pk").values_list("owner_id", "id"))  # the first made comes last, and counts


def within_allowances(tx: Transaction, envelopes: Sequence[Envelope]) -> list[Envelope | OverAllowance]:
    """Count users' messages; an envelope says so when its message is to be held."""
    asks = [Ask(_sender(e), e.sender_login, len(e.recipients), e.remote_addresses()) for e in envelopes]
    decided: list[Envelope | OverAllowance] = []
    for envelope, because in zip(envelopes, take_allowances(tx, asks), strict=True):
        if isinstance(because, str):
            decided.append(replace(envelope, held_because=because) if because else envelope)
        else:
            decided.append(because)
    return decided


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
        (refusal,) = write_submissions(tx, [Submission(envelope, message, header)])
        if refusal is not None:
            raise refusal
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
