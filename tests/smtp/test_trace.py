"""What the trace keeps of connections and refusals, and for how long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts.auth import door
from accounts.models import User
from mailservers import sweeping
from mailservers.models import DeliveryEvent, GreylistEntry
from mailservers.serving.connection import Connection
from mailservers.smtp.server import SERVICES
from mailservers.store.events import EVENTS_AT_ONCE, Step, new_trace_id
from mailservers.store.greylist import MUST_COME_WITHIN, REMEMBERED
from tests.dialog import listening, play

GREETING = "S: 220 *\nC: EHLO client.test\nS: ...\nS: 250 *\n"


async def events(step: str, count: int = 1) -> list[DeliveryEvent]:
    """Written without anybody waiting for it, so waited for here."""
    async with asyncio.timeout(20):
        while await DeliveryEvent.objects.filter(step=step).acount() < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return [event async for event in DeliveryEvent.objects.filter(step=step).order_by("id")]


async def test_a_connection_that_was_turned_away(mail: None) -> None:
    script = GREETING + "C: FOO\nS: 500 *\nC: MAIL FROM:<a@b.test> X=1\nS: 555 *\nC: QUIT\nS: 221 *\nS: <closed>"
    async with listening(SERVICES[0]) as port:
        await play(port, script)
        (event,) = await events(Step.DISCONNECTED)
    assert event.outcome == "permanent" and event.peer == "127.0.0.1" and len(event.trace_id) == 16
    assert event.detail.splitlines() == [
        "From client.test [127.0.0.1]",
        "500 5.5.2 Command not recognised",
        "555 5.5.4 Parameter X is not supported",
    ]


@pytest.mark.parametrize("script", ["S: 220 *", GREETING, GREETING + "C: QUIT\nS: 221 *\nS: <closed>"])
async def test_a_connection_without_an_error_costs_no_row(mail: None, script: str) -> None:
    async with listening(SERVICES[0]) as port:
        await play(port, script)
        await play(port, GREETING + "C: FOO\nS: 500 *\nC: QUIT\nS: 221 *")  # something to wait for
        await events(Step.DISCONNECTED)
    assert await DeliveryEvent.objects.acount() == 1


async def test_the_refusal_of_a_recipient_is_told_once_and_word_for_word(anna: User) -> None:
    script = (
        GREETING
        + "C: MAIL FROM:<a@b.test>\nS: 250 *\nC: RCPT TO:<nobody@harbour.test>\nS: 550 5.1.1 *\nC: QUIT\nS: 221 *"
    )
    async with listening(SERVICES[0]) as port:
        await play(port, script)
        (event,) = await events(Step.REFUSED)
    assert event.detail == "550 5.1.1 No such user here"
    assert (event.sender, event.recipient, event.data["helo"]) == ("a@b.test", "nobody@harbour.test", "client.test")
    assert not await DeliveryEvent.objects.filter(step=Step.DISCONNECTED).aexists()


async def test_messages_of_one_connection_name_it(anna: User) -> None:
    message = "C: MAIL FROM:<a@b.test>\nS: 250 *\nC: RCPT TO:<anna@harbour.test>\nS: 250 *\n"
    message += "C: DATA\nS: 354 *\nC: .\nS: 250 *\n"
    async with listening(SERVICES[0]) as port:
        await play(port, GREETING + message + message)
        first, second = await events(Step.RECEIVED, 2)
    assert first.trace_id != second.trace_id
    assert first.data["connection"] == second.data["connection"] != ""
    assert (first.data["helo"], first.data["with"], first.data["tls"]) == ("client.test", "ESMTP", "")


async def test_a_wrong_password(anna: User) -> None:
    script = GREETING + "C: AUTH PLAIN AGFubmFAaGFyYm91ci50ZXN0AHdyb25n\nS: 535 *\nC: QUIT\nS: 221 *"
    async with listening(SERVICES[1]) as port:
        await play(port, script)
        (event,) = await events(Step.DISCONNECTED)
    assert "535 5.7.8 " in event.detail


async def test_implicit_tls_that_fails(mail: None) -> None:
    async with listening(SERVICES[2]) as port:
        await speak_in_clear(port)
        (event,) = await events(Step.DISCONNECTED)
    assert event.peer == "127.0.0.1" and event.detail.startswith(
        "From a host that gave no name [127.0.0.1]\nTLS failed: "
    )


async def speak_in_clear(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"EHLO client.test\r\n")
    assert b"220" not in await asyncio.wait_for(reader.read(), 20)
    writer.close()


async def test_the_first_octets_may_come_before_tls_reads(mail: None, monkeypatch: pytest.MonkeyPatch) -> None:
    secure = Connection._secure

    async def secure_late(connection: Connection) -> None:
        while not connection._early:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await secure(connection)

    monkeypatch.setattr(Connection, "_secure", secure_late)
    async with listening(SERVICES[2]) as port:
        await play(port, "S: 220 *\nC: QUIT\nS: 221 *\nS: <closed>", tls=True)


async def test_who_only_knocks_at_implicit_tls_costs_no_row(mail: None) -> None:
    async with listening(SERVICES[2]) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await speak_in_clear(port)
        await events(Step.DISCONNECTED)
        await play(port, "S: 220 *\nC: QUIT\nS: 221 *\nS: <closed>", tls=True)
    assert await DeliveryEvent.objects.acount() == 1


@pytest.mark.parametrize(
    "mechanism", ["AUTH PLAIN AGFubmFAaGFyYm91ci50ZXN0AHdyb25n", "AUTH LOGIN YW5uYQ==\nS: 334 *\nC: eA=="]
)
async def test_an_outage_is_no_wrong_password(anna: User, monkeypatch: pytest.MonkeyPatch, mechanism: str) -> None:
    """RFC 4954 section 6: 454 4.7.0, and the client keeps its password."""

    def out_of_order(*args: object, **kwargs: object) -> None:
        raise OperationalError("the database is gone")

    monkeypatch.setattr(door, "_check_password", out_of_order)
    async with listening(SERVICES[1]) as port:
        await play(port, GREETING + f"C: {mechanism}\nS: 454 4.7.0 *\nC: QUIT\nS: 221 *")
        (event,) = await events(Step.DISCONNECTED)
    assert event.outcome == "temporary" and "454 4.7.0 " in event.detail


async def test_old_steps_are_forgotten(mail: None, settings: Any) -> None:
    settings.EVENTS_KEPT_S = 3600
    now = timezone.now()
    await DeliveryEvent.objects.abulk_create(
        DeliveryEvent(at=now - timedelta(hours=age), trace_id=new_trace_id(), step=Step.FILED, outcome="ok")
        for age in [2] * (EVENTS_AT_ONCE + 10) + [0]
    )
    await GreylistEntry.objects.abulk_create(
        GreylistEntry(key=bytes([n]) * 16, first_seen=now - age, last_seen=now - age, has_passed=passed)
        for n, (age, passed) in enumerate(
            [
                (timedelta(0), False),
                (MUST_COME_WITHIN + timedelta(hours=1), False),
                (MUST_COME_WITHIN + timedelta(hours=1), True),
                (REMEMBERED + timedelta(hours=1), True),
            ]
        )
    )
    await sweeping.forget_trace()
    assert await DeliveryEvent.objects.acount() == 1
    assert sorted([bytes(row.key)[0] async for row in GreylistEntry.objects.all()]) == [0, 2]
    settings.EVENTS_KEPT_S = 0
    await DeliveryEvent.objects.aupdate(at=now - timedelta(days=9999))
    await sweeping.forget_trace()
    assert await DeliveryEvent.objects.acount() == 1


async def test_forgetting_where_there_is_nothing(mail: None) -> None:
    await sweeping.forget_trace()
