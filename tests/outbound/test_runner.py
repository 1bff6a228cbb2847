"""The runner on a real loop: speed, sharing, retries, stopping, dying; and what it sends."""

from __future__ import annotations

import asyncio
import base64
import email
import os
import time
from typing import Any

import dkim
import pytest
from django.db.models import F
from django.utils import timezone

from accounts.keys import generate, make_dkim_keys, record_value
from accounts.models import DkimKey, User
from mailservers.models import DeliveryEvent, MailboxMessage, MessageData, QueuedMessage, QueuedRecipient
from mailservers.outbound.acts import retry_now
from mailservers.outbound.leases import claim
from mailservers.outbound.presence import Presence
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.placing import deliver
from mailservers.store.transaction import Transaction

from .conftest import MESSAGE, queue_delivery, running, until
from .fake_smtp import HANG, FakeHost, Script
from .stub_dns import name_server


async def put(*args: Any, **fields: Any) -> str:
    """Queue a message; its trace id."""
    delivery = queue_delivery(*args, **fields)
    await store.call(deliver, delivery)
    assert delivery.queue is not None
    return delivery.queue.trace_id


def queue_is_empty() -> bool:
    return not QueuedMessage.objects.exists()


def happened(step: str) -> bool:
    return DeliveryEvent.objects.filter(step=step).exists()


def events(trace_id: str) -> list[tuple[str, str, str]]:
    rows = DeliveryEvent.objects.filter(trace_id=trace_id).order_by("id")
    return list(rows.values_list("step", "recipient", "detail"))


@pytest.fixture(autouse=True)
def short_times(settings: Any) -> None:
    settings.OUTBOUND_TIMEOUT_SCALE = 0.2
    settings.QUEUE_POLL_S = 60  # nothing here waits for the poll


def route(settings: Any, **hosts: FakeHost) -> None:
    settings.ROUTES = {name.replace("_", "."): f"127.0.0.1:{host.port}" for name, host in hosts.items()}


async def test_a_message_leaves_at_once(anna: User, settings: Any) -> None:
    async with FakeHost() as host:
        route(settings, remote_test=host)
        async with running():
            await put()
            await asyncio.wait_for(host.arrived.wait(), 60)
            host.arrived.clear()
            started = time.monotonic()
            trace_id = await put()
            await asyncio.wait_for(host.arrived.wait(), 60)
            assert time.monotonic() - started < 2  # measured 15 ms on an idle machine; the poll would take 60 s
            await until(queue_is_empty)
            sent = (await store.read(events, trace_id))[-1]
    assert sent == (Step.SENT, "bob@remote.test", "250 2.0.0 queued as 42")
    assert host.transactions[0].content == MESSAGE.partition(b"\r\n")[2]  # without Return-Path, and not signed: no key
    assert host.commands[0] == "EHLO mx.postroom.test"


async def test_what_waited_before_the_start_is_sent_too(anna: User, settings: Any) -> None:
    async with FakeHost() as host:
        route(settings, remote_test=host)
        await put()
        async with running():
            await until(queue_is_empty)
    assert len(host.transactions) == 1


async def test_recipients_of_one_domain_go_in_one_transaction(anna: User, settings: Any) -> None:
    script = Script(recipients={"no@one.test": "550 5.1.1 no", "grey@one.test": "451 4.7.1 later"})
    async with FakeHost(script) as one, FakeHost() as two:
        route(settings, one_test=one, two_test=two)
        async with running():
            trace_id = await put(("a@one.test", "no@one.test", "grey@one.test", "b@one.test", "c@two.test"))
            await until(lambda: happened(Step.BOUNCED) and DeliveryEvent.objects.filter(step=Step.SENT).count() == 3)
            log = await store.read(events, trace_id)
    assert one.transactions[0].recipients == ["a@one.test", "b@one.test"]
    assert two.transactions[0].recipients == ["c@two.test"]
    assert (Step.FAILED, "no@one.test", "550 5.1.1 no") in log
    assert (Step.ATTEMPTED, "grey@one.test", "451 4.7.1 later") in log
    assert (Step.BOUNCED, "anna@harbour.test", "anna@harbour.test was told that it could not be delivered") in log
    assert one.connections == two.connections == 1


async def test_a_dead_host_does_not_delay_others(anna: User, settings: Any) -> None:
    settings.QUEUE_CONCURRENCY, settings.QUEUE_PER_DESTINATION = 4, 2
    async with FakeHost(Script(greeting=HANG)) as dead, FakeHost() as good:
        route(settings, dead_test=dead, good_test=good)
        for number in range(8):
            await put((f"{number}@dead.test",))
        async with running():
            await put(("b@good.test",))
            await asyncio.wait_for(good.arrived.wait(), 40)  # the dead host takes 60 s to time out
            assert dead.most_concurrent <= 2
            await until(lambda: happened(Step.SENT))


async def test_greylisting_is_passed_on_the_second_try(anna: User, settings: Any) -> None:
    async with FakeHost(Script(rcpt="451 4.7.1 Greylisted")) as host:
        route(settings, remote_test=host)
        async with running():
            trace_id = await put()
            await until(lambda: happened(Step.ATTEMPTED))
            host.script.rcpt = "250 ok"
            ids = await store.read(lambda: list(QueuedRecipient.objects.values_list("id", flat=True)))
            await store.call(retry_now, ids)  # wakes the runner
            await until(queue_is_empty)
            log = await store.read(events, trace_id)
    assert [step for step, _, _ in log] == [Step.QUEUED, Step.ATTEMPTED, Step.QUEUED, Step.SENT]


async def test_the_next_mail_host_is_tried(anna: User, settings: Any) -> None:
    settings.OUTBOUND_ALLOW_PRIVATE = True
    zone = (
        "remote.test. 60 MX 10 first.test.\nremote.test. 60 MX 20 second.test.\nremote.test. 60 MX 30 nowhere.test.\n"
        "first.test. 60 A 127.0.0.2\nsecond.test. 60 A 127.0.0.1\n"
    )
    async with FakeHost() as host:
        with name_server(zone) as (server, _):
            settings.OUTBOUND_DNS_SERVERS, settings.OUTBOUND_PORT = [server], host.port
            async with running():
                trace_id = await put()
                await until(queue_is_empty)
                sent = await store.read(lambda: DeliveryEvent.objects.get(trace_id=trace_id, step=Step.SENT))
    assert sent.peer == "second.test [127.0.0.1]"


async def test_a_domain_that_does_not_exist_bounces_at_once(anna: User, settings: Any) -> None:
    with name_server("other.test. 60 A 192.0.2.1") as (server, _):
        settings.OUTBOUND_DNS_SERVERS = [server]
        async with running():
            trace_id = await put(("x@nowhere.test",))
            await until(queue_is_empty)
            log = await store.read(events, trace_id)
            places = await store.read(lambda: MailboxMessage.objects.filter(mailbox__owner=anna).count())
    assert (Step.FAILED, "x@nowhere.test", "there is no domain nowhere.test") in log
    assert places == 1


async def test_a_notice_reaches_another_host(settings: Any, mail: None) -> None:
    async with FakeHost(Script(mail="550 5.7.1 no")) as refusing, FakeHost() as sender:
        route(settings, remote_test=refusing, elsewhere_test=sender)
        async with running():
            await put(reverse_path="eve@elsewhere.test")
            await asyncio.wait_for(sender.arrived.wait(), 60)
            await until(queue_is_empty)
    (notice,) = sender.transactions
    assert notice.mail.startswith("MAIL FROM:<> ") and notice.recipients == ["eve@elsewhere.test"]
    assert notice.content.startswith(b"From: Mail Delivery System")


async def test_the_far_side_hears_of_no_bare_line_ends(anna: User, settings: Any) -> None:
    async with FakeHost() as host:
        route(settings, remote_test=host)
        async with running():
            await put(raw=b"Subject: x\n\nline\n.\r\nMAIL FROM:<evil@x.test>\r\rend")
            await until(queue_is_empty)
    (only,) = host.transactions
    assert only.content == b"Subject: x\r\n\r\nline\r\n.\r\nMAIL FROM:<evil@x.test>\r\n\r\nend\r\n"
    assert [c for c in host.commands if c.startswith("MAIL")] == [only.mail]


# ---------------------------------------------------------------- DKIM


async def signed_by(
    anna: User, settings: Any, *, raw: bytes = MESSAGE, sender: bool = True
) -> tuple[bytes, dict[bytes, bytes]]:
    """(what arrived, the domain's DNS records by name), with keys for harbour.test."""
    pairs = await asyncio.to_thread(generate, "pr1")
    await store.call(make_dkim_keys, anna.domain_id, pairs)
    rows = await store.read(lambda: list(DkimKey.objects.select_related("domain")))
    async with FakeHost() as host:
        route(settings, remote_test=host)
        async with running():
            await put(raw=raw, sender=anna if sender else None)
            await asyncio.wait_for(host.arrived.wait(), 60)
            await until(queue_is_empty)
    records = {f"{row.selector}._domainkey.harbour.test.".encode(): record_value(row).encode() for row in rows}
    return host.transactions[0].content, records


async def test_what_our_users_send_is_signed(anna: User, settings: Any) -> None:
    message, records = await signed_by(anna, settings)
    rsa, ed25519 = "a=rsa-sha256; c=relaxed/relaxed; d=harbour.test; s=pr1;", "a=ed25519-sha256;"
    assert message.startswith(f"DKIM-Signature: v=1; {rsa}".encode()) and ed25519.encode() in message
    assert sorted(records) == [b"pr1._domainkey.harbour.test.", b"pr1e._domainkey.harbour.test."]

    def verify(changed: bytes) -> list[bool]:
        results = []
        for at in (0, 1):
            try:
                results.append(dkim.DKIM(changed).verify(at, dnsfunc=lambda name, timeout=5: records[name]))
            except dkim.ValidationError:
                results.append(False)
        return results

    assert verify(message) == [True, True]
    assert verify(message.replace(b"nine", b"ten")) == [False, False]
    assert verify(message.replace(b"Tide tables", b"Tide fables")) == [False, False]


async def test_a_large_message_is_signed_in_a_thread(anna: User, settings: Any) -> None:
    body = base64.encodebytes(bytes(range(256)) * 1_000).replace(b"\n", b"\r\n")
    message, records = await signed_by(anna, settings, raw=MESSAGE + body)
    assert dkim.verify(message, dnsfunc=lambda name, timeout=5: records[name])


async def test_a_very_large_message_is_sent_and_signed_from_a_spool(anna: User, settings: Any) -> None:
    settings.STREAM_OVER = 10_000
    body = b"".join(b".%d\r\n" % n for n in range(90_000))
    message, records = await signed_by(anna, settings, raw=MESSAGE + body)
    assert message.endswith(MESSAGE.partition(b"\r\n")[2] + body)
    assert dkim.verify(message, dnsfunc=lambda name, timeout=5: records[name])


async def test_a_very_large_message_for_a_host_that_takes_less(anna: User, settings: Any) -> None:
    settings.STREAM_OVER = 10_000
    raw = b"From: a@b.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + "fünf Dünen\n".encode() * 50_000
    async with FakeHost(Script(extensions=("PIPELINING",))) as host:
        route(settings, remote_test=host)
        async with running():
            await put(raw=raw)
            await asyncio.wait_for(host.arrived.wait(), 60)
            await until(queue_is_empty)
    sent = host.transactions[0].content
    assert sent.isascii() and "BODY" not in host.transactions[0].mail
    assert email.message_from_bytes(sent).get_payload(decode=True) == "fünf Dünen\r\n".encode() * 50_000


@pytest.mark.parametrize(
    ("raw", "sender"),
    [
        (MESSAGE.replace(b"anna@harbour", b"anna@elsewhere"), True),
        (b"Subject: no From\r\n\r\n", True),
        (MESSAGE, False),  # it only passes through: its From may be forged
    ],
)
async def test_what_is_not_ours_is_not_signed(anna: User, settings: Any, raw: bytes, sender: bool) -> None:
    message, _ = await signed_by(anna, settings, raw=raw, sender=sender)
    assert b"DKIM-Signature" not in message


# ---------------------------------------------------------------- stopping and dying


async def test_stopping_lets_a_message_on_its_last_step_finish(anna: User, settings: Any) -> None:
    go_on = asyncio.Event()
    async with FakeHost() as host:
        host.before_end = go_on.wait  # type: ignore[assignment]
        route(settings, remote_test=host)
        async with running() as runner:
            await put()
            await until(lambda: bool(host.transactions))
            stopping = asyncio.create_task(runner.stop())
            await asyncio.sleep(0)
            go_on.set()
            await stopping
            assert await store.read(queue_is_empty)


async def test_stopping_releases_what_has_not_begun(anna: User, settings: Any) -> None:
    async with FakeHost(Script(greeting=HANG)) as host:
        route(settings, remote_test=host)
        async with running() as runner:
            await put()
            await until(lambda: host.connections == 1)
            started = time.monotonic()
            await runner.stop()
            assert time.monotonic() - started < 3
            row = await store.read(QueuedRecipient.objects.get)
            assert (row.lease_until, row.lease_token, row.attempts) == (None, "", 0)


async def test_a_runner_that_died_in_the_end_of_data_leads_to_one_repeat(anna: User, settings: Any) -> None:
    settings.QUEUE_LEASE_S = 600
    async with FakeHost() as host:
        host.before_end = asyncio.Event().wait  # type: ignore[assignment]  # it has the message, but never says so
        route(settings, remote_test=host)
        async with running() as runner:
            await put()
            await until(lambda: len(host.transactions) == 1)
            # As kill -9 would: no more of its tasks, nothing written, the lock gone with the process.
            for task in [*runner._attempts, *runner._loops]:
                task.cancel()
            await asyncio.gather(*runner._attempts, *runner._loops, return_exceptions=True)
            assert runner._presence is not None
            os.close(runner._presence._file)
            runner._presence = None
        host.before_end = None
        row = await store.read(QueuedRecipient.objects.get)
        assert row.lease_token != ""
        async with running():  # the next start finds the dead one's leases
            await until(queue_is_empty)
    assert len(host.transactions) == 2
    assert await store.read(lambda: DeliveryEvent.objects.filter(step=Step.SENT).count()) == 1


async def test_a_lease_of_another_host_is_left_until_it_runs_out(anna: User, settings: Any) -> None:
    def expire(tx: Transaction) -> None:
        QueuedRecipient.objects.update(lease_until=tx.now, next_attempt=F("next_attempt"))

    async with FakeHost() as host:
        route(settings, remote_test=host)
        await put()
        assert len(await store.call(claim, "elsewhere.1", 10, {})) == 1
        async with running() as runner:
            assert not host.transactions
            await store.call(expire)
            runner.wake()
            await until(queue_is_empty)
    assert len(host.transactions) == 1


async def test_several_runners_share_a_queue(anna: User, settings: Any) -> None:
    settings.QUEUE_CONCURRENCY = 4
    async with FakeHost() as host:
        route(settings, remote_test=host)
        for number in range(30):
            await put((f"{number}@remote.test",))
        async with running(), running(), running():
            await until(queue_is_empty)
    assert sorted(t.recipients[0] for t in host.transactions) == sorted(f"{n}@remote.test" for n in range(30))


def test_presence(settings: Any, tmp_path: Any) -> None:
    settings.DATA_DIR = tmp_path
    first, second = Presence(), Presence()
    assert first.dead_runners() == second.dead_runners() == []
    os.close(second._file)
    assert first.dead_runners() == [second.runner_id]
    first.bury(second.runner_id)
    assert first.dead_runners() == []
    first.leave()
    assert list((tmp_path / "runners").iterdir()) == []


async def test_the_runner_survives_a_message_whose_octets_are_gone(anna: User, settings: Any) -> None:
    def lose(tx: Transaction) -> None:
        MessageData.objects.all().delete()

    async with FakeHost() as host:
        route(settings, remote_test=host)
        await put()
        await store.call(lose)
        async with running():
            await until(lambda: happened(Step.ATTEMPTED))
            row = await store.read(QueuedRecipient.objects.get)
    assert row.last_reply == "something went wrong at this host"
    assert row.next_attempt > timezone.now()

    def forget(tx: Transaction) -> None:
        message = QueuedMessage.objects.get().message
        QueuedMessage.objects.all().delete()
        message.delete()

    await store.call(forget)
