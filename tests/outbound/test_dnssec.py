"""DANE with real DNSSEC: unbound validates zones signed here; aliases, forgeries, and Postfix as the far side."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509

from accounts.models import User
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.placing import deliver
from tests.system.test_postfix import control, free_port, start_postfix

from .authority import Authority
from .conftest import queue_delivery, running, until
from .fake_smtp import FakeHost, Script
from .test_runner import queue_is_empty
from .test_tls_policy import PLAIN, TLS, digest, send
from .validating import needs_unbound, unbound

pytestmark = [pytest.mark.slow, pytest.mark.clients, needs_unbound]
MX = "@ MX 10 mx.remote.test.\n"
DIRECT, ALIAS = "mx A 127.0.0.1\n", "mx CNAME host.remote.test.\nhost A 127.0.0.1\n"


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.OUTBOUND_TIMEOUT_SCALE = 0.2
    settings.QUEUE_POLL_S = 60
    settings.OUTBOUND_ALLOW_PRIVATE = True


def tlsa(host: FakeHost, name: str, certificate: x509.Certificate) -> str:
    return f"_{host.port}._tcp.{name} TLSA 3 1 1 {digest(certificate).hex()}\n"


def asked_for(context: ssl.SSLContext) -> list[str | None]:
    """The server names of the handshakes to come."""
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)  # type: ignore[assignment]
    return names


@pytest.mark.parametrize(
    ("rows", "named", "asked"),
    [(DIRECT, "mx", "mx.remote.test"), (ALIAS, "host", "host.remote.test"), (ALIAS, "mx", "mx.remote.test")],
)
async def test_records_of_the_host_and_of_its_alias(
    anna: User, settings: Any, authority: Authority, tmp_path: Path, rows: str, named: str, asked: str
) -> None:
    """RFC 7672 section 2.2.2: the end of a signed chain of aliases first, then its beginning."""
    context, certificate = authority.issue("whatever.test")
    names = asked_for(context)
    async with FakeHost(Script(extensions=TLS, tls=context)) as host:
        zone = MX + rows + tlsa(host, named, certificate)
        with unbound(tmp_path, {"remote.test.": zone}) as server:
            settings.OUTBOUND_DNS_SERVERS, settings.OUTBOUND_PORT = [server], host.port
            event = await send()
    assert (event.step, event.data["tls"]) == (Step.SENT, "TLSv1.3, DANE"), event.detail
    assert host.transactions[0].tls and names == [asked]


async def test_an_alias_that_leaves_the_signed_tree(
    anna: User, settings: Any, authority: Authority, tmp_path: Path
) -> None:
    """Its own records still count, for its own zone is signed; those of the other end do not."""
    context, certificate = authority.issue("whatever.test")
    _, other = authority.issue("other.test")
    async with FakeHost(Script(extensions=TLS, tls=context)) as host:
        signed = MX + "mx CNAME host.open.test.\n" + tlsa(host, "mx", certificate)
        unsigned = "host A 127.0.0.1\n" + tlsa(host, "host", other)
        with unbound(tmp_path, {"remote.test.": signed}, {"open.test.": unsigned}) as server:
            settings.OUTBOUND_DNS_SERVERS, settings.OUTBOUND_PORT = [server], host.port
            event = await send()
    assert (event.step, event.data["tls"]) == (Step.SENT, "TLSv1.3, DANE"), event.detail


async def test_records_in_an_unsigned_zone_do_not_count(
    anna: User, settings: Any, authority: Authority, tmp_path: Path
) -> None:
    _, other = authority.issue("other.test")
    async with FakeHost(Script(extensions=PLAIN)) as host:
        zone = MX + DIRECT + tlsa(host, "mx", other)
        with unbound(tmp_path, {}, {"remote.test.": zone}) as server:
            settings.OUTBOUND_DNS_SERVERS, settings.OUTBOUND_PORT = [server], host.port
            event = await send()
    assert event.step == Step.SENT and not host.transactions[0].tls


@pytest.mark.parametrize("forgery", ["tlsa", "removed", "address", "mx"])
async def test_what_is_forged_stops_the_mail(
    anna: User, settings: Any, authority: Authority, tmp_path: Path, forgery: str
) -> None:
    """Whatever an attacker changes in a signed zone: nothing goes to the host he wants, and nothing in the clear."""
    context, certificate = authority.issue("mx.remote.test")
    _, other = authority.issue("other.test")
    async with FakeHost(Script(extensions=TLS if forgery == "tlsa" else PLAIN, tls=context)) as host:
        zone = MX + DIRECT + tlsa(host, "mx", certificate)
        forged = {
            "tlsa": (digest(certificate).hex(), digest(other).hex()),
            "removed": (f"_{host.port}._tcp", "_1._tcp"),
            "address": ("A 127.0.0.1", "A 127.0.0.2"),
            "mx": ("10 mx.remote", "10 ns.remote"),
        }[forgery]
        with unbound(tmp_path, {"remote.test.": zone}, forged=forged) as server:
            settings.OUTBOUND_DNS_SERVERS, settings.OUTBOUND_PORT = [server], host.port
            event = await send()
    assert event.step == Step.ATTEMPTED and not host.transactions, event.detail


async def test_another_key_than_the_records_name(
    anna: User, settings: Any, authority: Authority, tmp_path: Path
) -> None:
    context, _ = authority.issue("mx.remote.test")
    _, other = authority.issue("mx.remote.test")
    async with FakeHost(Script(extensions=TLS, tls=context)) as host:
        with unbound(tmp_path, {"remote.test.": MX + DIRECT + tlsa(host, "mx", other)}) as server:
            settings.OUTBOUND_DNS_SERVERS, settings.OUTBOUND_PORT = [server], host.port
            event = await send()
    assert event.step == Step.ATTEMPTED and not host.transactions and "DANE" in event.detail


@pytest.fixture
def postfix() -> Iterator[tuple[Path, int]]:
    """(its directory, its port): mx.fix.test with a certificate of its own."""
    if shutil.which("postfix") is None or os.geteuid() != 0:
        pytest.skip("Postfix is not installed, or we are not root")
    directory, port = Path(f"/tmp/postroom-postfix-{os.getpid()}-dane"), free_port()
    start_postfix(directory, port, 9, tls=True)
    try:
        yield directory, port
    finally:
        control(directory, "stop")
        shutil.rmtree(directory)


async def test_postfix_takes_mail_over_dane(
    anna: User, settings: Any, tmp_path: Path, postfix: tuple[Path, int]
) -> None:
    """And gives each recipient of one message its own answer."""
    directory, port = postfix
    pem = (directory / "cert.pem").read_bytes()
    key = digest(x509.load_pem_x509_certificate(pem)).hex()
    zone = f"@ MX 10 mx.fix.test.\nmx A 127.0.0.1\n_{port}._tcp.mx TLSA 3 1 1 {key}\n"
    with unbound(tmp_path, {"fix.test.": zone}) as server:
        settings.OUTBOUND_DNS_SERVERS, settings.OUTBOUND_PORT = [server], port
        settings.OUTBOUND_TIMEOUT_SCALE = 1.0
        await store.call(deliver, queue_delivery(("dora@fix.test", "nobody@fix.test")))
        async with running():
            await until(queue_is_empty)
    assert b"with ESMTPS" in await asyncio.to_thread(_delivered, directory)


def _delivered(directory: Path) -> bytes:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for path in (directory / "mail" / "dora" / "new").glob("*"):
            return path.read_bytes()
        time.sleep(0.05)
    raise AssertionError((directory / "maillog").read_text())


def test_the_signed_zones_are_judged_by_others(tmp_path: Path) -> None:
    """delv, which validates by itself, agrees with the resolver on what the tests build upon."""
    if shutil.which("delv") is None:
        pytest.skip("delv is not installed")
    with unbound(tmp_path, {"remote.test.": MX + ALIAS}) as server:
        port = server.partition(":")[2]
        anchor = next(row for row in (tmp_path / "unbound.conf").read_text().splitlines() if "trust-anchor" in row)
        fields = anchor.partition('"')[2].rstrip('"').split()
        (tmp_path / "anchors").write_text(
            f'trust-anchors {{ "{fields[0]}" static-ds {fields[3]} {fields[4]} {fields[5]} "{fields[6]}"; }};\n'
        )
        command = [
            "delv",
            "-a",
            str(tmp_path / "anchors"),
            "+root=remote.test",
            "@127.0.0.1",
            "-p",
            port,
            "mx.remote.test",
            "A",
        ]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert "; fully validated" in answer.stdout, answer
