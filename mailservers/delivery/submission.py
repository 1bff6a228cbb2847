"""Mail from our own users (RFC 6409): checked, completed, and accepted like any other.

Over SMTP the face has already resolved the recipients (`accept`); the webmail hands over all at once (`submit`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime

from django.conf import settings
from django.utils import timezone

from accounts.auth.door import Identity
from mailservers.delivery.acceptance import plan, within_allowances
from mailservers.delivery.authorship import check_authors, read_authors
from mailservers.delivery.checking import without_forged_results
from mailservers.delivery.envelope import Envelope, Recipient
from mailservers.delivery.refusals import SubmissionRefused
from mailservers.delivery.routing import NotOurDomain, Resolution, UnknownRecipient, may_send_as, resolve_address
from mailservers.formats.esmtp import NO_OPTIONS, DsnRequest
from mailservers.formats.headers import first_field
from mailservers.formats.mime import header_end
from mailservers.models import Flag
from mailservers.store import outbox
from mailservers.store.content import NewMessage, prepare
from mailservers.store.engine import store
from mailservers.store.events import new_trace_id
from mailservers.store.placing import Delivery, Placement, write_deliveries
from mailservers.store.quota import lacking_room
from mailservers.store.sent_traces import remember_traces
from mailservers.store.transaction import Transaction

_BCC = re.compile(rb"^bcc[ \t]*:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*", re.IGNORECASE | re.MULTILINE)


def complete(content: bytes, sender: str) -> bytes:
    """Add From, Date and Message-ID where they are missing (RFC 6409 8.1, 8.2, RFC 5322 3.6) and take out Bcc
    (RFC 5322 3.6.3). `sender`: the user's login."""
    end = header_end(content)
    header, body = content[:end], content[end:]
    header = _BCC.sub(b"", header)
    added = b""
    if first_field(header, b"message-id") is None:
        domain = sender.rpartition("@")[2] or settings.HOSTNAME
        added += f"Message-ID: <{secrets.token_hex(12)}@{domain}>\r\n".encode()
    if first_field(header, b"date") is None:
        added += f"Date: {format_datetime(timezone.localtime())}\r\n".encode()
    if first_field(header, b"from") is None:
        added += f"From: <{sender}>\r\n".encode()
    return added + header + body


def check_sender(user_id: int, reverse_path: str) -> None:
    """Raises `SubmissionRefused` unless the address is the user's own; <> is for programs' notices."""
    if reverse_path and not may_send_as(user_id, reverse_path):
        raise SubmissionRefused(f"You may not send as {reverse_path}")


def submit(
    user: Identity,
    raw: bytes,
    recipients: Sequence[str],
    *,
    reverse_path: str | None = None,
    peer: str = "webmail",
    sent_mailbox_id: int | None = None,
    not_before: datetime | None = None,
    trace_id: str = "",
    notify: str = "",
    also: Callable[[Transaction], None] | None = None,
) -> str:
    """Accept a message written in the webmail; its trace id. Not for the event loop.

    `raw` may hold Bcc: it stays in the copy for `sent_mailbox_id` and nowhere else. `also(tx)` runs in the same
    transaction (to take the draft away). `not_before`: it is held until then in the Outbox, where it can be cancelled,
    and the copy goes to Sent when it is sent. `notify` is RCPT's parameter (RFC 3461 4.1), for every recipient. Raises
    `SubmissionRefused`, a `StoreError`, or OSError."""
    reverse_path = user.login if reverse_path is None else reverse_path
    check_sender(user.user_id, reverse_path)
    if not recipients:
        raise SubmissionRefused("There is no recipient")
    if len(recipients) > settings.MAX_RECIPIENTS:
        raise SubmissionRefused(f"More than {settings.MAX_RECIPIENTS} recipients")
    if len(raw) > settings.MESSAGE_SIZE_LIMIT:
        raise SubmissionRefused(f"The message is larger than {settings.MESSAGE_SIZE_LIMIT} octets")
    envelope = Envelope(
        trace_id or new_trace_id(),
        reverse_path,
        peer,
        with_protocol="HTTP",
        sender_id=user.user_id,
        sender_login=user.login,
        smtputf8=not all(address.isascii() for address in (reverse_path, *recipients)),
        recipients=[Recipient(address, _resolve(address), DsnRequest(notify)) for address in recipients],
        options=replace(NO_OPTIONS, not_before=not_before),
    )
    completed = complete(without_forged_results(raw), user.login)
    authors = read_authors(completed[: header_end(completed)])
    if authors is not None:
        check_authors(user.user_id, authors)
    fields = envelope.trace_fields(settings.HOSTNAME, timezone.now())
    message = prepare(fields + completed)
    _check_room(envelope, message.summary.size)
    kept = None
    if sent_mailbox_id is not None:
        kept = prepare(raw if first_field(raw[: header_end(raw)], b"message-id") is not None else completed)
    _write(envelope, message, kept, sent_mailbox_id, also)
    return envelope.trace_id


def _check_room(envelope: Envelope, octets: int) -> None:
    """Names the recipient whose mailbox is full; the exact decision is the store's."""
    for address, target in envelope.local_targets():
        if target.is_limited and lacking_room([target.user_id], octets):
            raise SubmissionRefused(f"The mailbox of {address} is full", address)


def _resolve(address: str) -> Resolution:
    try:
        return resolve_address(address)
    except NotOurDomain:
        return Resolution((), (address,))
    except UnknownRecipient:
        raise SubmissionRefused(f"There is no {address} here", address) from None


def _write(
    envelope: Envelope,
    message: NewMessage,
    kept: NewMessage | None,
    sent_id: int | None,
    also: Callable[[Transaction], None] | None,
) -> None:
    """`kept`: the user's own copy, for Sent; while the message is held, it is in the Outbox."""

    def operation(tx: Transaction) -> None:
        assert envelope.sender_id is not None
        (allowed,) = within_allowances(tx, [envelope])
        if isinstance(allowed, Exception):
            raise allowed
        deliveries = [plan(allowed, message)]
        if kept is not None and sent_id is not None:
            mailbox_id = outbox.outbox_id(tx, envelope.sender_id) if allowed.is_held else sent_id
            deliveries.append(Delivery(kept, (Placement(mailbox_id, Flag.SEEN, owner_id=envelope.sender_id),)))
        outcomes = write_deliveries(tx, deliveries)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        remember_traces(tx, [(envelope.sender_id, message.summary.message_id, envelope.trace_id)])
        own = outcomes[-1]
        if allowed.is_held and kept is not None and not isinstance(own, Exception):
            outbox.link(tx, envelope.trace_id, own[0], sent_id)
        elif allowed.is_held:
            outbox.enter(tx, envelope.trace_id)
        if also is not None:
            also(tx)

    store.call_sync(operation)
