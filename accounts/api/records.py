"""What happened: the delivery log, one message's way, others' reports about our domains, the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import Http404
from ninja import Query, Router, Schema

from accounts.api.access import ApiRequest, found, needs
from accounts.api.paging import Body, Page, Paged, Searched, Words, number, page_before
from accounts.console.events import Filter, log_page, trace_rows
from accounts.models import AuditEntry
from accounts.roles import Permission
from mailservers.models import ReceivedReport

trace = Router(tags=["Trace"])
reports = Router(tags=["Reports"])
audit = Router(tags=["Audit"])


class EventOut(Schema):
    id: int
    at: datetime
    trace_id: str
    step: str
    outcome: str
    sender: str
    recipient: str
    sentence: str
    detail: str
    subject: str
    reasons: list[dict[str, Any]]


class EventsWanted(Body):
    address: Words = ""  # part of the sender's or a recipient's, or a whole trace id
    outcome: Words = ""
    after: Words = ""


@trace.get("/events", response=Page[EventOut], summary="The delivery log, newest first", **needs(Permission.TRACE))
def list_events(request: ApiRequest, wanted: Query[EventsWanted]) -> dict[str, Any]:
    shown = log_page(request.auth, Filter.of(wanted.address, wanted.outcome), number(wanted.after))
    return {"items": shown.rows, "next": str(shown.older) if shown.older else None}


@trace.get("/trace/{trace_id}", response=list[EventOut], summary="One message's way", **needs(Permission.TRACE))
def get_trace(request: ApiRequest, trace_id: str) -> Any:
    rows = trace_rows(request.auth, trace_id) if trace_id.isalnum() else []
    if not rows:
        raise Http404
    return rows


class ReportOut(Schema):
    id: int
    kind: str
    domain: str
    organisation: str
    report_id: str
    received_at: datetime
    begins_at: datetime | None
    ends_at: datetime | None
    good: int
    bad: int
    trouble: str


class ReportRowOut(Schema):
    source: str
    count: int
    is_good: bool
    detail: dict[str, Any]


class WholeReportOut(ReportOut):
    rows: list[ReportRowOut]

    @staticmethod
    def resolve_rows(row: ReceivedReport) -> list[Any]:
        return list(row.rows.order_by("is_good", "-count", "pk")[:500])


@reports.get("/reports", response=Page[ReportOut], summary="DMARC and TLS reports", **needs(Permission.REPORTS))
def list_reports(request: ApiRequest, wanted: Query[Paged]) -> dict[str, Any]:
    return page_before(_reports(request), wanted)


@reports.get("/reports/{int:report_id}", response=WholeReportOut, summary="One report", **needs(Permission.REPORTS))
def get_report(request: ApiRequest, report_id: int) -> ReceivedReport:
    return found(_reports(request), pk=report_id)


def _reports(request: ApiRequest) -> Any:
    scope, rows = request.auth, ReceivedReport.objects.all()
    return rows if scope.is_everything else rows.filter(domain__in=scope.domain_names)


class AuditOut(Schema):
    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


@audit.get("/audit", response=Page[AuditOut], summary="What administrators did", **needs(Permission.AUDIT))
def list_audit(request: ApiRequest, wanted: Query[Searched]) -> dict[str, Any]:
    rows = AuditEntry.objects.all()
    for word in wanted.q.split()[:5]:
        rows = rows.filter(Q(actor__icontains=word) | Q(subject__icontains=word) | Q(action__icontains=word))
    return page_before(rows, wanted)
