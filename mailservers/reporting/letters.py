"""The mail that a report travels in (RFC 7489 section 7.2.1.1, RFC 8460 section 5.3)."""

from __future__ import annotations

import datetime
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from django.conf import settings
from django.utils import timezone

from mailservers.formats.reports import Tally
from mailservers.formats.reports.dmarc_xml import build_dmarc
from mailservers.formats.reports.tls_json import build_tls
from mailservers.store.events import new_trace_id


@dataclass(frozen=True, slots=True)
class Letter:
    """A report, ready to be sent. `packed`: the gzip file."""

    domain: str
    report_id: str
    sender: str
    packed: bytes
    file_name: str
    media_type: str
    words: str
    is_tls: bool

    def message(self, addresses: Sequence[str]) -> bytes:
        mail = EmailMessage(policy=SMTP.clone(max_line_length=990))
        mail["From"] = f"Postroom <{self.sender}>"
        mail["To"] = ", ".join(addresses)
        mail["Date"] = format_datetime(timezone.now())
        mail["Message-ID"] = f"<{new_trace_id()}@{settings.HOSTNAME}>"
        mail["Subject"] = f"Report Domain: {self.domain} Submitter: {settings.HOSTNAME} Report-ID: <{self.report_id}>"
        mail["Auto-Submitted"] = "auto-generated"
        if self.is_tls:
            mail["TLS-Report-Domain"] = self.domain
            mail["TLS-Report-Submitter"] = settings.HOSTNAME
            mail["TLS-Required"] = "No"  # RFC 8689 section 5: the report of broken TLS has to get through
        mail.set_content(self.words)
        kind, _, subtype = self.media_type.partition("/")
        mail.add_attachment(self.packed, kind, subtype, filename=self.file_name)
        if self.is_tls:
            mail.replace_header("Content-Type", mail["Content-Type"].replace("mixed", "report", 1))
            mail.set_param("report-type", "tlsrpt")
        return mail.as_bytes()


def dmarc_letter(domain: str, day: datetime.date, sender: str, tallies: Sequence[Tally]) -> Letter:
    begin, end = _span(day)
    report_id = _report_id(domain, begin)
    xml = build_dmarc(
        organisation=settings.HOSTNAME, email=sender, report_id=report_id, begin=begin, end=end, tallies=tallies
    )
    words = (
        f"This is a DMARC aggregate report of {settings.HOSTNAME} about mail of {domain} on {day}.\n"
        f"{sum(tally.count for tally in tallies)} messages are counted in the file that is attached.\n"
    )
    name = f"{settings.HOSTNAME}!{domain}!{begin}!{end}.xml.gz"
    return Letter(domain, report_id, sender, gzip.compress(xml, mtime=0), name, "application/gzip", words, False)


def tls_letter(domain: str, day: datetime.date, sender: str, tallies: Sequence[Tally]) -> Letter:
    begin, end = _span(day)
    report_id = _report_id(domain, begin)
    said = build_tls(
        organisation=settings.HOSTNAME, email=sender, report_id=report_id, begin=begin, end=end, domain=domain,
        tallies=tallies,
    )  # fmt: skip
    failed = sum(tally.count for tally in tallies if tally.facts["result"])
    words = (
        f"This is an SMTP TLS report of {settings.HOSTNAME} about sending to {domain} on {day}.\n"
        f"{failed} of {sum(tally.count for tally in tallies)} connections failed; the details are attached.\n"
    )
    name = f"{settings.HOSTNAME}!{domain}!{begin}!{end}.json.gz"
    return Letter(domain, report_id, sender, gzip.compress(said, mtime=0), name, "application/tlsrpt+gzip", words, True)


def _span(day: datetime.date) -> tuple[int, int]:
    begin = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    return int(begin.timestamp()), int(begin.timestamp()) + 24 * 3600 - 1


def _report_id(domain: str, begin: int) -> str:
    """The same when the report has to be made again."""
    return f"{begin}.{domain}@{settings.HOSTNAME}"
