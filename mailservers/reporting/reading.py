"""Reading the reports that others sent: in the background, in a thread, within bounds."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from django.conf import settings

from mailservers.formats.reports import AggregateReport, InvalidReport
from mailservers.formats.reports.dmarc_xml import is_dmarc_report, parse_dmarc_report
from mailservers.formats.reports.packed import attached, opened
from mailservers.formats.reports.tls_json import is_tls_report, parse_tls_report
from mailservers.store.content import read_message
from mailservers.store.engine import store
from mailservers.store.reports import fill_report, forget_reports, note_trouble, unread_reports

log = logging.getLogger(__name__)

MAX_MESSAGE = 10 * 1024 * 1024  # octets


async def read_reports() -> None:
    """All that wait; and what is older than REPORTS_KEPT_DAYS goes."""
    while waiting := await store.read(unread_reports):
        for report_id, message_id in waiting:
            raw = await store.read(read_message, message_id)
            try:
                said = await asyncio.to_thread(read_report, raw or b"")
            except InvalidReport as error:
                log.info("a report could not be read: %s", error)
                await store.call(note_trouble, report_id, str(error))
            else:
                await store.call(fill_report, report_id, said)
    await store.call(forget_reports, timedelta(days=settings.REPORTS_KEPT_DAYS))


def read_report(message: bytes) -> AggregateReport:
    """The first report in a message. Raises `InvalidReport`."""
    if len(message) > MAX_MESSAGE:
        raise InvalidReport("the message is too large for a report")
    for content in attached(message):
        data = opened(content)
        if is_dmarc_report(data):
            return parse_dmarc_report(data)
        if is_tls_report(data):
            return parse_tls_report(data)
    raise InvalidReport("there is no DMARC or TLS report in this message")
