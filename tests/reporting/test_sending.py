"""The day after: who asked for a report gets one, once, signed; who did not, none."""

from __future__ import annotations

import datetime
import email
import gzip
import json
from collections.abc import Iterator
from email.policy import default as policy
from typing import Any

import dkim
import pytest

from accounts import keys
from accounts.models import User
from mailservers.formats.reports import DMARC, TLS
from mailservers.formats.reports.dmarc_xml import parse_dmarc_report
from mailservers.models import QueuedRecipient, ReportTally
from mailservers.reporting.sending import Reporter
from mailservers.store.content import read_message
from mailservers.store.engine import store
from mailservers.store.tallies import tallies
from tests.checks.conftest import Receiving, send
from tests.checks.test_receiving import by
from tests.checks.zones import MESSAGE, rsa_key
from tests.outbound.stub_dns import name_server

from .test_report_files import connection, seen

YESTERDAY = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=1)
ZONE = """
_dmarc.sender.test. 60 TXT "v=DMARC1; p=reject; rua=mailto:dmarc@sender.test,mailto:all@watch.test,mailto:x@greedy.test"
sender.test._report._dmarc.watch.test. 60 TXT "v=DMARC1"
_dmarc.quiet.test. 60 TXT "v=DMARC1; p=reject"
_smtp._tls.remote.test. 60 TXT "v=TLSRPTv1; rua=mailto:tls@remote.test"
_smtp._tls.asleep.broken. 60 TXT "v=TLSRPTv1; rua=mailto:tls@asleep.broken"
"""


@pytest.fixture
def world(anna: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("mailservers.reporting.sending.SPREAD_S", 1)
    store.call_sync(keys.make_dkim_keys, anna.domain_id, keys.generate("t1"))
    with name_server(ZONE) as (address, _):
        settings.OUTBOUND_DNS_SERVERS = [address]
        yield


async def count(kind: str, domain: str, *seen_then: Any, day: datetime.date = YESTERDAY) -> None:
    for tally in seen_then:
        for _ in range(tally.count):
            tallies.count(kind, domain, tally.facts)
    await tallies.write()
    await ReportTally.objects.filter(domain=domain).aupdate(day=day)


def queued() -> list[tuple[str, bytes]]:
    rows = QueuedRecipient.objects.order_by("address").values_list("address", "queued__message_id")
    return [(address, read_message(pk) or b"") for address, pk in rows]


async def test_numbers_add_up_in_the_database(mail: None) -> None:
    for _ in range(2):
        await count(DMARC, "sender.test", seen("192.0.2.1", count=2), seen("192.0.2.2"), day=datetime.date.today())
    assert sorted([row.count async for row in ReportTally.objects.all()]) == [2, 4]


async def test_a_dmarc_report_goes_to_those_who_may_have_it(world: None) -> None:
    await count(DMARC, "sender.test", seen("192.0.2.1", count=3), seen("192.0.2.2", dkim="fail"))
    await Reporter().send_due()
    letters = await store.read(queued)
    assert [address for address, _ in letters] == ["all@watch.test", "dmarc@sender.test"]
    letter = email.message_from_bytes(letters[0][1], policy=policy)
    (file,) = letter.iter_attachments()
    assert file.get_content_type() == "application/gzip" and file.get_filename().endswith(".xml.gz")
    report = parse_dmarc_report(gzip.decompress(file.get_content()))
    assert {(row.source, row.count) for row in report.rows} == {("192.0.2.1", 3), ("192.0.2.2", 1)}
    assert report.report_id in letter["Subject"] and letter["Auto-Submitted"] == "auto-generated"
    assert not await ReportTally.objects.aexists()
    await Reporter().send_due()
    assert len(await store.read(queued)) == 2, "it was sent twice"


async def test_the_report_is_signed(world: None, anna: User) -> None:
    await count(DMARC, "sender.test", seen("192.0.2.1"))
    await Reporter().send_due()
    key = await store.read(lambda: keys.DkimKey.objects.select_related("domain").get(algorithm="rsa-sha256"))
    raw = (await store.read(queued))[0][1]
    assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: keys.record_value(key).encode())


async def test_a_tls_report_has_its_own_shape(world: None) -> None:
    await count(TLS, "remote.test", connection(count=2), connection("starttls-not-supported"))
    await Reporter().send_due()
    ((address, raw),) = await store.read(queued)
    letter = email.message_from_bytes(raw, policy=policy)
    assert address == "tls@remote.test" and letter.get_content_type() == "multipart/report"
    assert letter.get_param("report-type") == "tlsrpt" and letter["TLS-Required"] == "No"
    assert letter["TLS-Report-Domain"] == "remote.test"
    file = letter.get_payload(1)
    assert file.get_content_type() == "application/tlsrpt+gzip"
    said = json.loads(gzip.decompress(file.get_content()))
    assert said["policies"][0]["summary"]["total-failure-session-count"] == 1


async def test_who_asks_for_nothing_gets_nothing(world: None) -> None:
    await count(DMARC, "quiet.test", seen("192.0.2.1"))
    await count(TLS, "nowhere.test", connection())
    await Reporter().send_due()
    assert not await store.read(queued) and not await ReportTally.objects.aexists()


async def test_silent_name_servers_are_asked_again(world: None) -> None:
    await count(TLS, "asleep.broken", connection())
    await Reporter().send_due()
    assert await ReportTally.objects.aexists()
    await ReportTally.objects.aupdate(day=YESTERDAY - datetime.timedelta(days=3))
    await Reporter().send_due()
    assert not await ReportTally.objects.aexists()


async def test_today_is_not_over(world: None) -> None:
    await count(DMARC, "sender.test", seen("192.0.2.1"), day=datetime.datetime.now(datetime.UTC).date())
    await Reporter().send_due()
    assert await ReportTally.objects.aexists() and not await store.read(queued)


async def test_no_reports_when_they_are_turned_off(world: None, settings: Any) -> None:
    settings.REPORTS = False
    await count(DMARC, "sender.test", seen("192.0.2.1"))
    await Reporter().send_due()
    assert not await store.read(queued) and not await ReportTally.objects.aexists()


async def test_what_comes_in_is_counted(anna: User, receiving: Receiving, settings: Any) -> None:
    """A good message, and a forged one that is refused; nothing of a domain that wants no reports."""
    zone = (
        'sender.test. 60 TXT "v=spf1 ip4:127.0.0.1 -all"\n_dmarc.sender.test. 60 TXT "v=DMARC1; p=reject; sp=none; '
        'rua=mailto:d@sender.test"\nvictim.test. 60 TXT "v=spf1 -all"\n_dmarc.victim.test. 60 TXT "v=DMARC1; p=reject; '
        'adkim=s; rua=mailto:d@victim.test"\nquiet.test. 60 TXT "v=spf1 ip4:127.0.0.1 -all"\n'
        f'_dmarc.quiet.test. 60 TXT "v=DMARC1; p=none"\ns1._domainkey.sender.test. 60 TXT {_txt(rsa_key().record)}\n'
    )
    with name_server(zone) as (address, _):
        async with receiving(DNS_SERVERS=[address]) as port:
            assert (await send(port, rsa_key().sign(MESSAGE)))[0] == 250
            assert (await send(port, by("boss@victim.test"), "x@victim.test"))[0] == 550
            assert (await send(port, by("anna@quiet.test"), "x@quiet.test"))[0] == 250
    await tallies.write()
    rows = {row.domain: json.loads(row.facts) async for row in ReportTally.objects.filter(kind=DMARC)}
    assert set(rows) == {"sender.test", "victim.test"}
    good, forged = rows["sender.test"], rows["victim.test"]
    assert (good["disposition"], good["dkim"], good["spf"], good["source_ip"]) == ("none", "pass", "pass", "127.0.0.1")
    assert good["dkim_results"] == [["sender.test", "s1", "pass"]] and good["policy"]["sp"] == "none"
    assert (forged["disposition"], forged["dkim"], forged["spf"]) == ("reject", "fail", "fail")
    assert forged["spf_results"] == [["victim.test", "mfrom", "fail"]] and forged["policy"]["adkim"] == "s"


def _txt(record: bytes) -> str:
    text = record.decode()
    return " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))
