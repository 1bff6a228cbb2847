"""Date header fields and INTERNALDATE."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailservers.formats.dates import format_date, format_internal_date, parse_date, parse_internal_date


def at(*moment: int, zone: int = 0) -> datetime:
    return datetime(*moment, tzinfo=timezone(timedelta(minutes=zone)))


@pytest.mark.parametrize(
    "value, moment",
    [
        (b"Wed, 01 May 2024 10:00:00 +0200", at(2024, 5, 1, 10, zone=120)),
        (b"Wed,  1 May 2024 10:00:00 +0200 (CEST)", at(2024, 5, 1, 10, zone=120)),
        (b"1 May 2024 10:00 -0330", at(2024, 5, 1, 10, zone=-210)),
        (b"Wed, 01 May 2024 10:00:60 GMT", at(2024, 5, 1, 10, 0, 59)),
        (b"wed, 01 may 24 10:00:00 EST", at(2024, 5, 1, 10, zone=-300)),
        (b"01 May 99 10:00:00 Z", at(1999, 5, 1, 10)),
        (b"01 May 124 10:00:00 A", at(2024, 5, 1, 10)),
        (b"01 May 2024 10:00:00 -0000", at(2024, 5, 1, 10)),
        (b"01 May 2024 10:00:00", at(2024, 5, 1, 10)),
        (b"Wed, 01 (a (b) c) May\r\n\t2024 10:00:00 +0000", at(2024, 5, 1, 10)),
        (b"Wed, 01 May 2024 10:00:00 GMT+0100", at(2024, 5, 1, 10, zone=60)),
        (b"Wednesday, 01-May-24 10:00:00 UT", at(2024, 5, 1, 10)),
        (b"Wed May  1 10:00:00 2024", at(2024, 5, 1, 10)),
        (b"Wed May  1 10:00:00 PDT 2024", at(2024, 5, 1, 10, zone=-420)),
        (b"2024-05-01T10:00:00.123Z", at(2024, 5, 1, 10)),
        (b"2024-05-01 10:00:00 +01:00", at(2024, 5, 1, 10, zone=60)),
        (b"", None),
        (b"yesterday", None),
        (b"Wed, 32 May 2024 10:00:00 +0000", None),
        (b"Wed, 01 Foo 2024 10:00:00 +0000", None),
        (b"Wed, 01 May 2024 25:00:00 +0000", None),
        (b"Wed, 01 May 2024 10:00:00 +9999", None),
        (b"Sat, 01 Jan 0001 00:00:00 +0100", None),
        (b"\xff\0", None),
    ],
)
def test_parse_date(value, moment):
    found = parse_date(value)
    assert found == moment
    assert found is None or found.tzinfo is not None


_moments = st.datetimes(
    min_value=datetime(1901, 1, 1), max_value=datetime(9990, 1, 1),
    timezones=st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
).map(lambda moment: moment.replace(microsecond=0))  # fmt: skip


@given(_moments)
@settings(deadline=None)
def test_what_is_written_is_read_back(moment):
    assert format_date(moment) == format_datetime(moment)
    assert parse_date(format_date(moment).encode()) == moment
    assert parse_internal_date(format_internal_date(moment)) == moment
    assert len(format_internal_date(moment)) == 26
    as_held = str(moment.astimezone(UTC).replace(tzinfo=None))  # the text of a database
    assert format_internal_date(as_held) == format_internal_date(moment.astimezone(UTC))


@given(st.binary() | st.text("0123456789 :+-,()MayWedT", max_size=60).map(str.encode))
@settings(deadline=None)
def test_any_value_is_a_date_or_none(value):
    for parse in (parse_date, parse_internal_date):
        found = parse(value)
        assert found is None or found.astimezone(UTC)


@pytest.mark.parametrize(
    "value, moment",
    [
        (b"01-May-2024 10:00:00 +0200", at(2024, 5, 1, 10, zone=120)),
        (b" 1-may-2024 10:00:00 -0000", at(2024, 5, 1, 10)),
        (b"1-May-2024 10:00:00 +0000", at(2024, 5, 1, 10)),
        (b"31-Feb-2024 10:00:00 +0000", None),
        (b"01-May-2024 10:00:60 +0000", None),
        (b"01-May-2024 10:00:00", None),
        (b"01-May-2024 10:00:00 +0060", None),
        (b"01-May-2024 10:00:00 +0000 x", None),
    ],
)
def test_parse_internal_date(value, moment):
    assert parse_internal_date(value) == moment


def test_naive_dates_are_refused():
    with pytest.raises(ValueError):
        format_internal_date(datetime(2024, 5, 1))
