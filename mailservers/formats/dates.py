"""Dates of mail: the Date header field (RFC 5322 section 3.3, read leniently) and IMAP's INTERNALDATE (RFC 9051)."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_OCTETS = tuple(month.capitalize().encode("ascii") for month in _MONTHS)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MAX_DATE_OCTETS = 256

#   date-time = [ day-of-week "," ] day month year hour ":" minute [ ":" second ] zone
_TIME = r"(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,]\d{1,9})?)?"
_ZONE = r"(?: ?(?:(?:GMT|UTC|UT) ?)?(?P<offset>[+-]\d{2}:?\d{2})| ?(?P<zone>[A-Za-z]{1,5})\b)?"
_RFC5322 = re.compile(
    r"(?:[A-Za-z]{2,9}\.?,? ?)?(?P<day>\d{1,2})[ .-]{1,2}(?P<month>[A-Za-z]{3})[a-z]{0,6}"
    r"[ .,-]{1,2}(?P<year>\d{2,4}),? " + _TIME + _ZONE
)
#   asctime: Wed May  1 10:00:00 2024, at times with the zone before the year
_ASCTIME = re.compile(
    r"[A-Za-z]{3,9},? (?P<month>[A-Za-z]{3})[a-z]{0,6} (?P<day>\d{1,2}),? " + _TIME + _ZONE + r" (?P<year>\d{4})"
)
_ISO8601 = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})[T ]" + _TIME + _ZONE)
_INTERNAL = re.compile(
    r"(?P<day>[ \d]\d|\d)-(?P<month>[A-Za-z]{3})-(?P<year>\d{4}) "
    r"(?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2}) (?P<offset>[+-]\d{4})"
)
_COMMENT = re.compile(r"\([^()]*\)")

# RFC 5322 section 4.3: the zones whose meaning is certain; military and unknown ones count as UTC.
_ZONE_HOURS = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}


def parse_date(value: bytes) -> datetime | None:
    """The moment a Date field names, with its zone (UTC when it has none), or None. Never raises."""
    text = value[:_MAX_DATE_OCTETS].decode("latin-1").replace("\0", " ")
    while "(" in text and (shorter := _COMMENT.sub(" ", text)) != text:
        text = shorter
    text = " ".join(text.split())
    for pattern in (_RFC5322, _ASCTIME, _ISO8601):
        found = pattern.match(text)
        if found:
            return _build(found.groupdict())
    return None


def format_date(moment: datetime) -> str:
    """An aware datetime as an RFC 5322 date-time: `Wed, 01 May 2024 10:00:00 +0200`."""
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1].capitalize()
    return f"{day}, {moment.day:02d} {month} {moment.year:04d} {moment:%H:%M:%S} {_offset(moment)}"


def parse_internal_date(value: bytes) -> datetime | None:
    """IMAP date-time without its quotes, `dd-Mon-yyyy hh:mm:ss +zzzz` (RFC 9051 section 9), or None when it is none."""
    found = _INTERNAL.fullmatch(value[:_MAX_DATE_OCTETS].decode("latin-1"))
    return _build(found.groupdict(), strict=True) if found else None


def format_internal_date(moment: datetime | str) -> bytes:
    """An aware datetime as IMAP date-time, without quotes; always 26 octets. Or ISO text that is in UTC, as a database
    gives it: `2024-05-01 10:00:00`, with or without more behind the seconds."""
    if isinstance(moment, str):
        month = _MONTHS[int(moment[5:7]) - 1].capitalize()
        return f"{moment[8:10]}-{month}-{moment[:4]} {moment[11:19]} +0000".encode("ascii")
    offset = b"+0000" if moment.tzinfo is UTC else _offset(moment).encode("ascii")
    return b"%02d-%b-%04d %02d:%02d:%02d %b" % (
        moment.day,
        _MONTH_OCTETS[moment.month - 1],
        moment.year,
        moment.hour,
        moment.minute,
        moment.second,
        offset,
    )


def _offset(moment: datetime) -> str:
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("a date of mail needs a time zone")
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def _build(fields: dict[str, str | None], strict: bool = False) -> datetime | None:
    """A datetime from the groups of a pattern, or None when they name no moment that UTC can express."""
    month = fields["month"] or ""
    second = int(fields.get("second") or 0)
    try:
        moment = datetime(
            _full_year(fields["year"] or ""),
            int(month) if month.isdigit() else _MONTHS.index(month.lower()) + 1,
            int(fields["day"] or ""),
            int(fields["hour"] or ""),
            int(fields["minute"] or ""),
            second if strict else min(second, 59),  # a leap second is written :60
            tzinfo=_zone(fields.get("offset"), fields.get("zone")),
        )
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment


def _full_year(year: str) -> int:
    """RFC 5322 section 4.3: two digits below 50 are 20xx, other two and three digits count from 1900."""
    number = int(year)
    if len(year) == 2:
        return number + (2000 if number < 50 else 1900)
    return number + 1900 if len(year) == 3 else number


@lru_cache(maxsize=256)
def _zone(offset: str | None, name: str | None) -> timezone:
    if offset:
        digits = offset.replace(":", "")
        if int(digits[3:]) > 59:
            raise ValueError("minutes of a zone")
        span = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:]))
        return timezone(-span if offset[0] == "-" else span)
    if name:
        return timezone(timedelta(hours=_ZONE_HOURS.get(name.upper(), 0)))
    return UTC
