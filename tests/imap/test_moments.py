"""Moments far from today: before 1970, after 2038, at the edges of the calendar, in every zone."""

import pytest

pytestmark = pytest.mark.asyncio

MOMENTS = [
    "01-Jan-0002 00:00:00 +0000",
    "31-Dec-1899 23:59:59 -0500",
    "31-Dec-1969 23:59:59 +0000",
    "01-Jan-1970 00:00:00 +0100",
    "29-Feb-2000 12:00:00 +1400",
    "31-Mar-2024 02:30:00 +0100",  # an hour that clocks in Berlin leave out
    "27-Oct-2024 02:30:00 +0200",  # and one that they have twice
    "27-Oct-2024 02:30:00 +0100",
    "19-Jan-2038 03:14:08 +0000",
    "07-Feb-2106 06:28:16 +0000",
    "30-Dec-9999 23:59:59 +0000",
]
DATES = [
    "Thu, 1 Jan 1601 00:00:00 +0000",
    "Wed, 31 Dec 1969 23:59:59 -0100",
    "Tue, 19 Jan 2038 03:14:08 +0000",
    "Fri, 31 Dec 9999 12:00:00 +0000",
    "Sat, 1 Jan 0000 00:00:00 +0000",
    "1 Jan 99999 00:00 +9999",
]
NONE = [
    "01-Jan-0001 00:00:00 +0100",
    "31-Dec-9999 23:59:59 -0100",
    "30-Feb-2024 00:00:00 +0000",
    "01-Jan-2024 24:00:00 +0000",
    "01-Jan-2024 00:00:00 +2400",
]
MONTHS = {"Jan": 1, "Feb": 2, "Mar": 3, "Oct": 10, "Dec": 12}


async def test_internal_dates_come_back_and_are_searched(client):
    for number, moment in enumerate(MOMENTS):
        await client.append("INBOX", b"Subject: %d\r\n\r\n" % number, f'"{moment}"')
    await client.ok("SELECT INBOX")
    lines = await client.ok("FETCH 1:* INTERNALDATE")
    shown = [line.split(b'"')[1].decode() for line in lines[:-1]]
    assert [_utc(moment) for moment in shown] == [_utc(moment) for moment in MOMENTS]
    # Days are those of INTERNALDATE as it is shown, in UTC.
    assert (await client.ok("SEARCH BEFORE 1-Jan-1970"))[0] == b"* SEARCH 1 2 3 4"
    assert (await client.ok("SEARCH SINCE 19-Jan-2038"))[0] == b"* SEARCH 9 10 11"
    assert (await client.ok("SORT (REVERSE ARRIVAL) UTF-8 ALL"))[0] == b"* SORT 11 10 9 8 7 6 5 3 4 2 1"
    assert (await client.ok("SEARCH YOUNGER 1000"))[0] == b"* SEARCH 9 10 11"
    assert (await client.ok("SEARCH OLDER 4294967295"))[0] == b"* SEARCH 1"


async def test_date_fields_far_away(client):
    for date in DATES:
        await client.append("INBOX", f"Date: {date}\r\nSubject: x\r\n\r\n".encode(), '"24-Nov-2026 00:00:00 +0000"')
    await client.ok("SELECT INBOX")
    assert (await client.ok("SEARCH SENTBEFORE 1-Jan-1970"))[0] == b"* SEARCH 1 2"
    assert (await client.ok("SEARCH SENTSINCE 19-Jan-2038"))[0] == b"* SEARCH 3 4"
    # What is no date counts as the internal date (RFC 5256 section 2.2).
    assert (await client.ok("SORT (DATE) UTF-8 ALL"))[0] == b"* SORT 1 2 5 6 3 4"
    assert b"9999" in (await client.ok("FETCH 4 ENVELOPE"))[0]


@pytest.mark.parametrize("moment", NONE)
async def test_moments_that_are_none_are_refused(client, moment):
    lines = await client.command(f'APPEND INBOX "{moment}" {{1+}}\r\nx')
    assert lines[-1].startswith(b"BAD")


def _utc(text: str) -> tuple[int, ...]:
    """The moment, as (days before or after, minutes) that can be compared."""
    date, clock, zone = text.strip().split(" ")
    day, month, year = date.split("-")
    hour, minute, second = map(int, clock.split(":"))
    offset = (int(zone[1:3]) * 60 + int(zone[3:])) * (-1 if zone[0] == "-" else 1)
    days = int(year) * 372 + MONTHS[month] * 31 + int(day)
    return (days * 1440 + hour * 60 + minute - offset, second)
