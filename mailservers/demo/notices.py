"""The machine-readable parts: delivery status (RFC 3464) and calendar objects (RFC 5545)."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from . import mime
from .cast import correspondent
from .header_fields import parameterised
from .letter import Event, Report

_CALENDAR_LINE_OCTETS = 74


def report_parts(
    report: Report, human_text: str, original: bytes, *, arrived: datetime, tried: datetime
) -> list[mime.Entity]:
    """The three parts of a multipart/report: for people, for programs, and what was sent."""
    status_lines = [
        "Reporting-MTA: dns; mail.kittiwake.example",
        f"Arrival-Date: {format_datetime(arrived)}",
        "",
        f"Final-Recipient: rfc822; {report.recipient}",
        f"Action: {report.action}",
        f"Status: {report.status}",
        f"Remote-MTA: dns; {report.remote_mta}",
        f"Diagnostic-Code: smtp; {report.diagnostic}",
        f"Last-Attempt-Date: {format_datetime(tried)}",
    ]
    if report.action == "delayed":
        status_lines.append(f"Will-Retry-Until: {format_datetime(arrived + timedelta(days=5))}")
    status = "\r\n".join([*status_lines, ""]).encode("ascii")
    return [
        mime.text(human_text, charset="utf-8", cte="8bit"),
        mime.Entity((b"Content-Type: message/delivery-status",), status),
        mime.message(original, headers_only=report.headers_only),
    ]


def calendar_part(event: Event, stamp: datetime, now: datetime) -> mime.Entity:
    """The event as text/calendar; `stamp` is when the letter is written, its day counts from `now`."""
    data = _calendar_object(event, stamp, _event_start(event, now))
    content_type = parameterised("Content-Type", "text/calendar", ["charset=utf-8", f"method={event.method}"])
    cte = b"7bit" if data.isascii() else b"8bit"
    return mime.Entity((content_type, b"Content-Transfer-Encoding: " + cte), data)


def _event_start(event: Event, now: datetime) -> datetime:
    hour, minute = map(int, event.start.split(":"))
    day = now.astimezone(UTC) + timedelta(days=event.day)
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0)


def _calendar_object(event: Event, stamp: datetime, start: datetime) -> bytes:
    organizer = correspondent(event.organizer)
    lines = [
        "BEGIN:VCALENDAR",
        "PRODID:-//Kittiwake//Diary//EN",
        "VERSION:2.0",
        f"METHOD:{event.method}",
        "BEGIN:VEVENT",
        f"UID:{event.uid}@kittiwake.example",
        f"DTSTAMP:{_utc(stamp)}",
        f"DTSTART:{_utc(start)}",
        f"DTEND:{_utc(start + timedelta(hours=event.hours))}",
        f"SEQUENCE:{event.sequence}",
        f"SUMMARY:{_escaped(event.summary)}",
        f"LOCATION:{_escaped(event.location)}",
        f'ORGANIZER;CN="{organizer.name}":mailto:{organizer.address}',
        *_attendee_lines(event),
        f"STATUS:{'CANCELLED' if event.method == 'CANCEL' else 'CONFIRMED'}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return b"".join(_folded(line) for line in lines)


def _attendee_lines(event: Event) -> Iterable[str]:
    rsvp = ";RSVP=TRUE" if event.method == "REQUEST" else ""
    for key in event.attendees.split():
        person = correspondent(key)
        yield f'ATTENDEE;CN="{person.name}";PARTSTAT={event.partstat}{rsvp}:mailto:{person.address}'


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> bytes:
    """A content line of at most 75 octets a piece, cut between characters (RFC 5545 section 3.1)."""
    pieces = [b""]
    for character in line:
        octets = character.encode()
        if len(pieces[-1]) + len(octets) > _CALENDAR_LINE_OCTETS:
            pieces.append(b"")
        pieces[-1] += octets
    return b"\r\n ".join(pieces) + b"\r\n"
