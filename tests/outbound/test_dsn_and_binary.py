"""What senders ask for: notices (RFC 3461), TLS (8689), octets as they are (3030), a later time (4865)."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from mailservers.formats.esmtp import DsnRequest
from mailservers.models import DeliveryEvent, MailboxMessage, QueuedRecipient, RecipientState
from mailservers.outbound import mail_transaction
from mailservers.outbound.acts import retry_now
from mailservers.outbound.client import open_session
from mailservers.outbound.mail_transaction import OutgoingEnvelope
from mailservers.outbound.outcomes import Outcome, Result, Unreachable
from mailservers.outbound.queue import list_queue, queue_totals
from mailservers.outbound.tls_need import OPPORTUNISTIC, Level, TlsNeed
from mailservers.store.content import prepare, read_message
from mailservers.store.engine import store
from mailservers.store.events import new_trace_id
from mailservers.store.placing import Delivery, QueueEntry, deliver

from .conftest import MESSAGE, running, until
from .fake_smtp import FakeHost, Script
from .test_runner import queue_is_empty, route

BASE = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES")
BINARY = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n.\r\n\xff\r"
REQUIRED = TlsNeed(Level.VERIFIED, "REQUIRETLS", promise=True)
BOB = "bob@remote.test"


async def put(
    recipients: tuple[str, ...] = (BOB,), raw: bytes = MESSAGE, lifetime: timedelta = timedelta(days=5), **fields: Any
) -> None:
    expires_at = timezone.now() + lifetime
    entry = QueueEntry(new_trace_id(), "anna@harbour.test", recipients, expires_at, **fields)
    await store.call(deliver, Delivery(prepare(raw), (), entry))


async def send(host: FakeHost, envelope: OutgoingEnvelope, message: bytes = MESSAGE) -> list[Outcome]:
    session = await open_session(
        "mx.remote.test", "127.0.0.1", host.port, REQUIRED if envelope.require_tls else OPPORTUNISTIC
    )
    outcomes = await session.transact(envelope, message)
    await session.quit()
    return outcomes


@pytest.fixture(autouse=True)
def short_times(settings: Any) -> None:
    settings.OUTBOUND_TIMEOUT_SCALE = 0.2
    settings.QUEUE_POLL_S = 60


@pytest.mark.parametrize("offered", [True, False])
async def test_dsn_parameters_go_where_they_are_understood(offered: bool) -> None:
    requests = DsnRequest("SUCCESS", "rfc822;b+2Bb@x.test"), DsnRequest()
    asked = OutgoingEnvelope("a@x.test", (BOB, "c@remote.test"), False, requests, "e 1", "HDRS")
    async with FakeHost(Script(extensions=(*BASE, *(["DSN"] if offered else [])))) as host:
        outcomes = await send(host, asked)
    assert [o.has_dsn for o in outcomes] == [offered, offered]
    wanted = " RET=HDRS ENVID=e+201", " NOTIFY=SUCCESS ORCPT=rfc822;b+2Bb@x.test", ""
    got = [c.partition(">")[2] for c in host.commands if c.startswith(("MAIL", "RCPT"))]
    assert got == ([*wanted] if offered else ["", "", ""])


async def test_a_hosts_limit_of_recipients_is_kept() -> None:
    everyone = tuple(f"r{n}@remote.test" for n in range(5))
    async with FakeHost(Script(extensions=(*BASE, "LIMITS MAILMAX=9 RCPTMAX=3"))) as host:
        outcomes = await send(host, OutgoingEnvelope("a@x.test", everyone))
    assert [o.result for o in outcomes] == [Result.DELIVERED] * 3 + [Result.DEFERRED] * 2
    assert all(o.try_soon for o in outcomes[3:])


@pytest.mark.parametrize("extensions", [BASE, (*BASE, "CHUNKING"), (*BASE, "CHUNKING", "BINARYMIME")])
async def test_binary_content(anna: User, settings: Any, extensions: tuple[str, ...]) -> None:
    async with FakeHost(Script(extensions=extensions)) as host:
        route(settings, remote_test=host)
        async with running():
            await put(raw=BINARY, is_binary=True)
            await until(queue_is_empty)
    (got,) = host.transactions
    if "BINARYMIME" in extensions:
        assert got.content == BINARY and got.mail.endswith(" BODY=BINARYMIME")
        assert "DATA" not in host.commands
    else:
        assert got.content.endswith(b"\r\n\r\nAAouDQr/DQ==\r\n")
        assert got.content.count(b"Content-Transfer-Encoding: base64\r\n") == 1
        assert got.content.isascii() and "BODY" not in got.mail


async def test_binary_content_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_transaction, "CHUNK_OCTETS", 10)
    async with FakeHost(Script(extensions=(*BASE, "CHUNKING", "BINARYMIME"))) as host:
        (outcome,) = await send(host, OutgoingEnvelope("a@x.test", (BOB,), is_binary=True), BINARY)
    assert outcome.result is Result.DELIVERED and host.transactions[0].content == BINARY
    assert host.commands[3] == "BDAT 10" and host.commands[-2].endswith(" LAST")


@pytest.mark.parametrize(
    ("extensions", "trusted", "status"),
    [
        (BASE, True, "5.7.10"),
        ((*BASE, "REQUIRETLS"), True, "5.7.10"),
        ((*BASE, "STARTTLS"), True, "5.7.30"),
        ((*BASE, "STARTTLS", "REQUIRETLS"), False, "5.7.10"),
        ((*BASE, "STARTTLS", "REQUIRETLS"), True, ""),
    ],
)
async def test_tls_that_is_required(
    named_certificate: tuple[ssl.SSLContext, Path],
    settings: Any,
    extensions: tuple[str, ...],
    trusted: bool,
    status: str,
) -> None:
    server, authority = named_certificate
    settings.OUTBOUND_CA_FILE = str(authority) if trusted else ""
    async with FakeHost(Script(extensions=extensions, tls=server)) as host:
        envelope = OutgoingEnvelope("a@x.test", (BOB,), require_tls=True)
        if status:
            with pytest.raises(Unreachable) as caught:
                await send(host, envelope)
            assert (caught.value.status, caught.value.temporary) == (status, False)
            assert not [c for c in host.commands if c.startswith("MAIL")]
        else:
            await send(host, envelope)
            assert host.transactions[0].mail.endswith(" REQUIRETLS") and host.transactions[0].tls


def notices(user: User) -> list[Any]:
    places = MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name="INBOX").order_by("uid")
    raws = [read_message(pk) or b"" for pk in places.values_list("message_id", flat=True)]
    return [email.message_from_bytes(raw, policy=email.policy.default) for raw in raws]


@pytest.mark.parametrize(
    ("notify", "reply", "extensions", "action"),
    [
        ("", "550 5.1.1 no", BASE, "failed"),
        ("NEVER", "550 5.1.1 no", BASE, None),
        ("SUCCESS", "550 5.1.1 no", BASE, None),
        ("FAILURE", "550 5.1.1 no", BASE, "failed"),
        ("SUCCESS", "250 2.1.5 ok", BASE, "relayed"),
        ("SUCCESS", "250 2.1.5 ok", (*BASE, "DSN"), None),
        ("FAILURE,DELAY", "250 2.1.5 ok", BASE, None),
    ],
)
async def test_the_sender_is_told_as_asked(
    anna: User, settings: Any, notify: str, reply: str, extensions: tuple[str, ...], action: str | None
) -> None:
    async with FakeHost(Script(rcpt=reply, extensions=extensions)) as host:
        route(settings, remote_test=host)
        async with running():
            await put(requests={BOB: DsnRequest(notify, "rfc822;b@old.test")}, envid="env", ret="FULL")
            await until(queue_is_empty)
    found = await store.read(notices, anna)
    assert len(found) == (1 if action else 0)
    if action:
        _, status, returned = found[0].iter_parts()
        whole, one = status.get_payload()
        assert (whole["Original-Envelope-Id"], one["Original-Recipient"]) == ("env", "rfc822;b@old.test")
        assert one["Action"] == action
        if action == "failed":
            assert returned.get_content_type() == "message/rfc822"
            assert returned.get_content().get_content() == "High water at nine.\r\n"
        else:
            assert returned.get_content_type() == "text/rfc822-headers"


def in_inbox(user: User) -> bool:
    return MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name="INBOX").exists()


async def test_what_was_held_comes_home_when_an_administrator_lets_it_go(anna: User, ben: User) -> None:
    async with running():
        await put(("ben@harbour.test", "gone@harbour.test"), held=frozenset({"ben@harbour.test", "gone@harbour.test"}))
        rows = await store.read(list_queue)
        assert [row.state for row in rows] == [RecipientState.HELD] * 2
        assert (await store.read(queue_totals)).held == 2
        assert not await store.read(in_inbox, ben)
        await store.call(retry_now, [row.id for row in rows])
        await until(queue_is_empty)
    assert await store.read(in_inbox, ben)
    (bounce,) = await store.read(notices, anna)
    assert "gone@harbour.test" in bounce["Subject"]
    steps = [event.step async for event in DeliveryEvent.objects.order_by("id")]
    assert steps.count("filed") == 2 and "failed" in steps


def give_room(user: User, octets: int) -> None:
    User.objects.filter(pk=user.pk).update(quota_octets=octets)


async def test_a_full_mailbox_keeps_nobody_else_waiting(anna: User, ben: User, make_user: Any) -> None:
    """It is tried again, and comes once: the others have theirs."""
    olga = await asyncio.to_thread(make_user, "olga@harbour.test")
    await asyncio.to_thread(give_room, ben, 10)
    async with running():
        await put(("ben@harbour.test", "olga@harbour.test"))
        await until(lambda: QueuedRecipient.objects.filter(state=RecipientState.DEFERRED).exists())
        row = await QueuedRecipient.objects.aget(state=RecipientState.DEFERRED)
        assert row.address == "ben@harbour.test" and row.last_reply == "the mailbox is full"
        assert await store.read(in_inbox, olga) and not await store.read(in_inbox, ben)
        await asyncio.to_thread(give_room, ben, 0)
        await store.call(retry_now, [row.pk])
        await until(queue_is_empty)
    counts = [await MailboxMessage.objects.filter(mailbox__owner=user).acount() for user in (ben, olga)]
    assert counts == [1, 1]


async def test_a_mailbox_that_stays_full_is_told_the_sender(anna: User, ben: User) -> None:
    await asyncio.to_thread(give_room, ben, 10)
    async with running():
        # Its time is up when it is taken: the runner may have tried before another statement has said so.
        await put(("ben@harbour.test",), not_before=timezone.now() - timedelta(days=9), lifetime=timedelta())
        await until(queue_is_empty)
    (bounce,) = await store.read(notices, anna)
    assert "ben@harbour.test" in bounce["Subject"] and "the mailbox is full" in bounce.as_string()


async def test_a_later_time_is_kept(anna: User, ben: User) -> None:
    async with running():
        await put(("ben@harbour.test",), not_before=timezone.now() + timedelta(hours=1))
        row = await QueuedRecipient.objects.aget()
        assert row.next_attempt > timezone.now() + timedelta(minutes=59)
        await store.call(retry_now, [row.pk])
        await until(queue_is_empty)
    assert await store.read(in_inbox, ben)
