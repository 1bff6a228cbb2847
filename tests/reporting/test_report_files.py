"""The files: what we write is what we read, and what strangers write is read or refused."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.dmarc import ReportUri, parse_dmarc
from mailservers.formats.reports import InvalidReport, Tally
from mailservers.formats.reports.dmarc_xml import build_dmarc, parse_dmarc_report
from mailservers.formats.reports.packed import MAX_OPENED, attached, opened
from mailservers.formats.reports.tls_json import build_tls, parse_tls_report, report_uris
from mailservers.reporting.reading import read_report

POLICY = {"domain": "sender.test", "p": "reject", "sp": "reject", "adkim": "r", "aspf": "r", "pct": 100}
SPAN = {
    "organisation": "mx.harbour.test",
    "email": "reports@harbour.test",
    "begin": 1_795_478_400,
    "end": 1_795_564_799,
}


def seen(source: str, *, dkim: str = "pass", spf: str = "fail", count: int = 1) -> Tally:
    facts = {
        "policy": POLICY, "source_ip": source, "disposition": "none", "dkim": dkim, "spf": spf,
        "reasons": [["local_policy", "a <reason> & more"]],
        "envelope_from": "sender.test", "header_from": "sender.test",
        "dkim_results": [["sender.test", "s1", "pass"]], "spf_results": [["sender.test", "mfrom", "softfail"]],
    }  # fmt: skip
    return Tally(facts, count)


def test_a_dmarc_report_there_and_back() -> None:
    xml = build_dmarc(report_id="1@mx", tallies=[seen("192.0.2.1", count=7), seen("2001:db8::1", dkim="fail")], **SPAN)
    report = parse_dmarc_report(xml)
    assert (report.domain, report.organisation, report.report_id) == ("sender.test", "mx.harbour.test", "1@mx")
    assert [(row.source, row.count, row.is_good) for row in report.rows] == [
        ("192.0.2.1", 7, True), ("2001:db8::1", 1, False),
    ]  # fmt: skip
    assert report.rows[0].detail["signers"] == ["sender.test"]


@given(st.text(max_size=40))
def test_no_name_breaks_the_xml(text: str) -> None:
    tally = seen(text)
    tally.facts["header_from"] = text
    parse_dmarc_report(build_dmarc(report_id=text, tallies=[tally], **SPAN))


def connection(result: str = "", count: int = 1, kind: str = "sts") -> Tally:
    facts = {
        "type": kind, "policy": ["version: STSv1", "mode: testing"], "mx_pattern": ["mx.remote.test"],
        "host": "mx.remote.test", "address": "192.0.2.9", "result": result, "reason": "words",
    }  # fmt: skip
    return Tally(facts, count)


def test_a_tls_report_there_and_back() -> None:
    tallies = [connection(count=5), connection("certificate-expired", 2), connection(kind="tlsa")]
    data = build_tls(report_id="2@mx", domain="remote.test", tallies=tallies, **SPAN)
    (sts, tlsa) = json.loads(data)["policies"]
    assert sts["summary"] == {"total-successful-session-count": 5, "total-failure-session-count": 2}
    assert sts["policy"]["mx-host"] == ["mx.remote.test"]
    assert json.loads(data)["date-range"]["start-datetime"] == "2026-11-24T00:00:00Z"
    assert tlsa["policy"]["policy-type"] == "tlsa" and "failure-details" not in tlsa
    report = parse_tls_report(data)
    assert (report.domain, report.begin, report.end) == ("remote.test", SPAN["begin"], SPAN["end"])
    assert [(row.count, row.is_good) for row in report.rows] == [(5, True), (2, False), (1, True)]
    assert report.rows[1].detail["result"] == "certificate-expired"


@pytest.mark.parametrize(
    ("records", "uris"),
    [
        ([b"v=TLSRPTv1; rua=mailto:a@x.test"], ("mailto:a@x.test",)),
        ([b"v=TLSRPTv1;rua=https://x.test/r?a=b,mailto:a@x.test;ext=1"], ("https://x.test/r?a=b", "mailto:a@x.test")),
        ([b"v=spf1 -all", b"v=TLSRPTv1; rua=mailto:a@x.test;"], ("mailto:a@x.test",)),
        ([b"v=TLSRPTv1; rua=mailto:a@x.test"] * 2, ()),
        ([b"v=TLSRPTv2; rua=mailto:a@x.test"], ()),
        ([b"v=TLSRPTv1; rua=ftp://x.test"], ()),
        ([b"\xff"], ()),
    ],
)
def test_who_wants_tls_reports(records: list[bytes], uris: tuple[str, ...]) -> None:
    assert report_uris(records) == uris


@pytest.mark.parametrize(
    ("rua", "wanted"),
    [
        ("mailto:a@x.test", (ReportUri("a@x.test"),)),
        ("mailto:a@x.test!10m, mailto:b@y.test!5K", (ReportUri("a@x.test", 10 << 20), ReportUri("b@y.test", 5 << 10))),
        ("mailto:a%2Bb@x.test", (ReportUri("a+b@x.test"),)),
        ("https://x.test", ()),
        ("mailto:nobody", ()),
    ],
)
def test_who_wants_dmarc_reports(rua: str, wanted: tuple[ReportUri, ...]) -> None:
    assert parse_dmarc(f"v=DMARC1; p=none; rua={rua}".encode()).reports == wanted


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.xml", data)
    return file.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, zipped, bytes])
def test_every_wrapping_is_opened(pack) -> None:
    assert opened(pack(b"<feedback/>")) == b"<feedback/>"


@pytest.mark.parametrize("pack", [gzip.compress, zipped])
def test_a_bomb_is_refused(pack) -> None:
    with pytest.raises(InvalidReport, match="too large"):
        opened(pack(bytes(MAX_OPENED + 1)))
    with pytest.raises(InvalidReport):
        opened(pack(b"<feedback/>" * 100)[:-9])


def test_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><feedback>&b;</feedback>'
    for content in (bomb, bomb.decode().encode("utf-16")):
        with pytest.raises(InvalidReport):
            parse_dmarc_report(content)


GOOD = (
    build_dmarc(report_id="1@mx", tallies=[seen("192.0.2.1")], **SPAN),
    build_tls(report_id="2@mx", domain="remote.test", tallies=[connection("validation-failure")], **SPAN),
)


@given(st.sampled_from(GOOD), st.data())
def test_what_is_damaged_is_read_or_refused(good: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 40)))
    broken = (
        good[:start]
        + data.draw(st.binary(max_size=20) | st.sampled_from([b"-1", b"[]", b"null", b"9" * 30]))
        + good[end:]
    )
    for parse in (parse_dmarc_report, parse_tls_report):
        try:
            report = parse(broken)
        except InvalidReport:
            continue
        assert all(row.count >= 0 for row in report.rows)


@given(st.binary(max_size=400))
def test_any_message_is_read_or_refused(raw: bytes) -> None:
    list(attached(raw))
    with pytest.raises(InvalidReport):
        read_report(raw)
