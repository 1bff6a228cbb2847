"""COMPRESS=DEFLATE (RFC 4978) over real sockets: with and without TLS, with IDLE, with pipelining, against bombs."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.auth.door import Identity
from mailservers.imap.server import ImapConnection
from mailservers.serving.compression import PIECE_OCTETS, Inflater
from mailservers.serving.listener import Service
from tests.conftest import PASSWORD
from tests.dialog import WAIT_S, client_context, listening

pytestmark = pytest.mark.asyncio

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


class Peer:
    """A client that compresses, once told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.packer = self.unpacker = None
        self.text = b""
        self.packed_octets = 0
        self.tags = 0

    def send(self, data: bytes) -> None:
        if self.packer is not None:
            data = self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        self.writer.write(data)

    async def until(self, pattern: bytes) -> bytes:
        regex = re.compile(rb"^" + pattern + rb"[^\r\n]*\r\n", re.MULTILINE)
        while not (match := regex.search(self.text)):
            data = await asyncio.wait_for(self.reader.read(65536), WAIT_S)
            assert data, f"closed; got {self.text[-300:]!r}"
            self.packed_octets += len(data)
            self.text += self.unpacker.decompress(data) if self.unpacker is not None else data
        taken, self.text = self.text[: match.end()], self.text[match.end() :]
        return taken

    async def ok(self, text: bytes) -> bytes:
        self.tags += 1
        tag = b"t%d" % self.tags
        self.send(tag + b" " + text + b"\r\n")
        answer = await self.until(tag + b" ")
        assert b"\r\n" + tag + b" OK" in b"\r\n" + answer, answer
        return answer

    async def compress(self) -> None:
        assert await self.ok(b"COMPRESS DEFLATE") == b"t%d OK DEFLATE active\r\n" % self.tags
        self.packer = zlib.compressobj(wbits=-15)
        self.unpacker = zlib.decompressobj(-15)


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
async def peer(request, mail, hub_attached, anna) -> AsyncIterator[Peer]:
    """Anna, signed in."""

    def connection(context, *, implicit_tls: bool) -> ImapConnection:
        made = ImapConnection(context, implicit_tls=implicit_tls)
        made.dialogue.session.enter(Identity(anna.pk, anna.login, anna.name, False))
        return made

    async with listening(Service("imap", connection, request.param)) as port:
        streams = await asyncio.open_connection("127.0.0.1", port, ssl=client_context() if request.param else None)
        made = Peer(*streams)
        await made.until(rb"\* OK ")
        yield made
        made.writer.close()


async def test_a_session(peer):
    assert b" COMPRESS=DEFLATE" in await peer.ok(b"CAPABILITY")
    peer.send(b"a COMPRESS LZ4\r\nb COMPRESS\r\n")
    assert await peer.until(b"b BAD") == b"a BAD Unknown compression algorithm\r\nb BAD Expected a space\r\n"
    await peer.compress()
    peer.send(b"c COMPRESS DEFLATE\r\n")
    assert await peer.until(b"c ") == b"c BAD [COMPRESSIONACTIVE] DEFLATE is already active\r\n"
    await peer.ok(b"APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
    await peer.ok(b"SELECT INBOX")
    assert b"BODY[] {%d}\r\n%b)" % (len(MESSAGE), MESSAGE) in await peer.ok(b"FETCH 1 BODY[]")
    # Pipelined, and cut into single octets.
    packed = peer.packer.compress(b"x NOOP\r\ny SEARCH ALL\r\n") + peer.packer.flush(zlib.Z_SYNC_FLUSH)
    for octet in packed:
        peer.writer.write(bytes([octet]))
        await peer.writer.drain()
    assert await peer.until(b"y ") == b"x OK NOOP completed\r\n* SEARCH 1\r\ny OK SEARCH completed\r\n"
    peer.send(b"z LOGOUT\r\n")
    assert await peer.until(b"z ") == b"* BYE Logging out\r\nz OK Logout completed\r\n"


async def test_idle(peer, anna):
    await peer.ok(b"SELECT INBOX")
    await peer.compress()
    peer.send(b"i IDLE\r\n")
    await peer.until(rb"\+ idling")
    from mailservers.store.content import prepare
    from mailservers.store.engine import store
    from mailservers.store.placing import Append, append
    from tests.conftest import mailbox_id

    box = await asyncio.to_thread(mailbox_id, anna)
    await store.call(append, Append(anna.pk, box, [(prepare(MESSAGE), 0, (), None)]))
    assert await peer.until(rb"\* 1 RECENT") == b"* 1 EXISTS\r\n* 1 RECENT\r\n"
    peer.send(b"DONE\r\n")
    assert await peer.until(b"i ") == b"i OK IDLE completed\r\n"


async def test_large_answers_are_whole_and_small(peer):
    large = b"Subject: large\r\n\r\n" + b"All work and no play\r\n" * 50_000
    noise = b"Subject: noise\r\n\r\n" + base64.encodebytes(os.urandom(300_000))
    await peer.compress()
    for message in (large, noise, MESSAGE):
        await peer.ok(b"APPEND INBOX {%d+}\r\n%b" % (len(message), message))
    await peer.ok(b"SELECT INBOX")
    before = peer.packed_octets
    answer = await peer.ok(b"FETCH 1:3 BODY.PEEK[]")
    assert large in answer and noise in answer and MESSAGE in answer
    assert peer.packed_octets - before < len(noise) + len(large) // 10


async def test_a_bomb_is_taken_in_pieces(peer):
    """32 MiB of zeros in 32 KiB: a line far too long. It is passed over, a piece at a time, and the session goes on."""
    await peer.compress()
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(b"a " + bytes(32 << 20) + b"\r\nb NOOP\r\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 128 << 10
    for start in range(0, len(bomb), 4096):
        peer.writer.write(bomb[start : start + 4096])
    assert await peer.until(b"b ") == b"a BAD Command line too long\r\nb OK NOOP completed\r\n"


async def test_a_flood_of_commands_waits_its_turn(peer):
    await peer.compress()
    peer.send(b"n NOOP\r\n" * 40_000 + b"z NOOP\r\n")
    answer = await peer.until(b"z ")
    assert answer.count(b"n OK NOOP completed\r\n") == 40_000


async def test_what_is_not_deflate_ends_the_connection(peer):
    await peer.compress()
    peer.writer.write(b"\xff\xff\xff\xff NOOP\r\n")
    try:
        assert await asyncio.wait_for(peer.reader.read(), WAIT_S) == b""
    except ConnectionError:
        pass


@pytest.mark.parametrize("finish", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])
async def test_unauthenticate_ends_compression(peer, ben, finish):
    await peer.compress()
    peer.writer.write(peer.packer.compress(b"u UNAUTHENTICATE\r\n") + peer.packer.flush(finish))
    if finish == zlib.Z_FINISH:
        peer.writer.write(b"n NOOP\r\n")  # pipelined behind the end of the stream
    data = b""
    while not peer.unpacker.eof:
        data += peer.unpacker.decompress(await asyncio.wait_for(peer.reader.read(65536), WAIT_S))
    assert data == b"u OK UNAUTHENTICATE completed\r\n"
    peer.text, peer.packer, peer.unpacker = peer.unpacker.unused_data, None, None
    if finish == zlib.Z_FINISH:
        assert await peer.until(b"n ") == b"n OK NOOP completed\r\n"
    plain = base64.b64encode(f"\0{ben.login}\0{PASSWORD}".encode())
    await peer.ok(b"AUTHENTICATE PLAIN " + plain)
    await peer.compress()
    assert b"NOOP completed" in await peer.ok(b"NOOP")


@given(st.lists(st.binary(max_size=300) | st.just(bytes(3 * PIECE_OCTETS)), max_size=6), st.integers(1, 50))
async def test_pieces_are_what_went_in(texts, step):
    packer = zlib.compressobj(wbits=-15)
    packed = b"".join(packer.compress(t) + packer.flush(zlib.Z_SYNC_FLUSH) for t in texts) + packer.flush() + b"rest"
    inflater, got = Inflater(), b""
    for start in range(0, len(packed), step):
        inflater.feed(packed[start : start + step])
        while inflater.has_more:
            piece = inflater.read()
            assert len(piece) <= PIECE_OCTETS
            got += piece
    assert got == b"".join(texts) and inflater.unread == b"rest"
