"""IMAP sessions without sockets, and dialogs of C: and S: lines against them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest_asyncio

from accounts.auth.door import Identity
from mailservers.imap.dialogue import Dialogue
from mailservers.store.changes import hub

WAIT_S = 30


class Client:
    """A client at the other end of a dialogue; also the dialogue's sink."""

    def __init__(self, tls: bool = True, loopback: bool = False) -> None:
        self.is_tls = tls
        self.loopback = loopback
        self.peer_address = "127.0.0.1"
        self.output = bytearray()
        self.closed = False
        self.reading = True
        self.tls_started = False
        self.arrived = asyncio.Event()
        self.tags = 0
        self.dialogue = Dialogue(self)
        self.dialogue.start()

    # what a session needs of its connection

    @property
    def may_send_password(self) -> bool:
        return self.is_tls or self.loopback

    def channel_binding(self, kind: str) -> bytes | None:
        return b"hash of the certificate" if self.is_tls and kind == "tls-server-end-point" else None

    def write(self, data: bytes) -> None:
        self.output += data
        self.arrived.set()

    async def drain(self) -> None:
        if self.closed:
            raise ConnectionResetError
        await asyncio.sleep(0)

    async def start_tls(self) -> None:
        self.is_tls = self.tls_started = True

    def close(self) -> None:
        self.closed = True
        self.arrived.set()

    # Compression is the connection's: see test_compress.
    is_compressed = False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def expect_within(self, seconds: float) -> None:
        assert seconds > 0

    # the client's side

    def send(self, data: bytes | str) -> None:
        self.dialogue.feed(data.encode() if isinstance(data, str) else data)

    async def until(self, pattern: bytes) -> bytes:
        """Output up to and with the first match at the start of a line; it is taken away."""
        regex = re.compile(rb"^" + pattern + rb"[^\r\n]*\r\n", re.MULTILINE)

        async def wait() -> bytes:
            while not (match := regex.search(self.output)):
                assert not self.closed, f"closed; got {bytes(self.output)!r}"
                self.arrived.clear()
                await self.arrived.wait()
            taken = bytes(self.output[: match.end()])
            del self.output[: match.end()]
            return taken

        try:
            return await asyncio.wait_for(wait(), WAIT_S)
        except TimeoutError:
            raise AssertionError(f"{pattern!r} did not come; got {bytes(self.output)!r}") from None

    async def rest(self) -> bytes:
        """All output when the dialogue has nothing left to do."""
        task = self.dialogue._task
        if task is not None:
            await asyncio.wait_for(asyncio.shield(task), WAIT_S)
        taken = bytes(self.output)
        self.output.clear()
        return taken

    async def command(self, text: bytes | str) -> list[bytes]:
        """Send a command under a tag of its own; the response lines, the tagged one last without its tag."""
        self.tags += 1
        tag = b"t%d" % self.tags
        self.send(tag + b" " + (text.encode() if isinstance(text, str) else text) + b"\r\n")
        lines = (await self.until(tag + b" ")).split(b"\r\n")[:-1]
        return [*lines[:-1], lines[-1].removeprefix(tag + b" ")]

    async def ok(self, text: bytes | str) -> list[bytes]:
        lines = await self.command(text)
        assert lines[-1].startswith(b"OK"), lines
        return lines

    async def append(self, mailbox: str, message: bytes, options: str = "") -> int:
        """APPEND; the new UID."""
        head = f"APPEND {mailbox} {options}{' ' if options else ''}".encode()
        lines = await self.ok(head + b"{%d+}\r\n" % len(message) + message)
        return int(re.search(rb"APPENDUID \d+ (\d+)", lines[-1])[1])

    async def dialog(self, script: str) -> None:
        """Lines ``C: ...`` are sent, ``S: ...`` must come, in this order; ``...`` in them is any text."""
        for line in script.strip().splitlines():
            side, _, text = line.strip().partition(" ")
            if side == "C:":
                self.send(text + "\r\n")
            elif side == "S:":
                line_got = (await self.until(b"")).decode()
                regex = ".*".join(re.escape(piece) for piece in text.split("..."))
                assert re.fullmatch(regex, line_got.rstrip("\r\n")), f"expected {text!r}, got {line_got!r}"
            else:
                raise ValueError(line)
        assert await self.rest() == b""


@pytest_asyncio.fixture
async def hub_attached() -> AsyncIterator[None]:
    hub.attach()
    yield
    await hub.detach()


@pytest_asyncio.fixture
async def connect(mail: None, hub_attached: None) -> AsyncIterator[Callable[..., Client]]:
    """connect() -> a client that has read the greeting; connect(user) -> signed in."""
    clients: list[Client] = []

    async def make(user=None, **options) -> Client:
        client = Client(**options)
        clients.append(client)
        await client.until(rb"\* OK \[CAPABILITY ")
        if user is not None:
            # What LOGIN does, without the cost of a password check.
            client.dialogue.session.enter(Identity(user.pk, user.login, user.name, False))
        return client

    yield make
    for client in clients:
        client.closed = True
        client.dialogue.lost()
        await client.rest()


@pytest_asyncio.fixture
async def client(connect, anna) -> Client:
    """Anna, signed in."""
    return await connect(anna)
