"""The reports of others, as an administrator reads them."""

from __future__ import annotations

import datetime

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from mailservers.models import ReceivedReport, ReceivedReportRow
from tests.console.conftest import WEB

pytestmark = WEB


def put(kind: str, good: int, bad: int, trouble: str = "") -> ReceivedReport:
    now = timezone.now()
    report = ReceivedReport.objects.create(
        trace_id="t1", received_at=now, kind=kind, domain="harbour.test" if kind else "", organisation="<big>.test",
        report_id=f"{kind}{good}", begins_at=now - datetime.timedelta(days=1), ends_at=now, good=good, bad=bad,
        trouble=trouble,
    )  # fmt: skip
    detail = {"dkim": "fail", "spf": "pass", "disposition": "none", "header_from": "harbour.test", "result": "expired"}
    for is_good, count in ((True, good), (False, bad)):
        ReceivedReportRow.objects.create(report=report, source="192.0.2.1", count=count, is_good=is_good, detail=detail)
    return report


def test_sums_sources_and_what_could_not_be_read(browser: Client, anna: User) -> None:
    put("dmarc", 90, 10)
    put("tls", 5, 0)
    put("", 0, 0, "there is no report in this message")
    text = browser.get(reverse("console:reports")).content.decode()
    assert "90 <span" in text and "(90 %)" in text and "192.0.2.1" in text
    assert "there is no report in this message" in text and "&lt;big&gt;.test" in text


def test_one_report(browser: Client, anna: User) -> None:
    for kind, words in (("dmarc", "192.0.2.1"), ("tls", "expired")):
        text = browser.get(reverse("console:report", args=[put(kind, 3, 1).pk])).content.decode()
        assert words in text and "<big>" not in text
    assert browser.get(reverse("console:report", args=[999])).status_code == 404


def test_without_any(browser: Client) -> None:
    assert "No reports yet" in browser.get(reverse("console:reports")).content.decode()
