"""Certificates from the console: what is refused and why, what is kept, and that listeners take up a new one."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from acme import client, messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from accounts.models import AuditEntry, ServerCertificate
from accounts.services import acme_orders
from accounts.services.certificates import check_certificate, facts_of, stored_certificate, use_certificate
from accounts.services.errors import InvalidValue, NotAllowed
from mailservers.imap.server import SERVICES
from mailservers.serving.certificates import Certificates, end_point_hash
from mailservers.serving.listener import Listener
from mailservers.store.engine import store
from tests.certificates import Authority, key_pem

HOST = "mx.harbour.test"
KEY, OTHER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
CA, OTHER_CA = Authority(), Authority("Another")
GOOD = CA.issue((HOST,), KEY) + CA.pem


@pytest.fixture(autouse=True)
def _here(settings, tmp_path: Path) -> None:
    settings.HOSTNAME, settings.DATA_DIR, settings.TLS_CERT_FILE = HOST, tmp_path, ""


@pytest.mark.parametrize(
    ("chain", "key", "field", "words"),
    [
        (b"hello", key_pem(KEY), "certificate", "PEM"),
        (GOOD, b"hello", "key", "PEM"),
        (GOOD, key_pem(KEY, b"secret"), "key", "password"),
        (GOOD, key_pem(OTHER_KEY), "key", "does not belong"),
        (CA.pem + CA.issue((HOST,), KEY), key_pem(KEY), "key", "first in its file"),
        (CA.issue((HOST,), KEY), key_pem(KEY), "certificate", "Test authority"),
        (CA.issue((HOST,), KEY) + OTHER_CA.pem, key_pem(KEY), "certificate", "not in order"),
        (CA.issue((HOST,), KEY, from_days=-9, to_days=-1) + CA.pem, key_pem(KEY), "certificate", "expired"),
        (CA.issue((HOST,), KEY, from_days=1) + CA.pem, key_pem(KEY), "certificate", "not valid before"),
        (CA.issue(("mail.harbour.test",), KEY) + CA.pem, key_pem(KEY), "certificate", HOST),
        (CA.issue(("*.test",), KEY) + CA.pem, key_pem(KEY), "certificate", HOST),
        (CA.issue((), KEY) + CA.pem, key_pem(KEY), "certificate", "no host"),
        (b"x" * 100_000, key_pem(KEY), "certificate", "too large"),
    ],
)
def test_what_is_refused(chain: bytes, key: bytes, field: str, words: str) -> None:
    with pytest.raises(InvalidValue) as error:
        check_certificate(chain, key)
    assert (error.value.field, words in str(error.value)) == (field, True), str(error.value)


@pytest.mark.parametrize("names", [(HOST,), ("*.harbour.test",), ("mta-sts.x.test", HOST.upper())])
def test_what_is_taken(names: tuple[str, ...]) -> None:
    checked = check_certificate(CA.issue(names, KEY) + CA.pem, key_pem(KEY))
    assert checked.facts.covers(HOST) and checked.facts.days_left == 88
    assert len(x509.load_pem_x509_certificates(checked.chain)) == 2


def test_the_key_is_sealed_and_the_act_recorded(mail: None) -> None:
    checked = check_certificate(GOOD, key_pem(KEY))
    for _ in range(5):
        store.call_sync(use_certificate, checked, "upload", actor="anna@harbour.test")
    assert stored_certificate() == (checked.chain, checked.key)
    row = ServerCertificate.objects.latest("pk")
    assert b"PRIVATE" not in bytes(row.sealed_key) and ServerCertificate.objects.count() == 3
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.subject, "PRIVATE" in str(entry.detail)) == ("certificate.use", HOST, False)


def test_files_of_the_environment_go_first(mail: None, settings, tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_bytes(GOOD + key_pem(KEY))
    settings.TLS_CERT_FILE, settings.TLS_KEY_FILE = str(tmp_path / "c.pem"), ""
    certificates = Certificates()
    assert certificates.load((CA.issue((HOST,), OTHER_KEY), key_pem(OTHER_KEY)))
    assert facts_of(certificates.pem).names == (HOST,) and certificates.pem.startswith(GOOD)
    with pytest.raises(NotAllowed):
        store.call_sync(use_certificate, check_certificate(GOOD, key_pem(KEY)), "upload", actor="a")


def _presented(port: int, name: str | None) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 10) as sock,
        context.wrap_socket(sock, server_hostname=name) as tls,
    ):
        assert tls.recv(4) == b"* OK"
        return tls.getpeercert(binary_form=True) or b""


async def test_new_connections_get_the_new_certificate_and_old_ones_stay(settings) -> None:
    settings.PORTS = {**settings.PORTS, "imaps": 0}
    certificates = Certificates()
    assert certificates.load() and not certificates.load()
    service = next(service for service in SERVICES if service.name == "imaps")
    listener = Listener(service, certificates.front)
    await listener.start()
    try:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=tls)
        await reader.readline()
        (held,) = listener.context.connections
        self_signed = end_point_hash(certificates.pem)
        assert certificates.load((GOOD, key_pem(KEY)))
        for name in (HOST, None):  # with and without server name indication
            der = await asyncio.to_thread(_presented, listener.port, name)
            assert x509.load_der_x509_certificate(der) == x509.load_pem_x509_certificate(GOOD)
        writer.write(b"a NOOP\r\n")
        assert (await reader.readline()).startswith(b"a OK")
        assert held.channel_binding("tls-server-end-point") == self_signed  # of the connection, not of the server
        with pytest.raises(ssl.SSLError):
            certificates.load((GOOD, key_pem(OTHER_KEY)))
        assert certificates.pem == GOOD
        writer.close()
    finally:
        await listener.stop()


def test_a_nonce_that_is_refused_again_and_again_is_got_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """pebble refuses one in five on purpose in the tests that use it."""
    refusals = [messages.Error.with_code("badNonce")] * 3
    asked: list[str] = []

    def post(_net: Any, url: str) -> str:
        asked.append(url)
        if refusals:
            raise refusals.pop()
        return "answer"

    monkeypatch.setattr(client.ClientNetwork, "post", post)
    network = acme_orders._Network(None)
    assert network.post("https://ca.test/order") == "answer" and len(asked) == 4
    refusals += [messages.Error.with_code("badNonce")] * 9
    with pytest.raises(messages.Error):
        network.post("https://ca.test/order")
    refusals[:] = [messages.Error.with_code("rateLimited")]
    with pytest.raises(messages.Error):
        network.post("https://ca.test/order")
    assert len(asked) == 9
