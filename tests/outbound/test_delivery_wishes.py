"""DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710) and TLS-Required (RFC 8689): from MAIL to the next host, or back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from mailservers.formats.esmtp import DeliverBy, DsnRequest
from mailservers.formats.mta_sts import StsPolicy
from mailservers.models import QueuedMessage, QueuedRecipient, RecipientState
from mailservers.outbound.outcomes import Outcome, Result, Unreachable
from mailservers.outbound.resolve import Found, MailHost
from mailservers.outbound.tls_need import Level
from mailservers.outbound.tls_policy import need_of
from mailservers.smtp.server import SERVICES
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Delivery, QueueEntry, deliver
from tests.dialog import listening, play
from tests.smtp.test_submission import OPENING

from .conftest import MESSAGE, Clock, running, until
from .fake_smtp import FakeHost, Script
from .test_dsn_and_binary import BASE, BOB, notices, put
from .test_runner import queue_is_empty, route
from .test_tls_policy import PLAIN, add_tlsa, world

TIMED = (*BASE, "DELIVERBY 30")
GONE = Outcome(Result.DEFERRED, "4.4.1", explanation="nobody answers")


def by(seconds: int, mode: str, is_traced: bool = False) -> DeliverBy:
    return DeliverBy(timezone.now() + timedelta(seconds=seconds), mode, is_traced)


@pytest.mark.parametrize(
    ("asked", "extensions", "parameter", "action", "status"),
    [
        ((3600, "R", False), TIMED, "BY=3", None, ""),
        ((3600, "R", False), BASE, None, "failed", "5.3.3"),
        ((20, "R", False), TIMED, None, "failed", "5.4.7"),  # the host wants 30 seconds at least
        ((3600, "N", False), TIMED, "BY=3", None, ""),
        ((-100, "N", False), TIMED, "BY=-1", None, ""),
        ((3600, "N", False), BASE, "", "relayed", "2.0.0"),
        ((3600, "N", True), TIMED, "BY=3", "relayed", "2.0.0"),
    ],
)
async def test_what_becomes_of_a_message_that_is_in_a_hurry(
    anna: User,
    settings: Any,
    asked: tuple[int, str, bool],
    extensions: tuple[str, ...],
    parameter: str | None,
    action: str | None,
    status: str,
) -> None:
    deliver_by = by(*asked)
    async with FakeHost(Script(extensions=extensions)) as host:
        route(settings, remote_test=host)
        async with running():
            await put(deliver_by=deliver_by)
            await until(queue_is_empty)
    assert len(host.transactions) == (parameter is not None)
    if parameter:
        assert f" {parameter}" in host.transactions[0].mail
        assert f";{deliver_by.mode}{'T' if deliver_by.is_traced else ''}" in host.transactions[0].mail
    elif parameter is not None:
        assert "BY=" not in host.transactions[0].mail
    found = await store.read(notices, anna)
    assert len(found) == (action is not None)
    if action:
        _, one = found[0].get_payload()[1].get_payload()
        assert (one["Action"], one["Status"]) == (action, status)


async def test_nobody_is_told_who_never_wants_to_be(anna: User, settings: Any) -> None:
    async with FakeHost(Script(extensions=BASE)) as host:
        route(settings, remote_test=host)
        async with running():
            await put(deliver_by=by(3600, "N"), requests={BOB: DsnRequest("NEVER")})
            await until(queue_is_empty)
    assert len(host.transactions) == 1 and not await store.read(notices, anna)


@pytest.mark.parametrize(("mode", "action", "status"), [("R", "failed", "5.4.7"), ("N", "delayed", "4.4.1")])
def test_when_the_time_is_over(anna: User, clock: Clock, mode: str, action: str, status: str) -> None:
    """Nobody answers: at the moment itself it is tried once more, and returned, or its sender told, once."""
    start = timezone.now()
    at = start + timedelta(seconds=600)
    ends_at = at if mode == "R" else start + timedelta(days=5)  # as `delivery.acceptance.queue_entry` has it
    entry = QueueEntry("t", "anna@harbour.test", (BOB,), ends_at, deliver_by=DeliverBy(at, mode))
    store.call_sync(deliver, Delivery(prepare(MESSAGE), (), entry))
    for minutes in (1, 7, 10, 25, 60):
        clock.now = start + timedelta(minutes=minutes, seconds=5)
        for job in clock.claim():
            clock.record(job, GONE)
    found = notices(anna)
    assert len(found) == 1
    _, one = found[0].get_payload()[1].get_payload()
    assert (one["Action"], one["Status"]) == (action, status)
    assert QueuedRecipient.objects.exists() == (mode == "N")


# ---------------------------------------------------------------- from MAIL to the queue

GREETING = "S: 220 *\nC: EHLO c\nS: ...\nS: 250 *\n"


@pytest.mark.parametrize(
    ("parameters", "answer"),
    [
        ("BY=600;R", "250 2.1.0 *"),
        ("by=600;n", "250 2.1.0 *"),
        ("BY=-5;N", "250 2.1.0 *"),
        ("BY=+5;NT", "250 2.1.0 *"),
        ("BY=0;N", "250 2.1.0 *"),
        ("BY=0;R", "501 5.5.4 *"),
        ("BY=-5;R", "501 5.5.4 *"),
        ("BY=600", "501 5.5.4 *"),
        ("BY=600;X", "501 5.5.4 *"),
        ("BY=1234567890;N", "501 5.5.4 *"),
        ("BY", "501 5.5.4 *"),
        ("MT-PRIORITY=0", "250 2.1.0 *"),
        ("MT-PRIORITY=-9", "250 2.1.0 *"),
        ("MT-PRIORITY=3", "250 2.3.6 *"),  # strangers may not ask for more
        ("MT-PRIORITY=-0", "501 5.5.4 *"),
        ("MT-PRIORITY=10", "501 5.5.4 *"),
        ("MT-PRIORITY=+1", "501 5.5.4 *"),
        ("MT-PRIORITY", "501 5.5.4 *"),
    ],
)
async def test_mail_parameters(mail: None, parameters: str, answer: str) -> None:
    async with listening(SERVICES[0]) as port:
        await play(port, GREETING + f"C: MAIL FROM:<a@b.test> {parameters}\nS: {answer}")


async def test_they_are_kept(anna: User) -> None:
    async def hand_in(port: int, parameters: str, header: str, answer: str) -> None:
        mail = f"C: MAIL FROM:<anna@harbour.test>{parameters}\nS: {answer}\nC: RCPT TO:<{BOB}>\nS: 250 *\n"
        await play(port, f"{OPENING}\n{mail}C: DATA\nS: 354 *\nC: From: anna@harbour.test\n{header}C: .\nS: 250 *")

    async with listening(SERVICES[1]) as port:
        await hand_in(port, " BY=600;RT MT-PRIORITY=9", "", "250 2.3.6 *")
        await hand_in(port, " BY=600;N MT-PRIORITY=-2", "C: TLS-Required: No\n", "250 2.1.0 *")
        await hand_in(port, "", "C: TLS-Required: yes\n", "250 2.1.0 *")
    first, second, third = [row async for row in QueuedMessage.objects.order_by("pk")]
    assert (first.by_mode, first.priority, first.tls_optional) == ("RT", 4, False)
    assert first.expires_at == first.deliver_by and first.deliver_by < timezone.now() + timedelta(seconds=601)
    assert (second.by_mode, second.priority, second.tls_optional) == ("N", -2, True)
    assert second.expires_at > timezone.now() + timedelta(days=4)
    assert (third.by_mode, third.deliver_by, third.priority, third.tls_optional) == ("", None, 0, False)


async def test_priority_is_the_order_of_the_queue_and_goes_on(anna: User, settings: Any) -> None:
    settings.QUEUE_PER_DESTINATION = settings.QUEUE_DESTINATION_START = 1
    async with FakeHost(Script(extensions=(*BASE, "MT-PRIORITY"))) as host:
        route(settings, remote_test=host)
        for priority in (-3, 0, 4, 1):
            await put(priority=priority)
        async with running():
            await until(queue_is_empty)
    said = [transaction.mail.partition("MT-PRIORITY=")[2] for transaction in host.transactions]
    assert said == ["4", "1", "", "-3"]


# ---------------------------------------------------------------- TLS


async def test_tls_required_no_goes_on_where_a_policy_would_stop_it(anna: User, settings: Any) -> None:
    """RFC 8689 4.2.2."""
    settings.OUTBOUND_ALLOW_PRIVATE = True
    async with FakeHost(Script(extensions=PLAIN)) as host:
        with world(settings, host, signed=True) as zone:
            add_tlsa(zone, host, (3, 1, 1, bytes(32)))
            async with running():
                await put(tls_optional=True)
                await until(queue_is_empty)
                await put()
                await until(lambda: QueuedRecipient.objects.filter(state=RecipientState.DEFERRED).exists())
    assert len(host.transactions) == 1 and not host.transactions[0].tls


class NoDns:
    async def ask(self, *_: object) -> Any:
        raise AssertionError("nothing to ask")


STS = StsPolicy("enforce", 86400, ("mx.remote.test",))


@pytest.mark.parametrize(
    ("host", "domain", "policy", "is_vouched_for"),
    [
        (MailHost("mx.remote.test", 25), "remote.test", None, False),
        (MailHost("mx.remote.test", 25), "remote.test", STS, True),
        (MailHost("mx.remote.test", 25), "remote.test", StsPolicy("testing", 86400, ("*.remote.test",)), True),
        (MailHost("mx.remote.test", 25), "remote.test", StsPolicy("testing", 86400, ("mx.other.test",)), False),
        (MailHost("mx.remote.test", 25), "remote.test", StsPolicy("none", 86400, ()), False),
        (MailHost("mx.remote.test", 25, is_secure=True), "remote.test", None, True),
        (MailHost("mx.remote.test", 25, is_routed=True), "remote.test", None, True),
        (MailHost("remote.test", 25), "remote.test", None, True),  # the domain itself
        (MailHost("xn--grn-ioa.test", 25), "grün.test", None, True),
        (MailHost("192.0.2.1", 25), "[192.0.2.1]", None, True),
    ],
)
async def test_requiretls_wants_a_word_for_the_mail_host(
    host: MailHost, domain: str, policy: StsPolicy | None, is_vouched_for: bool
) -> None:
    """RFC 8689 4.2.1 step 2."""
    asked = need_of(NoDns(), host, Found(["192.0.2.1"]), domain, policy, require_tls=True)  # type: ignore[arg-type]
    if is_vouched_for:
        need = await asked
        assert need.promise and need.level is Level.VERIFIED
    else:
        with pytest.raises(Unreachable) as caught:
            await asked
        assert (caught.value.status, caught.value.temporary) == ("5.7.10", False)
