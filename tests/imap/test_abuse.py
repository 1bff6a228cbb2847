"""Hostile and broken clients: limits, half-closed connections, nonsense in every state."""

import asyncio
import logging
import random
import re

import pytest

from accounts.auth.door import Identity
from mailservers.imap.server import ImapConnection
from mailservers.serving.listener import Service
from mailservers.store.changes import hub
from tests.dialog import listening

pytestmark = pytest.mark.asyncio

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"

WORDS = (
    b'NOOP|CHECK|CAPABILITY|SELECT INBOX|EXAMINE INBOX|SELECT|CLOSE|UNSELECT|EXPUNGE|FETCH|UID|UID FETCH|STORE|SEARCH|'
    b'UID SEARCH|COPY|MOVE|UID MOVE|LIST|LSUB|STATUS|APPEND|CREATE|DELETE|RENAME|SUBSCRIBE|ENABLE|ID|IDLE|NAMESPACE|'
    b'1|1:*|*|0|$|2,1|INBOX|Work|x/y|"|""|"a b"|\\|(|)|()|[|]|{3}|{3+}|{0+}|~{2+}|{99999999999999999999}|FLAGS|BODY[]|'
    b'BODY.PEEK[1.2.TEXT]<0.9>|BODY[HEADER.FIELDS (To)]|BINARY[1]|BINARY.SIZE[1]|ENVELOPE|ALL|(UID FLAGS)|+FLAGS|'
    b'-FLAGS.SILENT|(\\Seen \\Deleted)|$Word|(CONDSTORE)|(CHANGEDSINCE 1)|(UNCHANGEDSINCE 0)|RETURN|(SAVE)|(MIN MAX)|'
    b'OR|NOT|SUBJECT|TEXT|x|HEADER|MODSEQ 1|CHARSET UTF-8|SINCE 1-Jan-2020|"%"|%|(MESSAGES SIZE)|IMAP4rev2|CONDSTORE|'
    b'NIL|("a" "b")|DONE|+|\0|\xff|\xc3\xa9|{5+}\r\nINBOX|" 1-Jan-2020 00:00:00 +0000"|RENAME INBOX Old|DELETE Work'
).split(b"|")  # fmt: skip


def nonsense(choose: random.Random, commands: int) -> bytes:
    lines = []
    for number in range(commands):
        words = choose.choices(WORDS, k=choose.randint(1, 6))
        if choose.random() < 0.7:
            words.insert(0, choose.choice(WORDS[:30]))
        lines.append(b"n%d " % number + b" ".join(words) + choose.choice((b"\r\n", b"\r\n", b"\n")))
    return b"".join(lines)


async def play(client, script: bytes, step: int) -> bytes:
    for start in range(0, len(script), step):
        client.send(script[start : start + step])
        if client.dialogue._task is not None:
            await client.dialogue._task
    output = await client.rest()
    output = re.sub(rb'INTERNALDATE "[^"]*"', b"INTERNALDATE", output)
    return re.sub(rb"(UIDVALIDITY|APPENDUID|COPYUID|MAILBOXID) [(F]*\d+", rb"\1 0", output)


@pytest.mark.parametrize("seed", range(4))
async def test_nonsense_gets_answers_and_chunks_do_not_matter(connect, anna, ben, caplog, seed):
    script = nonsense(random.Random(seed), 60) + b"\r\nDONE\r\nlast NOOP\r\n"
    outputs = []
    for user, step in ((anna, 1 << 20), (ben, 1)):
        client = await connect(user)
        for _ in range(2):
            await client.append("INBOX", MESSAGE, '"01-Jan-2020 00:00:00 +0000"')
        await client.ok("CREATE Work")
        with caplog.at_level(logging.ERROR):
            outputs.append(await play(client, script, step))
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert client.closed or b"last " in outputs[-1]
    assert outputs[0] == outputs[1]
    assert b"SERVERBUG" not in outputs[0]


async def test_nonsense_before_login(connect, anna, caplog):
    for seed in range(3):
        client = await connect()
        output = await play(client, nonsense(random.Random(seed), 80), 7)
        assert client.closed and output.rstrip().splitlines()[-1].startswith(b"* BYE ")


async def test_long_lines(connect, anna):
    client = await connect()
    client.send(b"a LOGIN " + b"x" * 9000 + b"\r\n")
    assert await client.rest() == b"a BAD Command line too long\r\n"
    client.send(b"x" * (1 << 20) + b"\r\nb NOOP\r\n")
    assert await client.rest() == b"* BAD Command line too long\r\nb OK NOOP completed\r\n"
    client.send(b"c LOGIN {9000}\r\n")
    assert await client.rest() == b"c BAD [TOOBIG] Literal too large\r\n"
    client.send(b"x" * (5 << 20))
    assert b"* BYE [TOOBIG]" in await client.rest()
    assert client.closed


async def test_long_lines_after_login(client):
    client.send(b"a NOOP " + b"x" * (1 << 20) + b"\r\nb NOOP\r\n")
    assert await client.rest() == b"a BAD Command line too long\r\nb OK NOOP completed\r\n"
    client.send(b"c SEARCH TEXT {70000+}\r\n" + b"x" * 70000 + b"\r\nd NOOP\r\n")
    assert await client.rest() == b"c BAD [TOOBIG] Literal too large\r\nd OK NOOP completed\r\n"
    client.send(b"e APPEND INBOX {99999999999+}\r\n")
    assert b"* BYE [TOOBIG]" in await client.rest()


async def test_an_unfinished_append_leaves_nothing(connect, anna):
    client = await connect(anna)
    client.send(b"a APPEND INBOX {1000+}\r\nhalf a mess")
    client.closed = True
    client.dialogue.lost()
    other = await connect(anna)
    assert (await other.ok("STATUS INBOX (MESSAGES)"))[0] == b"* STATUS INBOX (MESSAGES 0)"


async def test_half_closed_connection_gets_its_answers(client):
    client.send(b"a SELECT INBOX\r\nb NOOP\r\nc FETCH 1")
    client.dialogue.finish()
    output = await client.rest()
    assert b"b OK NOOP completed\r\n" in output and client.closed


async def test_goodbye(connect, anna):
    idle, busy, quiet = await connect(anna), await connect(anna), await connect(anna)
    await idle.ok("SELECT INBOX")
    idle.send(b"i IDLE\r\n")
    await idle.until(rb"\+ idling")
    busy.send(b"a APPEND INBOX {5+}\r\nhello\r\nb NOOP\r\n")
    for client in (idle, busy, quiet):
        client.dialogue.goodbye("Server is shutting down")
    assert (await quiet.rest()) == b"* BYE Server is shutting down\r\n"
    assert (await idle.rest()).endswith(b"* BYE Server is shutting down\r\n")
    output = await busy.rest()
    assert output.startswith(b"a OK [APPENDUID ") and output.endswith(b"* BYE Server is shutting down\r\n")
    assert b"b OK" not in output
    assert idle.closed and busy.closed and quiet.closed


async def test_a_flood_of_pipelined_commands_stops_the_reading(client):
    client.send(b"a NOOP\r\n")
    client.send(b'b ID ("name" "%b")\r\n' % (b"x" * 1000) * 200)
    assert not client.reading
    output = await client.rest()
    assert client.reading and output.count(b"OK ID completed") == 200


async def test_login_lets_no_octets_of_a_password_into_the_log(connect, anna, caplog):
    client = await connect()
    with caplog.at_level(logging.DEBUG):
        await client.command('LOGIN anna@harbour.test "s3cret-pass"')
        await client.command("AUTHENTICATE PLAIN AGFubmEAczNjcmV0LXBhc3M=")
    assert "s3cret-pass" not in caplog.text


@pytest.mark.slow
async def test_a_client_that_does_not_read_is_cut_off(mail, hub_attached, anna, settings):
    """What it has asked for is not kept in memory, and the connection not for the half hour of an idle client."""
    settings.WRITE_BUFFER_LIMIT = 64 * 1024
    settings.IMAP_WRITE_TIMEOUT_S = 1
    gone = asyncio.Event()

    class Watched(ImapConnection):
        def __init__(self, context, *, implicit_tls: bool) -> None:
            super().__init__(context, implicit_tls=implicit_tls)
            self.dialogue.session.enter(Identity(anna.pk, anna.login, anna.name, False))

        def closed(self) -> None:
            super().closed()
            gone.set()

    async with listening(Service("imap", Watched)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        big = b"Subject: x\r\n\r\n" + b"x" * 76 * 1000 * 100
        writer.write(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(big), big))
        while not (await reader.readline()).startswith(b"a OK"):
            pass
        writer.write(b"b SELECT INBOX\r\n" + b"c FETCH 1 BODY.PEEK[]\r\n" * 10)
        await asyncio.wait_for(gone.wait(), 30)
        assert not hub._mailboxes
        writer.close()
