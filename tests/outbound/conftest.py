"""Queued messages, a runner on this loop, and a certificate for the far side."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from mailservers.models import QueuedMessage
from mailservers.outbound.leases import Job, claim
from mailservers.outbound.outcomes import Outcome
from mailservers.outbound.results import Attempted, write_results
from mailservers.outbound.runner import QueueRunner
from mailservers.store.changes import hub
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.events import Step, new_trace_id, write_events
from mailservers.store.placing import Delivery, QueueEntry, deliver
from mailservers.store.transaction import Event, Transaction

MESSAGE = (
    b"Return-Path: <anna@harbour.test>\r\n"
    b"From: Anna <anna@harbour.test>\r\nTo: bob@remote.test\r\nSubject: Tide tables\r\n"
    b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <tides@harbour.test>\r\n\r\nHigh water at nine.\r\n"
)


@pytest.fixture(scope="session", params=["uvloop", "asyncio"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """What the server runs on, and what it would run on without it."""
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


def queue_delivery(
    recipients: tuple[str, ...] = ("bob@remote.test",),
    *,
    raw: bytes = MESSAGE,
    reverse_path: str = "anna@harbour.test",
    sender: User | None = None,
    smtputf8: bool = False,
    lifetime_s: float = 5 * 24 * 3600,
) -> Delivery:
    trace_id = new_trace_id()
    expires_at = timezone.now() + datetime.timedelta(seconds=lifetime_s)
    entry = QueueEntry(trace_id, reverse_path, recipients, expires_at, sender.pk if sender else None, smtputf8)
    events = tuple(Event(trace_id, Step.QUEUED, sender=reverse_path, recipient=a) for a in recipients)
    return Delivery(prepare(raw), (), entry, events)


@pytest.fixture
def enqueue(mail: None) -> Callable[..., QueuedMessage]:
    """enqueue(("bob@remote.test",), sender=anna) -> the row."""

    def put(*args: object, **fields: object) -> QueuedMessage:
        delivery = queue_delivery(*args, **fields)  # type: ignore[arg-type]
        store.call_sync(deliver, delivery)
        assert delivery.queue is not None
        return QueuedMessage.objects.get(trace_id=delivery.queue.trace_id)

    return put


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[QueueRunner]:
    runner = QueueRunner()
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop()
        await hub.detach()


async def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait for what the database says, asked on a reader thread."""
    async with asyncio.timeout(within_s):
        while not await store.read(condition):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssl.SSLContext]:
    """A server's TLS context, self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.remote.test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    file: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    yield context


@pytest.fixture(scope="session")
def named_certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A TLS context for mx.remote.test, and the authority to trust for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.remote.test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(2).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("mx.remote.test")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    public = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    directory = tmp_path_factory.mktemp("named")
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "both.pem").write_bytes(public + private)
    (directory / "authority.pem").write_bytes(public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "both.pem")
    return context, directory / "authority.pem"


class Clock:
    """Runs operations at a moment of its own, as the store does, and counts the tokens."""

    def __init__(self, now: datetime.datetime) -> None:
        self.now = now
        self.number = 0

    def run(self, operation: Callable[..., Any], *args: Any) -> Any:
        tx = Transaction(self.now)
        with transaction.atomic():
            result = operation(tx, *args)
            write_events(tx)
        return result

    def claim(self, limit: int = 100, runner: str = "r", **allowance: int) -> list[Job]:
        self.number += 1
        return self.run(claim, f"{runner}.{self.number}", limit, {k.replace("_", "."): v for k, v in allowance.items()})

    def record(self, job: Job, outcome: Outcome, **by_local_part: Outcome) -> None:
        chosen = {r.id: by_local_part.get(r.address.partition("@")[0], outcome) for r in job.recipients}
        self.run(write_results, [Attempted(job, chosen)])


@pytest.fixture
def clock(mail: None) -> Clock:
    return Clock(timezone.now() + datetime.timedelta(seconds=60))
