"""What others report about our domains: whose mail passed DMARC, and whether TLS to us came about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpResponse
from django.utils import timezone

from accounts.console.access import StaffRequest, found, needs, page
from accounts.console.paging import page_before
from accounts.models import Domain
from accounts.roles import Permission, Scope
from mailservers.formats.mailbox_address import domain_spellings
from mailservers.formats.reports import DMARC, TLS
from mailservers.models import ReceivedReport, ReceivedReportRow

DAYS = 30
MAX_SOURCES = 100


@needs(Permission.REPORTS)
def report_list(request: StaffRequest) -> HttpResponse:
    since = timezone.now() - timedelta(days=DAYS)
    rows = _in_scope(request.remit)
    sums = rows.filter(received_at__gte=since).exclude(kind="").values("domain", "kind")
    counted = sums.annotate(reports=Count("pk"), good_sum=Sum("good"), bad_sum=Sum("bad")).order_by("domain", "kind")
    names = Domain.objects.values_list("name", flat=True)
    ours = {spelling for name in names for spelling in domain_spellings(name)}
    context = {
        "days": DAYS,
        "sums": [_with_share(dict(row)) | {"is_ours": row["domain"] in ours} for row in counted],
        "sources": _sources(rows, since),
        "page": page_before(request, rows),
        "records_of": request.remit.domains().filter(is_active=True).order_by("pk").first(),
    }
    return page(request, "reports.html", "reports", context)


@needs(Permission.REPORTS)
def report(request: StaffRequest, report_id: int) -> HttpResponse:
    row = found(_in_scope(request.remit), pk=report_id)
    lines = row.rows.order_by("is_good", "-count", "pk")[:500]
    return page(request, "report.html", "reports", {"report": row, "lines": lines, "is_tls": row.kind == TLS})


def _in_scope(scope: Scope) -> QuerySet[ReceivedReport]:
    rows = ReceivedReport.objects.all()
    return rows if scope.is_everything else rows.filter(domain__in=scope.domain_names)


def _with_share(row: dict[str, Any]) -> dict[str, Any]:
    total = row["good_sum"] + row["bad_sum"]
    row["share"] = round(100 * row["good_sum"] / total) if total else None
    return row


def _sources(reports: QuerySet[ReceivedReport], since: Any) -> list[dict[str, Any]]:
    """Who sends as our domains, and is not vouched for: where to look first."""
    lines = ReceivedReportRow.objects.filter(report__in=reports.filter(kind=DMARC, received_at__gte=since))
    counted = (
        lines.values("source", "report__domain")
        .annotate(
            bad=Sum("count", filter=Q(is_good=False), default=0), good=Sum("count", filter=Q(is_good=True), default=0)
        )
        .filter(bad__gt=0)
        .order_by("-bad", "source")[:MAX_SOURCES]
    )
    return [dict(row) for row in counted]
