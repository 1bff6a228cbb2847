"""The records to publish: what counts as fine, what the domain's own servers say, and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from dnslib import RR

from accounts import keys
from accounts.models import Domain, User
from accounts.services import create_domain
from accounts.services.dns_checks import RecordState, are_settled, check_records
from accounts.services.dns_records import DnsRecord, host_records, records_of, tlsa_value, zone_file
from accounts.services.dns_verdicts import text_of, verdict
from mailservers.serving.certificates import make_self_signed
from mailservers.store.engine import store
from tests.console.conftest import BACKEND, WEB
from tests.outbound.stub_dns import Zone, name_server

pytestmark = WEB
NAME = "harbour.test"
DKIM = "v=DKIM1; k=rsa; p=MIIB"
SERVERS = f"{NAME}. 60 IN NS ns.quay.test.\nns.quay.test. 60 IN A 127.0.0.1\nmx.{NAME}. 60 IN A 192.0.2.1\n"


@pytest.mark.parametrize(
    ("kind", "wanted", "found", "is_fine", "words"),
    [
        ("MX", "10 mx.harbour.test.", ["5 MX.harbour.test."], True, ""),
        ("MX", "10 mx.harbour.test.", ["10 mx.old.test."], False, "Mail goes to mx.old.test."),
        ("MX", "10 mx.harbour.test.", [], False, ""),
        ("TXT", "v=spf1 mx -all", ['"v=spf1 mx -all"'], True, ""),
        ("TXT", "v=spf1 mx -all", ['"v=spf1 mx" " include:x.test ~all"', '"other"'], True, ""),
        ("TXT", "v=spf1 mx -all", ['"v=spf1 -all"'], False, "does not name this server"),
        ("TXT", "v=spf1 mx -all", ['"v=spf1 mx +all"'], False, "everybody"),
        ("TXT", "v=spf1 mx -all", ['"v=spf1 mx -all"', '"v=spf1 -all"'], False, "more than one"),
        ("TXT", "v=spf1 mx -all", ['"v=spf10 mx"'], False, ""),
        ("TXT", DKIM, ['"k=rsa;p=MI" "IB"'], True, ""),
        ("TXT", DKIM, ['"v=DKIM1; k=rsa; p=OLD"'], False, "another key"),
        ("TXT", "v=DMARC1; p=quarantine", ['"v=DMARC1;p=reject"'], True, ""),
        ("TXT", "v=DMARC1; p=quarantine", ['"v=DMARC1; p=none"'], True, "nothing"),
        ("TXT", "v=DMARC1; p=quarantine", ['"v=DMARC1; rua=mailto:a@b.c"'], False, "no policy"),
        ("TXT", "v=STSv1; id=new", ['"v=STSv1;id=new;"'], True, ""),
        ("TXT", "v=STSv1; id=new", ['"v=STSv1; id=old"'], False, "id=old"),
        ("TXT", "v=TLSRPTv1; rua=mailto:a@b.c", ['"v=TLSRPTv1; rua=https://x.test"'], True, ""),
        ("SRV", "0 1 993 mx.harbour.test.", ["5 0 993 mx.harbour.test."], True, ""),
        ("SRV", "0 1 993 mx.harbour.test.", ["0 1 143 mx.harbour.test."], False, "143"),
        ("CNAME", "mx.harbour.test.", ["mx.Harbour.test."], True, ""),
        ("PTR", "mx.harbour.test.", ["host-1.provider.test."], False, "host-1"),
        ("CAA", '0 issue "letsencrypt.org"', [], True, "none"),
        ("CAA", '0 issue "letsencrypt.org"', ['0 issue "letsencrypt.org; x=1"'], True, ""),
        ("CAA", '0 issue "letsencrypt.org"', ['0 issue "other.test"', '0 iodef "m"'], False, "may not issue"),
        ("TLSA", "3 1 1 aabb", ["3 1 1 AABB"], True, ""),
        ("TLSA", "3 1 1 aabb", ["3 1 1 ccdd"], False, "ccdd"),
    ],
)
def test_what_counts(kind: str, wanted: str, found: list[str], is_fine: bool, words: str) -> None:
    said = verdict(DnsRecord("", NAME, kind, wanted), found)
    assert (said.is_fine, words in said.words) == (is_fine, True), said
    assert is_fine or said.is_there == bool(said.words)


def test_texts_of_zone_files() -> None:
    assert text_of('"a b" "c\\"d"') == 'a bc"d'
    assert text_of('"broken') == '"broken'


@pytest.fixture
def domain(mail: None, settings) -> Domain:
    settings.HOSTNAME, settings.MX_HOSTS = f"mx.{NAME}", [f"mx.{NAME}"]
    return Domain.objects.get(pk=store.call_sync(create_domain, NAME, keys.generate(), actor="test"))


@pytest.fixture
def zone(settings) -> Iterator[Zone]:
    with name_server(SERVERS) as (server, resolver):
        settings.DNS_SERVERS = [server]
        settings.AUTHORITATIVE_DNS_PORT = int(server.rpartition(":")[2])
        yield resolver


def test_a_zone_file_is_one_and_makes_all_rows_fine(domain: Domain, zone: Zone, async_check) -> None:
    records = list(records_of(domain))
    before = async_check(records)
    assert {row.state for row in before if row.record.type != "CAA"} == {RecordState.MISSING}
    assert any(row.is_trouble for row in before) and not are_settled(before)
    zone.records += RR.fromZone(zone_file(domain))
    after = async_check(records)
    assert [row for row in after if row.state is not RecordState.FINE] == [] and are_settled(after)
    assert {row.record.type for row in after} >= {"MX", "TXT", "CNAME", "SRV"}


@pytest.fixture
def async_check() -> Callable[[list[DnsRecord]], list]:
    from asgiref.sync import async_to_sync

    return async_to_sync(check_records)


def test_addresses_do_as_well_as_aliases(domain: Domain, zone: Zone, async_check) -> None:
    record = DnsRecord("", f"mta-sts.{NAME}", "CNAME", f"mx.{NAME}.")
    zone.records += RR.fromZone(f"mta-sts.{NAME}. 60 IN A 192.0.2.1")
    assert async_check([record])[0].state is RecordState.FINE
    zone.records[-1] = RR.fromZone(f"mta-sts.{NAME}. 60 IN A 192.0.2.9")[0]
    (row,) = async_check([record])
    assert (row.state, "192.0.2.9" in row.words) == (RecordState.DIFFERS, True)


def test_servers_that_fail_are_not_called_missing(domain: Domain, zone: Zone, async_check) -> None:
    zone.broken.add(f"{NAME}.")
    rows = async_check([record for record in records_of(domain) if record.name == NAME])
    assert {row.state for row in rows} == {RecordState.UNKNOWN} and not any(row.is_trouble for row in rows)


def test_a_change_on_its_way_between_the_servers(domain: Domain, zone: Zone, async_check, monkeypatch) -> None:
    async def servers(name: str) -> list[str]:
        return ["127.0.0.1", "127.0.0.2"]

    zone.records += RR.fromZone(f"{NAME}. 60 IN MX 10 mx.{NAME}.")
    monkeypatch.setattr("accounts.services.dns_checks.authoritative_servers", servers)
    answers = {"127.0.0.1": (f"10 mx.{NAME}.",), "127.0.0.2": ()}

    async def ask_one(self: object, server: str, name: str, kind: str):
        return answers[server]

    monkeypatch.setattr("accounts.services.dns_checks._Check._ask_one", ask_one)
    (row,) = async_check([DnsRecord("", NAME, "MX", f"10 mx.{NAME}.")])
    assert (row.state, "not yet" in row.words) == (RecordState.DIFFERS, True)


def test_records_of_the_host(domain: Domain, settings) -> None:
    certificate, _ = make_self_signed(settings.HOSTNAME)
    records = {r.type: r for r in host_records(["192.0.2.1"], tlsa_value(certificate))}
    assert (records["PTR"].name, records["PTR"].value) == ("1.2.0.192.in-addr.arpa", f"mx.{NAME}.")
    assert records["CAA"].value == '0 issue "letsencrypt.org"'
    assert records["TLSA"].name == f"_25._tcp.mx.{NAME}" and len(records["TLSA"].value.split()[3]) == 64


def test_the_page_asks_until_all_is_fine(domain: Domain, zone: Zone, make_user: Callable[..., User]) -> None:
    client = Client()
    client.force_login(make_user(f"anna@{NAME}", role="admin"), BACKEND)
    page = client.get(f"/console/domains/{domain.pk}/").content.decode()
    assert f'hx-get="/console/domains/{domain.pk}/dns/" hx-trigger="load"' in page and "Being asked" in page
    part = client.get(f"/console/domains/{domain.pk}/dns/").content.decode()
    assert 'hx-trigger="every 15s"' in part and "Missing" in part
    response = client.get(f"/console/domains/{domain.pk}/zone/")
    assert response["Content-Disposition"] == f'attachment; filename="{NAME}.zone"'
    zone.records += RR.fromZone(response.content.decode())
    part = client.get(f"/console/domains/{domain.pk}/dns/").content.decode()
    assert "hx-trigger" not in part and "Missing" not in part and "Fine" in part
