"""DANE (RFC 7672) and MTA-STS (RFC 8461) end to end: a name server, a policy host and a mail host on loopback, and the
queue runner between them. No message goes in the clear, or to the wrong host, where a policy forbids it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts.models import User
from mailservers.models import DeliveryEvent, MtaStsPolicy, QueuedRecipient
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.placing import deliver

from .authority import Authority
from .conftest import queue_delivery, running, until
from .fake_smtp import DROP, FakeHost, Script
from .stub_dns import Zone, name_server

PLAIN = ("PIPELINING", "8BITMIME")
TLS = (*PLAIN, "STARTTLS")
POLICY = "version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n"


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    """What the server runs on: once is enough for what is slow."""
    return uvloop.EventLoopPolicy()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def mx(authority: Authority) -> tuple[ssl.SSLContext, x509.Certificate]:
    return authority.issue("mx.remote.test")


@pytest.fixture(autouse=True)
def loopback(settings: Any, authority: Authority) -> None:
    settings.OUTBOUND_TIMEOUT_SCALE = 0.2
    settings.QUEUE_POLL_S = 60
    settings.OUTBOUND_ALLOW_PRIVATE = True
    settings.OUTBOUND_CA_FILE = str(authority.file)


@contextlib.contextmanager
def world(settings: Any, host: FakeHost, *more: str, signed: bool = False) -> Iterator[Zone]:
    rows = ["remote.test. 60 MX 10 mx.remote.test.", "mx.remote.test. 60 A 127.0.0.1"]
    with name_server("\n".join([*rows, *more])) as (server, zone):
        zone.is_signed = signed
        settings.OUTBOUND_DNS_SERVERS, settings.OUTBOUND_PORT = [server], host.port
        yield zone


@contextlib.asynccontextmanager
async def policy_host(settings: Any, authority: Authority, body: str, status: str = "200 OK") -> AsyncIterator[None]:
    context, _ = authority.issue("mta-sts.remote.test")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write((head + body).encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    settings.OUTBOUND_HTTPS_PORT = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()


async def send() -> DeliveryEvent:
    """Queue one message, wait for what became of it."""
    delivery = queue_delivery(("bob@remote.test",))
    await store.call(deliver, delivery)
    assert delivery.queue is not None
    ends = DeliveryEvent.objects.filter(
        trace_id=delivery.queue.trace_id, step__in=(Step.SENT, Step.ATTEMPTED, Step.FAILED)
    )
    async with running():
        await until(ends.exists)
    return await store.read(ends.get)


def add_tlsa(zone: Zone, host: FakeHost, *records: tuple[int, int, int, bytes]) -> None:
    zone.tlsa[f"_{host.port}._tcp.mx.remote.test."] = list(records)


def digest(certificate: x509.Certificate, selector: int = 1, matching: int = 1) -> bytes:
    der = certificate.public_bytes(Encoding.DER)
    if selector == 1:
        der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {0: der, 1: hashlib.sha256(der).digest(), 2: hashlib.sha512(der).digest()}[matching]


# ---------------------------------------------------------------- DANE


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("usage", [2, 3])
async def test_dane_is_met(
    anna: User, settings: Any, authority: Authority, mx: Any, usage: int, selector: int, matching: int
) -> None:
    context, certificate = mx
    named = certificate if usage == 3 else authority.certificate
    async with FakeHost(Script(extensions=TLS, tls=context)) as host:
        with world(settings, host, signed=True) as zone:
            add_tlsa(zone, host, (usage, selector, matching, digest(named, selector, matching)))
            event = await send()
    assert (event.step, event.data["tls"]) == (Step.SENT, "TLSv1.3, DANE")
    assert host.transactions[0].tls


async def test_dane_ee_asks_neither_for_names_nor_for_dates(anna: User, settings: Any, authority: Authority) -> None:
    context, certificate = authority.issue("another.name.test", days=-1)
    async with FakeHost(Script(extensions=TLS, tls=context)) as host:
        with world(settings, host, signed=True) as zone:
            add_tlsa(zone, host, (3, 1, 1, digest(certificate)))
            event = await send()
    assert event.step == Step.SENT and host.transactions[0].tls


@pytest.mark.parametrize(
    ("script", "usage", "name"),
    [
        (Script(extensions=PLAIN), 3, "mx.remote.test"),  # STARTTLS stripped
        (Script(extensions=TLS, starttls="454 4.7.0 not now"), 3, "mx.remote.test"),
        (Script(extensions=TLS, starttls="502 5.5.1 what?"), 3, "mx.remote.test"),
        (Script(extensions=TLS, starttls=DROP), 3, "mx.remote.test"),
        (Script(extensions=TLS, tls_garbage=True), 3, "mx.remote.test"),
        (Script(extensions=TLS, starttls=b"220 ready\r\n250 injected\r\n"), 3, "mx.remote.test"),
        (Script(ehlo="502 what?"), 3, "mx.remote.test"),
        (Script(extensions=TLS), 3, "wrong key"),
        (Script(extensions=TLS), 2, "wrong key"),
        (Script(extensions=TLS), 2, "another.name.test"),
        (Script(extensions=TLS), 2, "expired"),
    ],
)
async def test_dane_is_not_met(
    anna: User, settings: Any, authority: Authority, script: Script, usage: int, name: str
) -> None:
    context, certificate = authority.issue(
        "another.name.test" if name == "another.name.test" else "mx.remote.test", -1 if name == "expired" else 1
    )
    named = certificate if usage == 3 else authority.certificate
    if name == "wrong key":
        _, named = authority.issue("mx.remote.test")
    if not script.tls_garbage:
        script.tls = context
    async with FakeHost(script) as host:
        with world(settings, host, signed=True) as zone:
            add_tlsa(zone, host, (usage, 1, 1, digest(named)))
            event = await send()
    assert event.step == Step.ATTEMPTED and not host.transactions, event.detail
    assert not any(command.startswith("MAIL") for command in host.commands)
    assert "DANE" in event.detail


async def test_unsigned_answers_and_records_of_no_use(anna: User, settings: Any, mx: Any) -> None:
    """Without AD the records do not count; with it, ones that mail does not know still ask for TLS (RFC 7672 2.2)."""
    context, certificate = mx
    async with FakeHost(Script(extensions=PLAIN)) as host:
        with world(settings, host) as zone:
            add_tlsa(zone, host, (3, 1, 1, digest(certificate)))
            assert (await send()).step == Step.SENT
            assert not host.transactions[0].tls
        with world(settings, host, signed=True) as zone:
            add_tlsa(zone, host, (1, 1, 1, digest(certificate)), (3, 9, 1, bytes(32)), (3, 1, 7, bytes(32)))
            event = await send()
            assert event.step == Step.ATTEMPTED and len(host.transactions) == 1
            host.script.extensions, host.script.tls = TLS, context
    assert "TLS was required" in event.detail


async def test_a_tlsa_question_without_an_answer_stops_the_mail(anna: User, settings: Any) -> None:
    async with FakeHost(Script(extensions=PLAIN)) as host:
        with world(settings, host, signed=True) as zone:
            zone.broken.add(f"_{host.port}._tcp.mx.remote.test.")
            event = await send()
    assert event.step == Step.ATTEMPTED and "TLSA" in event.detail and not host.connections


# ---------------------------------------------------------------- MTA-STS

RECORD = '_mta-sts.remote.test. 60 TXT "v=STSv1; id=1"\nmta-sts.remote.test. 60 A 127.0.0.1'


async def test_an_enforced_policy_is_met_and_kept(anna: User, settings: Any, authority: Authority, mx: Any) -> None:
    async with FakeHost(Script(extensions=TLS, tls=mx[0])) as host:
        with world(settings, host, RECORD):
            async with policy_host(settings, authority, POLICY.format(mode="enforce", mx="mx.remote.test")):
                event = await send()
    assert (event.step, event.data["tls"]) == (Step.SENT, "TLSv1.3, MTA-STS")
    row = await store.read(MtaStsPolicy.objects.get)
    assert (row.domain, row.mode, row.mx) == ("remote.test", "enforce", "mx.remote.test")
    assert row.expires_at - row.fetched_at == timedelta(days=1)


@pytest.mark.parametrize(
    ("script", "certificate_for", "days", "pattern"),
    [
        (Script(extensions=PLAIN), "mx.remote.test", 1, "mx.remote.test"),
        (Script(extensions=TLS, starttls="454 no"), "mx.remote.test", 1, "mx.remote.test"),
        (Script(extensions=TLS, starttls=DROP), "mx.remote.test", 1, "mx.remote.test"),
        (Script(extensions=TLS, tls_garbage=True), "mx.remote.test", 1, "mx.remote.test"),
        (Script(extensions=TLS, starttls=b"220 ready\r\n250 injected\r\n"), "mx.remote.test", 1, "mx.remote.test"),
        (Script(ehlo="502 what?"), "mx.remote.test", 1, "mx.remote.test"),
        (Script(extensions=TLS), "other.test", 1, "mx.remote.test"),
        (Script(extensions=TLS), "mx.remote.test", -1, "mx.remote.test"),
        (Script(extensions=TLS), "mx.remote.test", 1, "mail.remote.test"),
        (Script(extensions=TLS), "mx.remote.test", 1, "*.mx.remote.test"),
    ],
)
async def test_an_enforced_policy_is_not_met(
    anna: User, settings: Any, authority: Authority, script: Script, certificate_for: str, days: float, pattern: str
) -> None:
    if not script.tls_garbage:
        script.tls, _ = authority.issue(certificate_for, days)
    async with FakeHost(script) as host:
        with world(settings, host, RECORD):
            async with policy_host(settings, authority, POLICY.format(mode="enforce", mx=pattern)):
                event = await send()
    assert event.step == Step.ATTEMPTED and not host.transactions, event.detail
    assert "MTA-STS" in event.detail
    assert not any(command.startswith("MAIL") for command in host.commands)


async def test_a_certificate_nobody_vouches_for(
    anna: User, settings: Any, authority: Authority, tmp_path: Path
) -> None:
    script = Script(extensions=TLS)
    script.tls, _ = Authority(tmp_path).issue("mx.remote.test")
    async with FakeHost(script) as host:
        with world(settings, host, RECORD):
            async with policy_host(settings, authority, POLICY.format(mode="enforce", mx="mx.remote.test")):
                event = await send()
    assert event.step == Step.ATTEMPTED and not host.transactions


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (POLICY.format(mode="testing", mx="mx.remote.test"), "200 OK"),
        (POLICY.format(mode="none", mx="mx.remote.test"), "200 OK"),
        ("this is no policy", "200 OK"),
        (POLICY.format(mode="enforce", mx="mx.remote.test"), "302 Found"),
        (POLICY.format(mode="enforce", mx="mx.remote.test") + "x: y\n" * 20_000, "200 OK"),
    ],
)
async def test_what_does_not_bind(anna: User, settings: Any, authority: Authority, body: str, status: str) -> None:
    async with FakeHost(Script(extensions=PLAIN)) as host:
        with world(settings, host, RECORD):
            async with policy_host(settings, authority, body, status):
                event = await send()
    assert event.step == Step.SENT and not host.transactions[0].tls


async def test_a_kept_policy_holds_when_the_dns_no_longer_tells(
    anna: User, settings: Any, authority: Authority, mx: Any
) -> None:
    async with FakeHost(Script(extensions=TLS, tls=mx[0])) as host:
        with world(settings, host, RECORD):
            async with policy_host(settings, authority, POLICY.format(mode="enforce", mx="mx.remote.test")):
                assert (await send()).step == Step.SENT
        host.script.extensions = PLAIN  # the attacker strips STARTTLS, and the record from the DNS
        with world(settings, host):  # a new runner: nothing but the database remembers
            event = await send()
        assert event.step == Step.ATTEMPTED and len(host.transactions) == 1
        assert await store.read(lambda: QueuedRecipient.objects.get().state) == "deferred"


async def test_a_new_record_brings_a_new_policy(anna: User, settings: Any, authority: Authority, mx: Any) -> None:
    async with FakeHost(Script(extensions=TLS, tls=mx[0])) as host:
        with world(settings, host, RECORD):
            async with policy_host(settings, authority, POLICY.format(mode="enforce", mx="mail.remote.test")):
                assert (await send()).step == Step.ATTEMPTED
        with world(settings, host, RECORD.replace("id=1", "id=2")):
            async with policy_host(settings, authority, POLICY.format(mode="enforce", mx="mx.remote.test")):
                await send()
    assert (await store.read(MtaStsPolicy.objects.get)).record_id == "2"
