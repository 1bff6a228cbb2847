"""Large messages over IMAP: they are the same as small ones, and never whole in memory."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import pytest
from django.test import override_settings

from mailservers.imap import appending, large_messages
from mailservers.models import MessageData
from mailservers.store import arriving
from mailservers.store.errors import StoreFull
from mailservers.store.spool import Spool, Spooled
from mailservers.store.stored import open_stored

HEADER = b"From: a@b.test\r\nSubject: large\r\n\r\n"
LARGE = HEADER + b"".join(b"%05d a line\r\n" % n for n in range(100))
SMALL = b"Subject: small\r\n\r\nx\r\n"


@pytest.fixture(autouse=True)
def spooled() -> Iterator[None]:
    with override_settings(STREAM_OVER=500):
        yield


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """How what is appended came to be prepared."""
    kinds: list[type] = []
    original = appending.prepare_async

    async def note(raw):
        kinds.append(type(raw))
        return await original(raw)

    monkeypatch.setattr(appending, "prepare_async", note)
    return kinds


async def octets(client, uid: int) -> bytes:
    lines = b"\r\n".join(await client.ok(f"UID FETCH {uid} BODY.PEEK[]"))
    size = int(lines.split(b"{")[1].split(b"}")[0])
    return lines.split(b"}\r\n", 1)[1][:size]


async def test_append_comes_back_as_it_came(connect, anna, prepared) -> None:
    client = await connect(anna)
    await client.ok("SELECT INBOX")
    assert await octets(client, await client.append("INBOX", LARGE)) == LARGE
    assert prepared == [Spooled]
    client.send(b"a APPEND INBOX {%d}\r\n" % len(LARGE))
    await client.until(rb"\+ ")
    for at in range(0, len(LARGE), 97):
        client.send(LARGE[at : at + 97])
    client.send(b"\r\nb NOOP\r\n")
    assert b"APPENDUID" in await client.until(b"a OK")
    await client.until(b"b OK")
    assert await octets(client, 2) == LARGE


async def test_several_in_one_command(connect, anna, prepared) -> None:
    client = await connect(anna)
    await client.ok("SELECT INBOX")
    sent = [SMALL, LARGE, LARGE.replace(b"large", b"other"), SMALL.replace(b"x", b"y")]
    literals = b"".join(b" {%d+}\r\n%b" % (len(message), message) for message in sent)
    assert b"APPENDUID" in (await client.ok(b"APPEND INBOX" + literals))[-1]
    assert [await octets(client, uid) for uid in (1, 2, 3, 4)] == sent
    assert prepared == [bytes, Spooled, Spooled, bytes]


async def test_catenate_and_replace(connect, anna) -> None:
    client = await connect(anna)
    await client.ok("SELECT INBOX")
    await client.append("INBOX", LARGE)
    text = b'CATENATE (TEXT {%d+}\r\n%b URL "/INBOX/;UID=1/;SECTION=TEXT" TEXT {4+}\r\nend.)' % (len(LARGE), LARGE)
    await client.ok(b"APPEND INBOX " + text)
    assert await octets(client, 2) == LARGE + LARGE[len(HEADER) :] + b"end."
    await client.ok(b"UID REPLACE 1 INBOX {%d+}\r\n%b" % (len(LARGE), LARGE))
    assert await octets(client, 3) == LARGE
    lines = await client.command(b"APPEND INBOX CATENATE (URL {%d+}\r\n%b)" % (len(LARGE), LARGE))
    assert lines[-1] == b"BAD Literal too large"


async def test_nul_is_encoded(connect, anna) -> None:
    client = await connect(anna)
    await client.ok("SELECT INBOX")
    await client.ok(b"APPEND INBOX ~{%d+}\r\n%b\0" % (len(LARGE) + 1, LARGE))
    found = await octets(client, 1)
    assert found.startswith(b"Content-Transfer-Encoding: base64\r\n" + HEADER) and b"\0" not in found
    lines = await client.command(b"APPEND INBOX ~{%d+}\r\nX: \0\r\n%b" % (len(LARGE) + 6, LARGE))
    assert lines[-1].startswith(b"NO [UNKNOWN-CTE]")


@pytest.mark.parametrize("synchronising", [True, False])
async def test_a_full_disk_refuses_the_command_only(connect, anna, synchronising, monkeypatch) -> None:
    class Full(Spool):
        def write(self, pieces: object) -> None:
            raise StoreFull("no room")

    monkeypatch.setattr(arriving, "Spool", Full)
    client = await connect(anna)
    client.send(b"a APPEND INBOX {%d%b}\r\n" % (len(LARGE), b"" if synchronising else b"+"))
    if synchronising:
        await client.until(rb"\+ ")
    client.send(LARGE + b"\r\nb NOOP\r\n")
    await client.until(rb"a NO \[UNAVAILABLE\]")
    await client.until(b"b OK")
    assert not await asyncio.to_thread(MessageData.objects.exists)
    monkeypatch.undo()
    await client.append("INBOX", LARGE)


@pytest.mark.parametrize("form", ["{1001}", "~{1001}", "{1001+}", "(\\Seen) {1001}"])
async def test_an_oversized_literal_is_refused_before_it_is_read(connect, anna, form, settings) -> None:
    """RFC 7889 section 4, RFC 7888 section 4: a synchronising literal is not asked for, another is thrown away."""
    settings.MESSAGE_SIZE_LIMIT = 1000
    client = await connect(anna)
    client.send(f"a APPEND INBOX {form}\r\n")
    if "+" in form:
        client.send(b"b NOOP\r\n" + b"x" * 993 + b"\r\n")
    assert await client.until(b"") == b"a NO [TOOBIG] Message too large\r\n"
    client.send("c NOOP\r\n")
    assert await client.until(b"") == b"c OK NOOP completed\r\n"


TEXT = b"".join(b"%05d a line of text\r\n" % n for n in range(60))
DATA = bytes(range(256)) * 8
MIXED = (
    b"From: a@b.test\r\nSubject: mixed\r\nX-Other: y\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\n%b\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: x-odd\r\n\r\n???\r\n--b--\r\n"
) % (TEXT, base64.encodebytes(DATA).replace(b"\n", b"\r\n"))
ITEMS = (
    "BODY[]", "BODY[]<0.100>", "BODY[]<100.1000>", "BODY[]<90.20>", "BODY[]<100000.5>", "BODY[TEXT]", "BODY[HEADER]",
    "BODY[HEADER.FIELDS (SUBJECT)]", "BODY[HEADER.FIELDS.NOT (SUBJECT)]<3.40>", "BODY[1]", "BODY[1]<7.9>", "BODY[2]",
    "BODY[1.MIME]", "BODY[3.HEADER]", "BODY[3.TEXT]", "BODY[3.1]", "BODY[9]", "BODY[1.TEXT]", "BODY", "BODYSTRUCTURE",
    "BINARY[2]", "BINARY[2]<100.300>", "BINARY[1]", "BINARY.SIZE[2]", "BINARY.SIZE[9]", "BINARY[9]", "BINARY[4]",
    "BINARY[]", "BINARY.SIZE[4]", "RFC822.TEXT", "RFC822", "UID BODY[2] FLAGS BODY[1] ENVELOPE BINARY.SIZE[1]",
)  # fmt: skip


async def test_every_item_of_a_large_message_is_what_it_is_of_a_small_one(connect, anna, settings) -> None:
    client = await connect(anna)
    await client.ok("SELECT INBOX")
    await client.append("INBOX", MIXED)
    await client.ok("STORE 1 +FLAGS (\\Seen)")

    async def answers() -> list[bytes]:
        return [b"\n".join(await client.command(f"FETCH 1 ({items})")) for items in ITEMS]

    large = await answers()
    settings.STREAM_OVER = 1 << 20
    assert large == await answers()


async def test_pieces_go_on_where_the_last_one_ended(connect, anna, monkeypatch) -> None:
    client = await connect(anna)
    await client.ok("SELECT INBOX")
    await client.append("INBOX", MIXED)
    opened: list[int] = []
    monkeypatch.setattr(large_messages, "open_stored", lambda pk: opened.append(pk) or open_stored(pk))
    whole = b""
    for at in range(0, len(MIXED) + 100, 100):
        answer = b"\r\n".join(await client.ok(f"FETCH 1 BODY.PEEK[]<{at}.100>"))
        announced, _, octets = answer.partition(b"}\r\n")
        whole += octets[: int(announced.rpartition(b"{")[2])]
    assert whole == MIXED and len(opened) == 1
