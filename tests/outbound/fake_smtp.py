"""A mail host that does what its script says: the far side of the tests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

DROP = "drop"  # hang up
HANG = "hang"  # say nothing more

Answer = str | bytes  # a reply without its CRLF (bytes are sent as they are), DROP or HANG


@dataclass
class Script:
    """Replies; those by address come before the plain ones."""

    greeting: Answer = "220 mx.remote.test ESMTP"
    extensions: tuple[str, ...] = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
    ehlo: Answer | None = None
    helo: Answer = "250 mx.remote.test"
    mail: Answer = "250 2.1.0 ok"
    rcpt: Answer = "250 2.1.5 ok"
    recipients: dict[str, Answer] = field(default_factory=dict)
    data: Answer = "354 go on"
    mid_data: Answer | None = None  # said after the first octets of content
    end: Answer = "250 2.0.0 queued as 42"
    starttls: Answer = "220 ready"
    tls: ssl.SSLContext | None = None
    tls_garbage: bool = False  # 220 to STARTTLS, then no TLS
    implicit_tls: ssl.SSLContext | None = None  # from the first octet
    accounts: dict[str, str] = field(default_factory=dict)  # login -> password, for AUTH
    is_impostor: bool = False  # lets anybody in by SCRAM, and proves nothing
    ends: tuple[Answer, ...] = ()  # LMTP: one for each recipient taken
    drip_s: float = 0.0  # pause between the octets of the greeting


@dataclass
class Transaction:
    mail: str
    recipients: list[str]
    content: bytes  # as on the wire, without the final dot, dots undone
    raw: bytes  # dots as sent
    tls: bool


class FakeHost:
    """`async with FakeHost(Script()) as host:` listens on host.port of 127.0.0.1."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.transactions: list[Transaction] = []
        self.commands: list[str] = []
        self.connections = 0
        self.concurrent = 0
        self.most_concurrent = 0
        self.before_end: Callable[[], Awaitable[None]] | None = None
        self.arrived = asyncio.Event()

    async def __aenter__(self) -> FakeHost:
        self.peers: list[str] = []
        self.logins: list[tuple[str, str]] = []  # mechanism, login
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=2**24, ssl=self.script.implicit_tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.peers.append(writer.get_extra_info("peername")[0])
        self.concurrent += 1
        self.most_concurrent = max(self.most_concurrent, self.concurrent)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self.concurrent -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    async def _say(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        if answer == DROP:
            raise ConnectionError
        if answer == HANG:
            await asyncio.sleep(3600)
        writer.write(answer if isinstance(answer, bytes) else answer.encode() + b"\r\n")
        await writer.drain()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: C901 (one row a verb)
        script = self.script
        if script.drip_s:
            for octet in b"220 " + b"x" * 1000:
                writer.write(bytes([octet]))
                await asyncio.sleep(script.drip_s)
        await self._say(writer, script.greeting)
        mail, recipients, tls, chunks = "", [], False, b""
        while line := await reader.readline():
            command = line.decode().rstrip("\r\n")
            self.commands.append(command)
            verb = command.split(" ")[0].split(":")[0].upper()
            if verb in ("EHLO", "LHLO"):
                offered = [e for e in script.extensions if not (tls and e == "STARTTLS")]
                rows = ["mx.remote.test", *offered]
                text = "\r\n".join(f"250{'-' if i < len(rows) - 1 else ' '}{row}" for i, row in enumerate(rows))
                await self._say(writer, text if script.ehlo is None else script.ehlo)
            elif verb == "HELO":
                await self._say(writer, script.helo)
            elif verb == "STARTTLS":
                await self._say(writer, script.starttls)
                if script.tls_garbage:
                    writer.write(b"this is no handshake\r\n")
                elif script.tls:
                    await writer.start_tls(script.tls)
                    tls = True
            elif verb == "AUTH":
                await self._say(writer, await self._authenticate(command, reader, writer))
            elif verb == "MAIL":
                mail, recipients = command, []
                await self._say(writer, script.mail)
            elif verb == "RCPT":
                address = command[command.index("<") + 1 : command.index(">")]
                answer = script.recipients.get(address, script.rcpt)
                if isinstance(answer, str) and answer.startswith("2"):
                    recipients.append(address)
                await self._say(writer, answer)
            elif verb == "DATA":
                await self._say(writer, script.data)
                if script.data.startswith("354" if isinstance(script.data, str) else b"354"):
                    raw = await self._content(reader, writer)
                    content = b"\r\n".join(row[1:] if row.startswith(b".") else row for row in raw.split(b"\r\n"))
                    self.transactions.append(Transaction(mail, recipients, content, raw, tls))
                    if self.before_end is not None:
                        await self.before_end()
                    self.arrived.set()
                    for end in script.ends or (script.end,):
                        await self._say(writer, end)
            elif verb == "BDAT":
                words = command.split()
                chunks += await reader.readexactly(int(words[1]))
                if words[-1] == "LAST":
                    self.transactions.append(Transaction(mail, recipients, chunks, chunks, tls))
                    self.arrived.set()
                await self._say(writer, script.end if words[-1] == "LAST" else "250 2.0.0 more")
            elif verb == "QUIT":
                await self._say(writer, "221 bye")
                return
            else:
                await self._say(writer, "500 what?")

    async def _authenticate(self, command: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        async def ask(challenge: bytes) -> bytes:
            await self._say(writer, f"334 {base64.b64encode(challenge).decode()}")
            return base64.b64decode(await reader.readline())

        _, mechanism, *initial = command.split()
        first = base64.b64decode(initial[0]) if initial else b""
        if mechanism == "PLAIN":
            _, login, password = first.decode().split("\0")
            is_right = self.script.accounts.get(login) == password
        elif mechanism == "LOGIN":
            login, password = (await ask(b"Username:")).decode(), (await ask(b"Password:")).decode()
            is_right = self.script.accounts.get(login) == password
        else:
            login, is_right = await self._scram(mechanism, first.decode(), ask)
        self.logins.append((mechanism, login))
        return "235 2.7.0 welcome" if is_right else "535 5.7.8 no"

    async def _scram(self, mechanism: str, first: str, ask: Callable[[bytes], Awaitable[bytes]]) -> tuple[str, bool]:
        """RFC 5802 section 3, written from the text and not from our own server."""
        name = mechanism.removeprefix("SCRAM-").replace("SHA-", "sha").lower()
        bare = first.removeprefix("n,,")
        login, nonce = (field.partition("=")[2] for field in bare.split(","))
        password = self.script.accounts.get(login, "?")
        salted = hashlib.pbkdf2_hmac(name, password.encode(), b"some salt", 4096)
        challenge = f"r={nonce}more,s={base64.b64encode(b'some salt').decode()},i=4096"
        final = (await ask(challenge.encode())).decode()
        without_proof, _, proof = final.rpartition(",p=")
        message = f"{bare},{challenge},{without_proof}".encode()
        client_key = hmac.digest(salted, b"Client Key", name)
        signature = hmac.digest(hashlib.new(name, client_key).digest(), message, name)
        expected = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        is_right = base64.b64decode(proof) == expected and without_proof == f"c=biws,r={nonce}more"
        if is_right and not self.script.is_impostor:
            server_key = hmac.digest(salted, b"Server Key", name)
            await ask(b"v=" + base64.b64encode(hmac.digest(server_key, message, name)))
        return login, is_right

    async def _content(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        if self.script.mid_data is not None:
            await reader.read(1000)
            await self._say(writer, self.script.mid_data)
            raise ConnectionError
        rows: list[bytes] = []
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionError
            rows.append(line)
        return b"".join(rows)
