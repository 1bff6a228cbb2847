"""Large messages go through a spool: DATA and BDAT, and what is said when the disk refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from django.test import override_settings

from accounts.models import User
from mailservers.smtp.server import SERVICES
from mailservers.store import arriving
from mailservers.store.errors import StoreFull
from mailservers.store.spool import Spool
from tests.dialog import listening, play

from .test_relay import OPENING, contents

RELAY = SERVICES[0]
READY = f"{OPENING}\nC: RCPT TO:<anna@harbour.test>\nS: 250 2.1.5 *"
LINES = [b"%05d line\r\n" % n for n in range(200)]
TEXT = b"Subject: large\r\n\r\n" + b"".join(LINES)
END = TEXT + 30 * b"".join(LINES * 8) + b".\r\n"  # more than is ever read at once
HALF = len(TEXT) // 2 + 3


@pytest.fixture(autouse=True)
def spooled() -> Iterator[None]:
    with override_settings(STREAM_OVER=300):
        yield


def _bdat(data: bytes, last: bool = False) -> str:
    command = b"BDAT %d%b\r\n" % (len(data), b" LAST" if last else b"")
    return f"C! {command + data!r}"


DIALOGS = {
    "one chunk": f"{_bdat(TEXT, True)}\nS: 250 2.0.0 OK: *",
    "large chunks": f"""
        {_bdat(TEXT[:HALF])}
        S: 250 2.0.0 {HALF} octets received
        {_bdat(TEXT[HALF:], True)}
        S: 250 2.0.0 OK: *""",
    "many small chunks": "".join(f"\n{_bdat(TEXT[at : at + 50])}\nS: 250 2.0.0 *" for at in range(0, len(TEXT), 50))
    + "\nC: BDAT 0 LAST\nS: 250 2.0.0 OK: *",
    "DATA": "C: DATA\nS: 354 *"
    + "".join(f"\nC! {TEXT[at : at + 199]!r}" for at in range(0, len(TEXT), 199))
    + "\nC! b'.\\r\\n'\nS: 250 2.0.0 OK: *",
}


@pytest.mark.parametrize("name", DIALOGS)
async def test_it_comes_back_as_it_came(anna: User, name: str) -> None:
    async with listening(RELAY) as port:
        await play(port, f"{READY}\n{DIALOGS[name]}\nC: QUIT\nS: 221 *\nS: <closed>")
    assert await asyncio.to_thread(contents, anna) == [TEXT]


async def test_a_bare_line_end_in_a_large_message_is_found(anna: User) -> None:
    async with listening(RELAY) as port:
        await play(port, f"{READY}\n{_bdat(TEXT)}\nS: 250 *\n{_bdat(b'a' + bytes([10]), True)}\nS: 554 5.6.0 *")
    assert await asyncio.to_thread(contents, anna) == []


@pytest.mark.parametrize("name", ["large chunks", "many small chunks", "DATA"])
async def test_a_full_disk_is_a_temporary_error_and_the_session_goes_on(
    anna: User, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Spool):
        def write(self, pieces: object) -> None:
            raise StoreFull("no room")

    talk = {
        "DATA": f"C: DATA\nS: 354 *\nC! {END!r}\nS: 452 4.3.1 *",
        "large chunks": f"{_bdat(TEXT[:HALF])}\nS: 452 4.3.1 *\n{_bdat(TEXT[HALF:], True)}\nS: 503 5.5.1 MAIL first",
        "many small chunks": "".join(f"\n{_bdat(TEXT[at : at + 50])}\nS: 250 2.0.0 *" for at in range(0, 300, 50))
        + f"\n{_bdat(TEXT[300:350])}\nS: 452 4.3.1 *\nC: BDAT 0 LAST\nS: 503 5.5.1 *",
    }[name]
    monkeypatch.setattr(arriving, "Spool", Full)
    async with listening(RELAY) as port:
        await play(port, f"{READY}\n{talk}\nC: NOOP\nS: 250 2.0.0 OK\nC: QUIT\nS: 221 *\nS: <closed>")
    assert await asyncio.to_thread(contents, anna) == []
