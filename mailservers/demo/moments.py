"""When things happen in the story, relative to the moment the demo is made."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

# Not strftime: its names follow the process's locale.
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_PLACEHOLDER = re.compile(r"\{(day|date|dmy|ymd|dm|m|d)([+-]\d+)?\}")
_FORMATS: dict[str, Callable[[datetime], str]] = {
    "day": lambda t: f"{DAYS[t.weekday()]} {t.day} {MONTHS[t.month - 1]}",
    "date": lambda t: f"{t.day} {MONTHS[t.month - 1]} {t.year}",
    "dmy": lambda t: f"{t.day:02}.{t.month:02}.{t.year}",
    "ymd": lambda t: f"{t.year}-{t.month:02}-{t.day:02}",
    "dm": lambda t: f"{t.day:02}/{t.month:02}",
    "m": lambda t: str(t.month),
    "d": lambda t: str(t.day),
}


def moment(when: str, now: datetime) -> datetime:
    """The time that a letter's `when` means, in UTC; never later than `now`."""
    now = now.astimezone(UTC)
    count, unit, clock = int(when.split()[0][:-1]), when.split()[0][-1], when.split()[1:]
    if unit == "d":
        hour, minute = map(int, clock[0].split(":"))
        day = now - timedelta(days=count)
        return day.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return now.replace(microsecond=0) - timedelta(**{{"h": "hours", "m": "minutes"}[unit]: count})


def fill_dates(text: str, now: datetime) -> str:
    """Replace `{day+9}` by the date nine days after `now`; the kinds are the keys of `_FORMATS`."""

    def date_text(match: re.Match[str]) -> str:
        return _FORMATS[match[1]](now.astimezone(UTC) + timedelta(days=int(match[2] or 0)))

    return _PLACEHOLDER.sub(date_text, text)


def in_zone(time: datetime, zone: str) -> datetime:
    """The same time at a fixed offset such as "+0530"."""
    minutes = int(zone[1:3]) * 60 + int(zone[3:])
    return time.astimezone(timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes)))


def date_time(time: datetime) -> str:
    """The RFC 5322 date-time."""
    return format_datetime(time)
