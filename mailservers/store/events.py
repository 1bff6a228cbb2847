"""Delivery events: every step of every message, written with the act it tells of."""

from __future__ import annotations

import random
import time
from datetime import datetime

from mailservers.models import DeliveryEvent
from mailservers.store.inserting import insert
from mailservers.store.transaction import Event, Transaction

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letters that look alike


class Step:
    """The steps of a message's life, in the order they usually come."""

    RECEIVED = "received"  # accepted over SMTP
    SUBMITTED = "submitted"  # accepted from one of our users, or written in the webmail
    CHECKED = "checked"  # what SPF, DKIM, DMARC and the other checks say
    REFUSED = "refused"  # answered with 4xx or 5xx
    DISCONNECTED = "disconnected"  # a connection ended without a message, after an error
    FILED = "filed"  # put into a mailbox
    QUEUED = "queued"  # to be sent to another host
    ATTEMPTED = "attempted"  # a try that did not deliver
    SENT = "sent"  # accepted by the next host
    FAILED = "failed"  # given up
    BOUNCED = "bounced"  # the sender was told
    CANCELLED = "cancelled"  # taken out of the queue
    CORRECTED = "corrected"  # its sender has sent it to another address instead
    TRYING = "trying"  # told to those who watch, and never stored
    HELD = "held"  # set aside until an administrator decides
    OPENED = "opened"  # a reader got its text for the first time


EVENTS_AT_ONCE = 2000


def forget_events(tx: Transaction, before: datetime) -> int:
    """Store operation: remove the oldest events from before then; how many, at most EVENTS_AT_ONCE."""
    old = DeliveryEvent.objects.filter(at__lt=before).order_by("at").values_list("pk", flat=True)[:EVENTS_AT_ONCE]
    events = DeliveryEvent.objects.filter(pk__in=list(old))
    return events._raw_delete(events.db) or 0  # nothing refers to them; None where there were none


def new_trace_id() -> str:
    """16 characters: a millisecond clock (so that they sort by time) and 30 random bits. No secret."""
    number = (time.time_ns() // 1_000_000) << 30 | random.getrandbits(30)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -5, -5))


_COLUMNS = ("at", "trace_id", "step", "outcome", "sender", "recipient", "peer", "detail", "data")


def write_events(tx: Transaction) -> None:
    """Insert what the batch's operations told of; sets each event's `at` and `id`."""
    if not tx.events:
        return
    for event in tx.events:
        event.at = event.at or tx.now
    ids = insert(DeliveryEvent, _COLUMNS, [_row(event) for event in tx.events])
    for event, pk in zip(tx.events, ids, strict=True):
        event.id = pk


def _row(event: Event) -> tuple[object, ...]:
    return (
        event.at,
        event.trace_id,
        event.step,
        event.outcome,
        event.sender[:320],
        event.recipient[:320],
        event.peer[:300],
        event.detail[:4000],
        event.data,
    )
