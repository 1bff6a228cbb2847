"""An IMAP client's connection: whole response lines, literals included, however they come."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

LITERAL = re.compile(rb"~?\{(\d+)\}\r\n\Z")
WAIT_S = 120.0  # for any response; a starved machine is slow


class Lost(Exception):
    """The server closed the connection; the text is its BYE, or what came last."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came with a command. `status` is OK, NO or BAD; `code` what stood in brackets, `text` all after the tag."""

    untagged: list[bytes]
    text: bytes

    @property
    def status(self) -> bytes:
        return self.text.split(b" ", 1)[0]

    @property
    def code(self) -> bytes:
        match = re.match(rb"\w+ \[([^]]*)\]", self.text)
        return match[1] if match else b""


class Wire(asyncio.Protocol):
    """`lines` and `line` give responses; `send` sends. One task uses it at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._closed = False
        self._tags = 0
        self._transport: asyncio.Transport
        self.tail: list[bytes] = []  # the last lines of both sides, for the report of a violation

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext | None = None) -> Wire:
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(cls, "127.0.0.1", port, ssl=context)
        await wire.line()
        return wire

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._arrived.set()

    # the client's side

    def send(self, data: bytes) -> None:
        self._note(b"C: " + data)
        self._transport.write(data)

    def abort(self) -> None:
        self._transport.abort()

    def early(self) -> Iterator[bytes]:
        """The lines that are there without waiting."""
        while (line := self._take()) is not None:
            yield line

    async def line(self) -> bytes:
        """The next line without its CRLF. Raises `Lost`; TimeoutError where none comes in WAIT_S."""
        while (line := self._take()) is None:
            if self._closed:
                said = [line for line in self.tail if line.startswith(b"S: ")]
                raise Lost((said or [b""])[-1].decode("ascii", "replace"))
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), WAIT_S)
        return line

    async def command(self, text: bytes) -> Answer:
        """Send a command under a tag of its own; all that comes up to its tagged response."""
        self._tags += 1
        tag = b"t%d " % self._tags
        self.send(tag + text + b"\r\n")
        untagged: list[bytes] = []
        while not (line := await self.line()).startswith(tag):
            untagged.append(line)
        return Answer(untagged, line[len(tag) :])

    def _take(self) -> bytes | None:
        end = 0
        while True:
            end = self._buffer.find(b"\r\n", end)
            if end < 0:
                return None
            end += 2
            literal = LITERAL.search(self._buffer, max(0, end - 24), end)
            if literal is None:
                break
            end += int(literal[1])
        line = bytes(self._buffer[: end - 2])
        del self._buffer[:end]
        self._note(b"S: " + line)
        return line

    def _note(self, line: bytes) -> None:
        self.tail.append(line[:300])
        del self.tail[:-60]
