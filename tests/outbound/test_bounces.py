"""Notices to senders, field by field as Python's email reads them, and that each failed recipient has exactly one."""

from __future__ import annotations

import quopri
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage, Message
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from django.db import DatabaseError

from accounts.models import User
from mailservers.formats.esmtp import DsnRequest
from mailservers.models import DeliveryEvent, QueuedMessage, QueuedRecipient
from mailservers.outbound import bounces
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.placing import deliver

from .conftest import MESSAGE, Clock, queue_delivery
from .test_results import notices

DELIVERED = Outcome(Result.DELIVERED, "2.0.0", "250 2.0.0 taken", host="mx.remote.test", address="192.0.2.1")
NO_USER = Outcome(Result.FAILED, "5.1.1", "550 5.1.1 no such user", host="mx.remote.test", address="192.0.2.1")
LATER = Outcome(Result.DEFERRED, "4.7.1", "451 4.7.1 greylisted", host="mx.remote.test", address="192.0.2.1")
# RFC 3464 section 2.2 and 2.3, in the order of their ABNF; extension fields come last
PER_MESSAGE = ["Original-Envelope-Id", "Reporting-MTA", "DSN-Gateway", "Received-From-MTA", "Arrival-Date"]
PER_RECIPIENT = [
    "Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date",
    "Final-Log-ID", "Will-Retry-Until",
]  # fmt: skip
Enqueue = Callable[..., QueuedMessage]


def put(recipients: tuple[str, ...] = ("bob@remote.test",), **changes: Any) -> None:
    """A queued message of Anna's, with what she asked for (RFC 3461)."""
    delivery = queue_delivery(recipients, **{k: changes.pop(k) for k in ("raw", "reverse_path") if k in changes})
    assert delivery.queue is not None
    for name, value in changes.items():
        object.__setattr__(delivery.queue, name, value)
    store.call_sync(deliver, delivery)


def only(user: User) -> tuple[EmailMessage, list[Message], Message]:
    """(the notice, its blocks of fields, the part about the message)"""
    (notice,) = notices(user)
    assert notice.get_content_type() == "multipart/report" and not notice.defects
    assert notice["Content-Type"].params["report-type"] == "delivery-status"
    assert notice["Return-Path"] == "<>" and notice["Auto-Submitted"] == "auto-replied"
    assert notice["In-Reply-To"] == notice["References"] == "<tides@harbour.test>"
    human, status, returned = notice.iter_parts()
    assert human.get_content_type() == "text/plain"
    blocks = status.get_payload()
    in_order(blocks[0], PER_MESSAGE)
    for block in blocks[1:]:
        in_order(block, PER_RECIPIENT)
    return notice, blocks, returned


def in_order(block: Message, fields: list[str]) -> None:
    places = [fields.index(name) if name in fields else len(fields) for name in block.keys()]  # noqa: SIM118
    assert places == sorted(places), block.keys()


def test_a_failure_field_by_field(clock: Clock, anna: User) -> None:
    put(requests={"bob@remote.test": DsnRequest("FAILURE", "rfc822;b+2Bob@old.test")}, envid="env 7", ret="FULL")
    (job,) = clock.claim()
    clock.record(job, NO_USER)
    notice, (whole, one), returned = only(anna)
    assert dict(whole.items()) == {
        "Original-Envelope-Id": "env 7",
        "Reporting-MTA": "dns; mx.postroom.test",
        "Arrival-Date": whole["Arrival-Date"],
        "X-Postroom-Trace": job.trace_id,
    }
    assert abs(parsedate_to_datetime(whole["Arrival-Date"]) - job.created_at) < timedelta(seconds=1)
    assert dict(one.items()) == {
        "Original-Recipient": "rfc822;b+ob@old.test",
        "Final-Recipient": "rfc822; bob@remote.test",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.remote.test",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
        "Last-Attempt-Date": one["Last-Attempt-Date"],
    }
    assert abs(parsedate_to_datetime(one["Last-Attempt-Date"]) - clock.now) < timedelta(seconds=1)
    assert returned.get_content_type() == "message/rfc822"  # RET=FULL
    assert returned.get_payload(0)["Subject"] == "Tide tables"
    text = " ".join(next(notice.iter_parts()).get_content().split())
    assert text.index("could not be delivered") < text.index("bob@remote.test") < text.index("550 5.1.1 no such user")


@pytest.mark.parametrize(
    ("notify", "outcome", "action"),
    [
        ("", NO_USER, "failed"),
        ("", DELIVERED, None),
        ("SUCCESS", DELIVERED, "relayed"),  # to a host that promises no notices
        ("SUCCESS", NO_USER, None),
        ("FAILURE", DELIVERED, None),
        ("DELAY", NO_USER, None),
        ("SUCCESS,FAILURE", NO_USER, "failed"),
        ("NEVER", NO_USER, None),
        ("NEVER", DELIVERED, None),
    ],
)
def test_what_was_asked_for(clock: Clock, anna: User, notify: str, outcome: Outcome, action: str | None) -> None:
    put(requests={"bob@remote.test": DsnRequest(notify)}, ret="FULL")
    (job,) = clock.claim()
    clock.record(job, outcome)
    assert len(notices(anna)) == (action is not None)
    if action is not None:
        _, (_, one), returned = only(anna)
        assert one["Action"] == action
        # RFC 3461 6.2 (f): the whole message comes back with failures alone
        assert returned.get_content_type() == ("message/rfc822" if action == "failed" else "text/rfc822-headers")


@pytest.mark.parametrize(("notify", "is_told"), [("", True), ("DELAY", True), ("FAILURE", False), ("NEVER", False)])
def test_a_delay_is_told_once(clock: Clock, anna: User, notify: str, is_told: bool) -> None:
    put(requests={"bob@remote.test": DsnRequest(notify)})
    for _ in range(8):
        (job,) = clock.claim()
        clock.record(job, LATER)
        clock.now += timedelta(hours=2)
    assert len(notices(anna)) == is_told
    if is_told:
        _, (_, one), _ = only(anna)
        assert (one["Action"], one["Status"]) == ("delayed", "4.7.1")
        assert abs(parsedate_to_datetime(one["Will-Retry-Until"]) - job.expires_at) < timedelta(seconds=1)


def test_utf8_addresses(clock: Clock, anna: User) -> None:
    """RFC 6533: the internationalised types, with the address as it is."""
    raw = MESSAGE.replace(b"Subject: Tide tables", "Subject: Ebbe für Zoë".encode())
    put(
        ("zoë@remote.test",),
        raw=raw,
        smtputf8=True,
        requests={"zoë@remote.test": DsnRequest("FAILURE", "utf-8;zo\\x{EB}@r.test")},
    )
    (job,) = clock.claim()
    clock.record(job, NO_USER)
    (notice,) = notices(anna)
    human, status, header = notice.iter_parts()
    assert "zoë@remote.test" in human.get_content() and "Ebbe für Zoë" in human.get_content()
    assert status.get_content_type() == "message/global-delivery-status"
    text = quopri.decodestring(status.as_bytes()).decode()  # the library leaves message/* types encoded
    assert "Final-Recipient: utf-8; zoë@remote.test" in text
    assert "Original-Recipient: utf-8;zoë@r.test" in text
    assert header.get_content_type() == "message/global-headers"


def test_none_for_a_null_reverse_path(clock: Clock, anna: User) -> None:
    put(reverse_path="")
    (job,) = clock.claim()
    clock.record(job, NO_USER)
    assert notices(anna) == [] and not QueuedMessage.objects.exists()
    assert not DeliveryEvent.objects.filter(step=Step.BOUNCED).exists()


def test_the_state_and_the_bounce_are_one(clock: Clock, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the bounce cannot be written, the failure is not written either; both come with the next try."""
    put()
    (job,) = clock.claim()
    write = bounces.write_notice

    def fail(*_: Any, **__: Any) -> str:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(bounces, "write_notice", fail)
    with pytest.raises(DatabaseError):
        clock.record(job, NO_USER)
    assert QueuedRecipient.objects.get().state == "queued" and notices(anna) == []
    monkeypatch.setattr(bounces, "write_notice", write)
    clock.record(job, NO_USER)
    clock.record(job, NO_USER)  # the runner was not told that it had been written
    assert len(notices(anna)) == 1 and not QueuedMessage.objects.exists()


@pytest.mark.parametrize("seed", range(15))
def test_exactly_one_for_each_failed_recipient(clock: Clock, anna: User, seed: int) -> None:
    """Runners that die, results written twice or too late, retries, time running out: one report for each."""
    chance = random.Random(seed)
    addresses = [f"r{n}@{chance.choice(('one', 'two'))}.test" for n in range(6)]
    put(tuple(addresses))
    old: list[Any] = []
    for _ in range(200):
        if not QueuedMessage.objects.exists():
            break
        jobs = clock.claim()
        old += jobs
        for job in jobs if chance.random() < 0.7 else ():  # or its runner dies, and the lease runs out
            chosen = {
                r.address.partition("@")[0]: chance.choice((NO_USER, LATER, LATER, DELIVERED)) for r in job.recipients
            }
            clock.record(job, LATER, **chosen)
        if old and chance.random() < 0.5:
            clock.record(chance.choice(old), NO_USER)  # somebody's late word
        clock.now += timedelta(minutes=chance.randint(5, 600))
    assert not QueuedMessage.objects.exists()
    told = Counter(
        block["Final-Recipient"].partition("; ")[2]
        for notice in notices(anna)
        for block in list(notice.iter_parts())[1].get_payload()[1:]
        if block["Action"] == "failed"
    )
    failed = Counter(DeliveryEvent.objects.filter(step=Step.FAILED).values_list("recipient", flat=True))
    assert told == failed and set(told.values()) <= {1}


def test_it_waits_for_a_sender_whose_own_mailbox_is_full(clock: Clock, anna: User) -> None:
    put()
    (job,) = clock.claim()
    User.objects.filter(pk=anna.pk).update(quota_octets=10)
    clock.record(job, NO_USER)
    assert notices(anna) == []
    (row,) = QueuedRecipient.objects.select_related("queued")
    assert (row.address, row.queued.reverse_path, row.notify) == (anna.login, "", "NEVER")
    queued = DeliveryEvent.objects.get(step=Step.QUEUED, recipient=anna.login)
    assert "mailbox is full" in queued.detail
