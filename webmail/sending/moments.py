"""When to send: the moments that compose offers, and the one that is typed, in the user's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.conf import settings
from django.utils import formats, timezone

FORMAT = "%Y-%m-%dT%H:%M"  # as <input type="datetime-local"> has it


class BadMoment(ValueError):
    """The text is for the user."""


@dataclass(frozen=True, slots=True)
class Preset:
    """`value` as the form sends it."""

    label: str
    when: str
    value: str


def presets(now: datetime | None = None) -> list[Preset]:
    """In an hour, this evening, tomorrow, and the next Monday, those that lie ahead."""
    now = timezone.localtime(now)
    soon = (now + timedelta(hours=1)).replace(second=0, microsecond=0)
    tomorrow = now.date() + timedelta(days=1)
    monday = now.date() + timedelta(days=7 - now.weekday())
    chosen = [("In one hour", soon)]
    if now.hour < 17:
        chosen.append(("This evening", _at(now, time(18))))
    chosen.append(("Tomorrow morning", _at(datetime.combine(tomorrow, time.min), time(8))))
    if now.weekday() != 6:  # on Sundays that is tomorrow
        chosen.append(("Monday morning", _at(datetime.combine(monday, time.min), time(8))))
    return [
        Preset(label, formats.date_format(moment, "D j M, H:i"), moment.strftime(FORMAT)) for label, moment in chosen
    ]


def _at(day: datetime, clock: time) -> datetime:
    return timezone.make_aware(datetime.combine(day.date(), clock))


def parse_moment(text: str, now: datetime | None = None) -> datetime | None:
    """A local date and time; "" is none. One that a clock change leaves out is the hour after, one that it repeats is
    the first. Raises `BadMoment`."""
    if not text:
        return None
    try:
        moment = timezone.make_aware(datetime.strptime(text[:16], FORMAT)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadMoment("That is not a date and time.") from None
    now = now or timezone.now()
    if moment < now - timedelta(minutes=1):
        raise BadMoment("That moment has passed.")
    if moment > now + timedelta(seconds=settings.FUTURE_RELEASE_MAX_S):
        days = settings.FUTURE_RELEASE_MAX_S // 86400
        raise BadMoment(f"Mail can be held for {days} days at most.")
    return max(moment, now + timedelta(seconds=1))


def bounds(now: datetime | None = None) -> tuple[str, str]:
    """The first and the last moment that can be chosen, for the input field."""
    now = timezone.localtime(now)
    return now.strftime(FORMAT), (now + timedelta(seconds=settings.FUTURE_RELEASE_MAX_S)).strftime(FORMAT)
