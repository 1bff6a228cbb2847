"""Large messages are sent in windows, and are what small ones are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailservers.formats.pop3 import WireLines, cut_body, first_lines, to_wire, wire_size
from mailservers.pop3 import reading, sizes
from mailservers.store import stored
from tests.pop3.conftest import Client, put

Connect = Callable[..., Client]
BODY = b"".join(b".%05d line\r\n" % n if n % 7 else b"bare\n" for n in range(300))
MESSAGES = (
    b"Subject: one\r\n\r\n" + BODY,
    "Subject: zwölf\r\nFrom: Jörg <j@b.test>\r\n\r\n".encode() + BODY + b"no line end",
    b".dot\n" + BODY,
)
COMMANDS = ["STAT", "LIST 1", "LIST 2", "LIST 3"]
COMMANDS += [f"{command} {n}{lines}" for n in (1, 2, 3) for command, lines in (("RETR", ""), ("TOP", " 0"))]
COMMANDS += [f"TOP {n} {lines}" for n in (1, 2, 3) for lines in (1, 250, 5000)]
_octets = st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"a", b"\r\n."])).map(b"".join)


@pytest.mark.parametrize("is_utf8", [False, True])
async def test_the_same_as_read_whole(connect: Connect, anna: User, is_utf8: bool, settings, monkeypatch) -> None:
    for raw in MESSAGES:
        await put(anna, raw)
    opened: list[int] = []
    for module in (reading, sizes):
        monkeypatch.setattr(module, "open_stored", lambda pk: opened.append(pk) or stored.open_stored(pk))

    async def answers() -> list[bytes]:
        sizes._known.clear()
        client = await connect()
        if is_utf8:
            await client.ok("UTF8")
        await client.ok("USER anna@harbour.test")
        await client.ok("PASS correct horse 9")
        found = [await client.command(command) for command in COMMANDS]
        await client.ok("QUIT")
        return found

    whole = await answers()
    assert not opened
    settings.STREAM_OVER = 1000
    assert await answers() == whole
    assert len(opened) >= 15


async def test_what_cannot_be_read_ends_the_connection(connect: Connect, anna: User, settings, monkeypatch) -> None:
    settings.STREAM_OVER = 1000
    await put(anna, MESSAGES[0])
    client = await connect(anna)

    def broken(self: object, start: int, end: int) -> bytes:
        if start:
            raise OSError("bad disk")
        return b"Subject: one\r\n\r\n"

    monkeypatch.setattr(stored.StoredMessage, "read", broken)
    client.send("RETR 1\r\n")
    assert (await client.rest()).endswith(b" octets\r\nSubject: one\r\n\r\n") and client.closed


@given(_octets, st.lists(st.integers(0, 30), max_size=5))
def test_lines_in_pieces(raw: bytes, cuts: list[int]) -> None:
    marks = sorted(min(c, len(raw)) for c in cuts)
    pieces = [raw[a:b] for a, b in zip([0, *marks], [*marks, len(raw)], strict=True)]
    wire = WireLines()
    assert b"".join([*map(wire.feed, pieces)]) + wire.end() == to_wire(raw)
    for lines in range(5):
        assert b"".join(first_lines(pieces, lines)) == cut_body(raw, 0, lines)
    unstuffed = to_wire(raw).replace(b"\n..", b"\n.").removeprefix(b"." if raw.startswith(b".") else b"")
    assert wire_size(raw) == len(unstuffed)
