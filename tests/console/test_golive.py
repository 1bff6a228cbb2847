"""Go live: what the page says of ports and certificate, uploads, ACME on and off, and the tests towards the outside."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import Role, ServerCertificate, User
from accounts.services import outside, ports
from accounts.services.acme_orders import acme_wanted, is_due
from mailservers.store.engine import store
from tests.certificates import Authority, key_pem
from tests.console.conftest import BACKEND, WEB
from tests.outbound.stub_dns import name_server

pytestmark = WEB
HOST = "mx.harbour.test"
ZONE = f"{HOST}. 60 IN A 198.51.100.7\n7.100.51.198.bad.list.test. 60 IN A 127.0.0.2\n" + (
    "7.100.51.198.closed.list.test. 60 IN A 127.255.255.254\n"
)


@pytest.fixture
def owner(mail: None, make_user: Callable[..., User], settings, tmp_path: Path) -> Client:
    settings.HOSTNAME, settings.DATA_DIR, settings.TLS_CERT_FILE = HOST, tmp_path, ""
    client = Client()
    client.force_login(make_user("anna@harbour.test", role=Role.ADMIN), BACKEND)
    return client


def test_the_page_says_what_is_missing(owner: Client) -> None:
    text = owner.get("/console/go-live/").content.decode()
    assert "Self-signed" in text and "POSTROOM_SMTP_PORT=25" in text and "CAP_NET_BIND_SERVICE" in text
    assert f"POSTROOM_HOSTNAME={HOST}" in text


def test_ports_tell_why_they_cannot_be_bound(monkeypatch, settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setitem(ports.STANDARD, "smtp", (port, "x", True))
        (smtp,) = (p for p in ports.ports() if p.service == "smtp")
        assert not smtp.is_fine and "Another program" in smtp.trouble
    settings.PORTS = {**settings.PORTS, "smtp": port}
    settings.PUBLIC_PORTS = {**settings.PUBLIC_PORTS, "smtp": port}
    (smtp,) = (p for p in ports.ports() if p.service == "smtp")
    assert smtp.is_fine and smtp.setting not in ports.environment_lines()


def _upload(owner: Client, chain: bytes, key: bytes):
    files = {"certificate": SimpleUploadedFile("c.pem", chain), "key": SimpleUploadedFile("k.pem", key)}
    return owner.post("/console/go-live/upload/", files)


def test_an_upload_is_checked_then_used(owner: Client) -> None:
    authority, key = Authority(), ec.generate_private_key(ec.SECP256R1())
    chain = authority.issue((HOST,), key) + authority.pem
    other = key_pem(ec.generate_private_key(ec.SECP256R1()))
    refused = _upload(owner, chain, other)
    assert (refused.status_code, "does not belong" in refused.content.decode()) == (422, True)
    assert not ServerCertificate.objects.exists()
    assert _upload(owner, chain, key_pem(key)).status_code == 302
    text = owner.get("/console/go-live/").content.decode()
    assert "Self-signed" not in text and "Uploaded" in text and HOST in text


def test_acme_is_agreed_to_turned_on_and_off(owner: Client) -> None:
    from django.utils import timezone

    assert "agree" in owner.post("/console/go-live/acme/", {"email": ""}).content.decode()
    assert acme_wanted() is None and not is_due([HOST], timezone.now())
    assert owner.post("/console/go-live/acme/", {"email": "a@b.test", "agrees": "on"}).status_code == 302
    assert acme_wanted() == {"email": "a@b.test"} and is_due([HOST], timezone.now())
    assert 'hx-trigger="every 3s"' in owner.get("/console/go-live/certificate/").content.decode()
    owner.post("/console/go-live/acme/", {"off": "1"})
    assert acme_wanted() is None


def test_a_failed_order_waits_longer_each_time(owner: Client) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from accounts.services import acme_orders

    store.call_sync(acme_orders.want_acme, "", agrees=True, actor="test")
    now = timezone.now()
    for wait_s in (300, 600, 1200):
        store.call_sync(acme_orders._note_failure, "no way in")
        assert not is_due([HOST], now + timedelta(seconds=wait_s - 10))
        assert is_due([HOST], now + timedelta(seconds=wait_s + 60))
    assert "no way in" in owner.get("/console/go-live/certificate/").content.decode()


@pytest.fixture
def greeting_server() -> Iterator[Callable[[bytes], int]]:
    servers: list[socket.socket] = []

    def serve(line: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def answer() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(line)
                connection.recv(100)

        threading.Thread(target=answer, daemon=True).start()
        return int(server.getsockname()[1])

    yield serve
    for server in servers:
        server.close()


@pytest.mark.parametrize(("line", "is_good"), [(b"220 mx.google.test ESMTP\r\n", True), (b"554 go away\r\n", None)])
def test_mail_can_leave(greeting_server: Callable[[bytes], int], settings, line: bytes, is_good: bool | None) -> None:
    settings.EGRESS_TEST = f"127.0.0.1:{greeting_server(line)}"
    finding = async_to_sync(outside.can_send)()
    assert finding.is_good is is_good, finding


def test_mail_cannot_leave(settings) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.EGRESS_TEST = f"127.0.0.1:{closed.getsockname()[1]}"
        finding = async_to_sync(outside.can_send)()
    assert finding.is_good is False and "firewall" in finding.words


@pytest.mark.parametrize(("line", "is_good"), [(f"220 {HOST} ESMTP\r\n", True), ("220 other.test\r\n", False)])
def test_who_answers_for_us(greeting_server: Callable[[bytes], int], settings, line: str, is_good: bool | None) -> None:
    settings.HOSTNAME = HOST
    settings.PUBLIC_PORTS = {**settings.PUBLIC_PORTS, "smtp": greeting_server(line.encode())}
    assert async_to_sync(outside.can_be_reached)("127.0.0.1").is_good is is_good


def test_lists_and_addresses(settings, monkeypatch) -> None:
    settings.HOSTNAME = HOST
    settings.WATCHED_LISTS = ["bad.list.test", "closed.list.test", "good.list.test", "list.broken"]
    monkeypatch.setattr("accounts.services.outside.ipaddress.IPv4Address.is_global", True)
    with name_server(ZONE) as (server, _):
        settings.DNS_SERVERS = [server]
        assert async_to_sync(outside.public_addresses)() == ["198.51.100.7"]
        findings = async_to_sync(outside.on_lists)("198.51.100.7")
    assert [finding.is_good for finding in findings] == [False, None, True, None]


def test_a_domain_that_cannot_be_asked_is_not_called_fine(owner: Client, settings) -> None:
    with name_server("harbour.test. 60 IN NS ns.broken.\n") as (server, _):
        settings.DNS_SERVERS = [server]
        text = owner.get("/console/go-live/dns/").content.decode()
    assert "could not be asked" in text and "Works" not in text and "Fine" not in text
