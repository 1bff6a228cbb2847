"""POP3 sessions without sockets, and dialogs of C: and S: lines against them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from django.utils import timezone

from accounts.models import User
from mailservers.models import Flag, MailboxMessage
from mailservers.pop3 import access, sizes
from mailservers.pop3 import session as session_module
from mailservers.pop3.commands import run
from mailservers.pop3.session import Session
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Append, append
from tests.conftest import PASSWORD, mailbox_id

WAIT_S = 60  # the machine may be busy
MULTI_LINE = re.compile(rb"(LIST|UIDL|CAPA)$|(RETR|TOP) ", re.IGNORECASE)


class Client:
    """The other end of a session; also the session's wire."""

    def __init__(self, *, tls: bool = True, loopback: bool = False) -> None:
        self.is_tls = tls
        self.loopback = loopback
        self.peer_address = "127.0.0.1" if loopback else "192.0.2.7"
        self.output = bytearray()
        self.closed = False
        self.reading = True
        self.is_writable = True
        self.deadlines: list[float] = []
        self.tls_started = 0
        self.answering = asyncio.Event()  # something was written since `stop_reading`
        self._readable_again = asyncio.Event()
        self.session = Session(self, run)
        self.session.greet()

    # what a session needs of its connection

    def channel_binding(self, kind: str) -> bytes | None:
        return b"hash of the certificate" if self.is_tls and kind == "tls-server-end-point" else None

    @property
    def may_send_password(self) -> bool:
        return self.is_tls or self.loopback

    def write(self, data: bytes | memoryview) -> None:
        if not self.closed:
            self.output += data
            self.answering.set()

    async def drain(self) -> None:
        if not self.is_writable:
            await self._readable_again.wait()
        if self.closed:
            raise ConnectionResetError

    async def start_tls(self) -> None:
        self.is_tls = True
        self.tls_started += 1

    def close(self) -> None:
        self.closed = True
        self._readable_again.set()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def expect_within(self, seconds: float) -> None:
        self.deadlines.append(seconds)

    # the client's side

    def send(self, data: bytes | str) -> None:
        self.session.receive(data.encode() if isinstance(data, str) else data)

    def stop_reading(self) -> None:
        self.is_writable = False
        self.answering.clear()
        self._readable_again.clear()

    def read_again(self) -> None:
        self.is_writable = True
        self._readable_again.set()

    def vanish(self) -> None:
        """The connection breaks."""
        self.close()
        self.session.lost()

    async def rest(self) -> bytes:
        """All output when the session has nothing left to do."""

        async def settle() -> None:
            while (task := self.session._task) is not None or session_module._last_acts:
                await asyncio.wait({task} if task is not None else set(session_module._last_acts))

        await asyncio.wait_for(settle(), WAIT_S)
        taken = bytes(self.output)
        self.output.clear()
        return taken

    async def command(self, text: bytes | str) -> bytes:
        """Send a command; all that comes."""
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return await self.rest()

    async def ok(self, text: bytes | str) -> bytes:
        reply = await self.command(text)
        assert reply.startswith(b"+OK"), reply
        return reply

    async def err(self, text: bytes | str) -> bytes:
        reply = await self.command(text)
        assert reply.startswith(b"-ERR"), reply
        return reply

    async def lines(self, text: bytes | str) -> list[bytes]:
        """A multi-line response's lines, byte-stuffing undone."""
        reply = await self.ok(text)
        assert reply.endswith(b"\r\n.\r\n")
        lines = reply.split(b"\r\n")[1:-2]
        assert all(not line.startswith(b".") or line.startswith(b"..") for line in lines)
        return [line[1:] if line.startswith(b"..") else line for line in lines]

    async def dialog(self, script: str) -> None:
        """Lines ``C: ...`` are sent, ``S: ...`` must come, in this order; ``...`` in them is any text."""
        got: list[str] = []
        for line in script.strip().splitlines():
            side, _, text = line.strip().partition(" ")
            if side == "C:":
                assert not got, f"unexpected {got!r} before {line!r}"
                got = (await self.command(text)).decode().split("\r\n")
                assert got.pop() == ""
            elif side == "S:":
                assert got, f"expected {text!r}, got nothing"
                regex = ".*".join(re.escape(piece) for piece in text.split("..."))
                assert re.fullmatch(regex, got[0]), f"expected {text!r}, got {got[0]!r}"
                got.pop(0)
            else:
                raise ValueError(line)
        assert not got


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "FAILED_LOGIN_DELAY_S", 0)
    sizes._known.clear()  # each test's database counts message ids anew


def _append(user: User, inbox_id: int, raw: bytes, flags: int = 0) -> Append:
    return Append(user.pk, inbox_id, [(prepare(raw), flags, (), timezone.now())])


async def put(user: User, raw: bytes, flags: int = 0) -> None:
    """A message for the INBOX."""
    inbox_id = await store.read(mailbox_id, user)
    await store.call(append, _append(user, inbox_id, raw, flags))


def inbox_flags(user: User) -> dict[int, int]:
    """UIDs and flags of what is in the INBOX."""
    places = MailboxMessage.objects.filter(mailbox_id=mailbox_id(user)).order_by("uid")
    return dict(places.values_list("uid", "flags"))


async def left_in(user: User) -> dict[int, int]:
    return await store.read(inbox_flags, user)


@pytest.fixture
def inbox(anna: User) -> User:
    """Anna with three messages of 60, 52 and 53 octets."""
    for raw in (
        b"From: ben@harbour.test\r\nSubject: one\r\n\r\nFirst line\r\nSecond\r\n",
        b"Subject: two\r\n\r\n.dot\r\n..\r\n.\r\nabout dots, the end\r\n\r\n",
        b"Subject: three\r\n\r\n1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n8\r\n9\r\n10\r\n11\r\n",
    ):
        store.call_sync(append, _append(anna, mailbox_id(anna), raw))
    return anna


@pytest_asyncio.fixture
async def connect(mail: None) -> AsyncIterator[Callable[..., Client]]:
    """await connect() -> a client that has read the greeting; await connect(user) -> signed in."""
    clients: list[Client] = []

    async def make(user: User | None = None, **options: bool) -> Client:
        client = Client(**options)
        clients.append(client)
        assert await client.rest() == b"+OK Postroom POP3 server ready\r\n"
        if user is not None:
            await client.ok(f"USER {user.login}")
            await client.ok(f"PASS {PASSWORD}")
        return client

    yield make
    for client in clients:
        client.vanish()
        await client.rest()


@pytest_asyncio.fixture
async def client(connect: Callable[..., Client], inbox: User) -> Client:
    """Anna with three messages, signed in."""
    return await connect(inbox)


SEEN = Flag.SEEN.value
