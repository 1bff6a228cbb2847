"""What others report about our domains: whose mail passed DMARC, and whether TLS to us came about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.http import HttpResponse
from django.utils import timezone

from accounts.console.access import AdminRequest, admin_only, found, page
from accounts.console.paging import page_before
from accounts.models import Domain
from mailservers.formats.mailbox_address import InvalidAddress, domain_to_ascii
from mailservers.formats.reports import DMARC, TLS
from mailservers.models import ReceivedReport, ReceivedReportRow

DAYS = 30
MAX_SOURCES = 100


@admin_only
def report_list(request: AdminRequest) -> HttpResponse:
    since = timezone.now() - timedelta(days=DAYS)
    rows = ReceivedReport.objects.all()
    sums = rows.filter(received_at__gte=since).exclude(kind="").values("domain", "kind")
    counted = sums.annotate(reports=Count("pk"), good_sum=Sum("good"), bad_sum=Sum("bad")).order_by("domain", "kind")
    context = {
        "days": DAYS,
        "sums": [_with_share(dict(row)) for row in counted],
        "sources": _sources(since),
        "page": page_before(request, rows),
        "records_of": Domain.objects.filter(is_active=True).order_by("pk").first(),
    }
    return page(request, "reports.html", "reports", context)


@admin_only
def report(request: AdminRequest, report_id: int) -> HttpResponse:
    row = found(ReceivedReport.objects.all(), pk=report_id)
    lines = row.rows.order_by("is_good", "-count", "pk")[:500]
    return page(request, "report.html", "reports", {"report": row, "lines": lines, "is_tls": row.kind == TLS})


def _with_share(row: dict[str, Any]) -> dict[str, Any]:
    total = row["good_sum"] + row["bad_sum"]
    row["share"] = round(100 * row["good_sum"] / total) if total else None
    row["is_ours"] = row["domain"] in _our_domains()
    return row


def _our_domains() -> set[str]:
    names = set()
    for name in Domain.objects.values_list("name", flat=True):
        try:
            names.add(domain_to_ascii(name))
        except InvalidAddress:
            continue
    return names


def _sources(since: Any) -> list[dict[str, Any]]:
    """Who sends as our domains, and is not vouched for: where to look first."""
    lines = ReceivedReportRow.objects.filter(report__kind=DMARC, report__received_at__gte=since)
    counted = (
        lines.values("source", "report__domain")
        .annotate(
            bad=Sum("count", filter=Q(is_good=False), default=0), good=Sum("count", filter=Q(is_good=True), default=0)
        )
        .filter(bad__gt=0)
        .order_by("-bad", "source")[:MAX_SOURCES]
    )
    return [dict(row) for row in counted]
