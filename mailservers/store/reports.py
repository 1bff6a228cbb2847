"""Aggregate reports that came in: first the message alone, in the transaction that accepts it, later what it says."""

from __future__ import annotations

import datetime
from datetime import timedelta

from mailservers.formats.reports import AggregateReport
from mailservers.models import Message, ReceivedReport, ReceivedReportRow
from mailservers.store.removing import forget_messages
from mailservers.store.transaction import Transaction

UNREAD_AT_ONCE = 20


def keep_report(tx: Transaction, trace_id: str, sha256: bytes) -> None:
    """Part of the store operation that has just written this content."""
    message_id = Message.objects.filter(sha256=sha256).values_list("pk", flat=True).get()
    ReceivedReport.objects.create(message_id=message_id, trace_id=trace_id, received_at=tx.now)


def unread_reports() -> list[tuple[int, int]]:
    """(report, message) ids, the oldest first."""
    rows = ReceivedReport.objects.filter(message__isnull=False, trouble="").order_by("pk")
    return [(pk, message_id) for pk, message_id in rows.values_list("pk", "message_id")[:UNREAD_AT_ONCE] if message_id]


def fill_report(tx: Transaction, report_id: int, said: AggregateReport) -> None:
    """Store operation: what the report says; the message goes. One that came before is dropped."""
    row = ReceivedReport.objects.filter(pk=report_id).first()
    if row is None or row.message_id is None:
        return
    message_id = row.message_id
    known = ReceivedReport.objects.filter(
        kind=said.kind, domain=said.domain, organisation=said.organisation, report_id=said.report_id
    )
    if known.exists():
        row.delete()
    else:
        row.kind, row.domain = said.kind, said.domain
        row.organisation, row.report_id = said.organisation, said.report_id
        row.begins_at, row.ends_at = _moment(said.begin), _moment(said.end)
        row.good = sum(line.count for line in said.rows if line.is_good)
        row.bad = sum(line.count for line in said.rows if not line.is_good)
        row.message = None
        row.save()
        ReceivedReportRow.objects.bulk_create(
            ReceivedReportRow(
                report=row, source=line.source, count=line.count, is_good=line.is_good, detail=line.detail
            )
            for line in said.rows
        )
    forget_messages(tx, [message_id])


def note_trouble(tx: Transaction, report_id: int, trouble: str) -> None:
    """Store operation: it could not be read. The message stays with it, to be looked at, until its time is up."""
    ReceivedReport.objects.filter(pk=report_id).update(trouble=trouble[:300])


def forget_reports(tx: Transaction, keep: timedelta) -> int:
    """Store operation: those that are older; how many."""
    old = list(ReceivedReport.objects.filter(received_at__lt=tx.now - keep).values_list("pk", "message_id")[:500])
    ReceivedReport.objects.filter(pk__in=[pk for pk, _ in old]).delete()
    forget_messages(tx, [message_id for _, message_id in old if message_id])
    return len(old)


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(min(seconds, 2**33), datetime.UTC)
