"""The client's end of an SMTP connection: octets out with back-pressure, replies in within a time.

`ConnectionLost` is raised by whatever was under way when the connection ended, when the server sent something that is
no reply, and when it took too long; the connection is then of no further use. Memory is bounded: by the reply
reader's limits, and by MAX_WAITING replies nobody asked for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from mailservers.formats.smtp_reply import Reply, ReplyReader
from mailservers.outbound.tls_need import NotTrusted, TlsNeed

MAX_WAITING = 1100  # replies read but not yet taken: the largest pipelined group has fewer


class ConnectionLost(Exception):
    """The text says how, and is fit for strangers."""


class SmtpChannel(asyncio.Protocol):
    """Use `open_channel`. One task at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._lost: str | None = None  # why the connection is over
        self._waiter: asyncio.Future[None] | None = None  # for a reply, or for room to write
        self._is_paused = False

    # ------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so

    def data_received(self, data: bytes) -> None:
        if self._lost is not None:
            return
        self._replies.extend(self._reader.feed(data))
        error = self._reader.error or ("the server sent replies to nothing" if len(self._replies) > MAX_WAITING else "")
        if error:
            self._end(error)
            self.abort()
        self._wake()

    def eof_received(self) -> bool:
        self._end("the server closed the connection")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._end(f"the connection broke: {error}" if error else "the server closed the connection")

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._wake()

    def _end(self, text: str) -> None:
        if self._lost is None:
            self._lost = text
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # ------------------------------------------------------------ for the session

    @property
    def is_open(self) -> bool:
        return self._lost is None and self._transport is not None and not self._transport.is_closing()

    @property
    def has_reply(self) -> bool:
        """A reply has come that nobody has taken: a refusal in mid-data, or a goodbye."""
        return bool(self._replies)

    async def reply(self, timeout_s: float) -> Reply:
        """The next reply, all of it within `timeout_s` seconds. Raises `ConnectionLost`."""
        if self._replies:
            return self._replies.popleft()
        try:
            async with asyncio.timeout(timeout_s):
                while not self._replies:
                    if self._lost is not None:
                        raise ConnectionLost(self._lost)
                    await self._wait()
        except TimeoutError:
            self.abort()
            raise ConnectionLost(f"the server did not reply within {timeout_s:.0f} seconds") from None
        return self._replies.popleft()

    async def write(self, data: bytes, timeout_s: float) -> None:
        """Send, and wait until there is room for more. Raises `ConnectionLost`."""
        if self._lost is not None or self._transport is None:
            raise ConnectionLost(self._lost or "the connection is closed")
        self._transport.write(data)
        if not self._is_paused and self._lost is None:
            return
        try:
            async with asyncio.timeout(timeout_s):
                while self._is_paused and self._lost is None:
                    await self._wait()
        except TimeoutError:
            self.abort()
            raise ConnectionLost(f"the server did not read for {timeout_s:.0f} seconds") from None
        if self._lost is not None:
            raise ConnectionLost(self._lost)

    async def start_tls(self, need: TlsNeed, server_name: str, timeout_s: float) -> None:
        """Go on in TLS. What was sent in the clear after the reply to STARTTLS is refused, not believed
        (the response injection of CVE-2021-38371 and its kin). Raises `ConnectionLost`."""
        if self._replies or not self._reader.is_between_replies or self._transport is None:
            self.abort()
            raise ConnectionLost("the server sent text between STARTTLS and the handshake")
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                self._transport, self, need.context(), server_hostname=server_name, ssl_handshake_timeout=timeout_s
            )
        except (OSError, ValueError, RuntimeError) as error:
            self.abort()
            raise ConnectionLost(f"TLS could not be started: {error}") from error
        if transport is None:
            raise ConnectionLost("TLS could not be started: the server closed the connection")
        self._transport = transport
        try:
            need.check(transport.get_extra_info("ssl_object"))
        except NotTrusted as error:
            self.abort()
            raise ConnectionLost(str(error)) from error

    @property
    def tls_version(self) -> str:
        """e.g. "TLSv1.3"; "" in the clear."""
        connection = self._transport.get_extra_info("ssl_object") if self._transport else None
        return (connection.version() or "") if connection is not None else ""

    def close(self) -> None:
        """Close after what is written has gone out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


async def open_channel(address: str, port: int, timeout_s: float, source: str | None = None) -> SmtpChannel:
    """Connect to an IP address, from one of ours if need be. Raises `ConnectionLost`."""
    loop = asyncio.get_running_loop()
    local = (source, 0) if source else None
    try:
        async with asyncio.timeout(timeout_s):
            _, channel = await loop.create_connection(SmtpChannel, address, port, local_addr=local)
    except TimeoutError:
        raise ConnectionLost(f"no connection within {timeout_s:.0f} seconds") from None
    except OSError as error:
        raise ConnectionLost(f"no connection: {error.strerror or error}") from error
    return channel
