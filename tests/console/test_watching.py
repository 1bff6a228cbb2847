"""Certificate, DNS and lists after going live: what is news, whom it is told, and that it shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from dnslib import RR

from accounts import keys
from accounts.models import Domain, Role, User
from accounts.services import create_domain
from accounts.services.certificates import check_certificate, use_certificate
from accounts.services.dns_records import records_of, zone_file
from accounts.services.watching import Seen, alerts, compare, watch
from mailservers.models import MailboxMessage
from mailservers.store.content import read_message
from mailservers.store.engine import store
from tests.certificates import Authority, key_pem
from tests.console.conftest import BACKEND, WEB
from tests.outbound.stub_dns import name_server

pytestmark = WEB
NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOST = "mx.harbour.test"


def states(*steps: bool | None, matters: bool = False) -> list[tuple[bool, int]]:
    """After each look: is it an alert, how much news."""
    remembered: dict = {}
    found = []
    for number, is_good in enumerate(steps):
        seen = [Seen("s", "t", is_good, matters=matters)]
        remembered, news = compare(remembered, seen, NOW + timedelta(hours=number))
        found.append((bool(remembered.get("s", {}).get("alert")), len(news)))
    return found


@pytest.mark.parametrize(
    ("steps", "matters", "expected"),
    [
        ((True, True), False, [(False, 0), (False, 0)]),
        ((False, False), False, [(False, 0), (False, 0)]),  # never was fine
        ((True, False, False), False, [(False, 0), (True, 1), (True, 0)]),
        ((True, False, True), False, [(False, 0), (True, 1), (False, 1)]),
        ((True, None, False), False, [(False, 0), (False, 0), (True, 1)]),
        ((True, False, None), False, [(False, 0), (True, 1), (True, 0)]),
        ((None, False), False, [(False, 0), (False, 0)]),
        ((False, True), True, [(True, 1), (False, 1)]),
    ],
)
def test_what_is_news(steps: tuple[bool | None, ...], matters: bool, expected: list[tuple[bool, int]]) -> None:
    assert states(*steps, matters=matters) == expected


def test_what_is_not_looked_at_any_more_is_forgotten() -> None:
    remembered, _ = compare({}, [Seen("s", "t", True)], NOW)
    assert compare(remembered, [], NOW) == ({}, [])


def inbox(user: User) -> list[bytes]:
    places = MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name="INBOX").order_by("uid")
    return [read_message(place.message_id) or b"" for place in places]


def test_a_record_that_goes_is_told_and_shown(
    mail: None, make_user: Callable[..., User], settings, tmp_path: Path
) -> None:
    settings.HOSTNAME, settings.MX_HOSTS, settings.DATA_DIR = HOST, [HOST], tmp_path
    settings.TLS_CERT_FILE, settings.WATCHED_LISTS = "", []
    owner = make_user("anna@quay.test", role=Role.ADMIN)
    other = make_user("ben@quay.test")
    domain = Domain.objects.get(pk=store.call_sync(create_domain, "harbour.test", keys.generate(), actor="test"))
    authority, key = Authority(), ec.generate_private_key(ec.SECP256R1())
    with name_server(
        f"harbour.test. 60 IN NS ns.x.test.\nns.x.test. 60 IN A 127.0.0.1\n{HOST}. 60 IN A 127.0.0.1\n"
    ) as (server, zone):
        settings.DNS_SERVERS = [server]
        settings.AUTHORITATIVE_DNS_PORT = int(server.rpartition(":")[2])
        zone.records += RR.fromZone(zone_file(domain))
        async_to_sync(watch)()
        assert alerts() == [] and inbox(owner) == []
        zone.records = [record for record in zone.records if record.rtype != 15]  # MX
        chain = authority.issue((HOST,), key, to_days=5) + authority.pem
        store.call_sync(use_certificate, check_certificate(chain, key_pem(key)), "upload", actor="test")
        async_to_sync(watch)()
        async_to_sync(watch)()  # told once
        assert [alert.title for alert in alerts()] == [f"The certificate of {HOST}", "MX record of harbour.test"]
        zone.records += RR.fromZone(zone_file(domain))[:1]
        async_to_sync(watch)()
    first, second = inbox(owner)
    assert b"2 things need you" in first and b"MX record of harbour.test. It is missing." in first
    assert b"This is fine again:" in second and inbox(other) == []
    assert next(iter(records_of(domain))).type == "MX"
    client = Client()
    client.force_login(owner, BACKEND)
    page = client.get("/console/").content.decode()
    assert f"The certificate of {HOST}" in page and "MX record" not in page
