"""One client connection of a mail protocol: bytes, TLS, deadlines, back-pressure. No protocol knowledge.

A protocol server subclasses `Connection` and implements the hooks `opened`, `received`, `closed`, `timed_out`,
`said_goodbye`; it answers with `write` and, when it has much to say, waits with `await drain()`.

Invariants: nothing received before STARTTLS reaches `received` after it; a peer that does not read stops our
writing at WRITE_BUFFER_LIMIT (`drain` waits) and is cut off at its deadline; a deadline costs no timer (the
listener's sweep looks at all connections).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from typing import TYPE_CHECKING, cast

from django.conf import settings

if TYPE_CHECKING:
    from mailservers.serving.listener import Context

log = logging.getLogger(__name__)

LINGER_S = 2.0
LOCAL = "local"  # the peer's address on a Unix socket
_securing: set[asyncio.Task[None]] = set()  # handshakes of implicit TLS


class Connection(asyncio.Protocol):
    """Subclasses set `timeout_s` and implement the hooks. `context` is the server's, shared by its connections."""

    __slots__ = (
        "_drained",
        "_early",
        "_reading_paused",
        "_upgrading",
        "_writable",
        "closing",
        "context",
        "deadline",
        "is_tls",
        "local_port",
        "peer_address",
        "transport",
    )

    def __init__(self, context: Context, *, implicit_tls: bool = False) -> None:
        self.context = context
        self.is_tls = implicit_tls
        self.transport: asyncio.Transport | None = None
        self.peer_address = ""
        self.local_port = 0
        self.deadline = 0.0
        self.closing = False
        self._writable = True
        self._drained: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._upgrading = False
        self._early = b""  # octets for TLS that came before it could read

    # ------------------------------------------------------------ hooks

    def opened(self) -> None:
        """The connection is there (and TLS, where it is implicit): greet."""

    def tls_failed(self, error: OSError) -> None:
        """The handshake of implicit TLS came to nothing; `closed` follows."""

    def received(self, data: bytes) -> None:
        """Octets came in."""

    def half_closed(self) -> None:
        """The client will send no more. Default: end. Override to finish work in hand first."""
        self.close()

    def closed(self) -> None:
        """The connection is gone; nothing can be written any more."""

    def timed_out(self) -> None:
        """The deadline has passed: say so and close."""
        self.close()

    def say_goodbye(self) -> None:
        """The server is ending: say so and close, at once or after the command in hand."""
        self.close()

    def refuse(self) -> bytes:
        """The one line for a client that finds the server full."""
        return b""

    # ------------------------------------------------------------ for subclasses

    @property
    def is_loopback(self) -> bool:
        if self.peer_address == LOCAL:
            return True
        try:
            return ipaddress.ip_address(self.peer_address).is_loopback
        except ValueError:
            return False

    @property
    def is_trusted(self) -> bool:
        """This machine's own programs are not held to the limits by address."""
        return self.is_loopback and not settings.LIMIT_LOOPBACK

    @property
    def may_send_password(self) -> bool:
        """No plaintext password without TLS, except on this machine."""
        return self.is_tls or self.is_loopback

    def expect_within(self, seconds: float) -> None:
        """Set the deadline; `timed_out` is called within about a second after it."""
        self.deadline = self.context.clock() + seconds

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.transport is not None and not self.transport.is_closing() and not self._upgrading:
            self.transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has read enough. Raises ConnectionResetError when it has gone."""
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError
        if not self._writable:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def close(self) -> None:
        """Send what is written, then close."""
        self.closing = True
        if self.transport is not None:
            self.transport.close()

    def hang_up(self) -> None:
        """Close on a client that is still talking: what it sends is thrown away for a moment, because closing
        at once would reset the connection and may take our last words with it."""
        transport = self.transport
        if transport is None or transport.is_closing() or not transport.can_write_eof() or self.is_tls:
            self.close()
            return
        self.closing = True
        self.resume_reading()
        transport.write_eof()
        self.expect_within(LINGER_S)  # a connection that is closing is aborted at its deadline

    def abort(self) -> None:
        self.closing = True
        if self.transport is not None:
            self.transport.abort()

    def pause_reading(self) -> None:
        if not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused and self.transport is not None and not self.transport.is_closing():
            self._reading_paused = False
            self.transport.resume_reading()

    async def start_tls(self) -> None:
        """Negotiate TLS after the go-ahead was written. Drop buffered input before calling.

        Raises OSError (ssl.SSLError is one) when it fails; the connection is then closed."""
        assert self.transport is not None
        self._upgrading = True
        loop = asyncio.get_running_loop()
        self.expect_within(60)
        if self._early:
            loop.call_soon(_hand_over, self.transport, self._early)  # when TLS has taken our place
            self._early = b""
        try:
            transport = await loop.start_tls(
                self.transport, self, self.context.tls, server_side=True, ssl_handshake_timeout=30
            )
        except BaseException:
            self.abort()
            raise
        finally:
            self._upgrading = False
        if transport is None:
            raise ConnectionResetError
        self.transport = transport
        self.transport.set_write_buffer_limits(high=settings.WRITE_BUFFER_LIMIT)
        self.is_tls = True
        self._reading_paused = False

    async def _secure(self) -> None:
        """Implicit TLS: nothing is said before it."""
        try:
            await self.start_tls()
        except OSError as error:
            log.info("TLS with %s failed: %s", self.peer_address, error)
            if isinstance(error, ssl.SSLError | ConnectionAbortedError):  # not those who only knock
                self.tls_failed(error)
            return
        self.opened()

    def channel_binding(self, kind: str) -> bytes | None:
        """The TLS connection's data of this channel binding type (RFC 5929); None where there is none.

        `tls-unique` ends with TLS 1.2, and `tls-exporter` (RFC 9266) is out of reach of Python's ssl module."""
        tls: ssl.SSLObject | None = self.transport.get_extra_info("ssl_object") if self.transport else None
        if tls is None:
            return None
        if kind == "tls-server-end-point":
            return getattr(tls.context, "end_point", b"") or None
        return tls.get_channel_binding(kind) if kind == "tls-unique" and tls.version() == "TLSv1.2" else None

    def tls_description(self) -> str:
        """For example "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" without TLS."""
        tls: ssl.SSLObject | None = self.transport.get_extra_info("ssl_object") if self.transport else None
        cipher = tls.cipher() if tls is not None else None
        return f"{tls.version()} {cipher[0]}" if tls is not None and cipher else ""

    # ------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is none by class, only by behaviour
        self.transport = transport
        peer = transport.get_extra_info("peername")
        if not self.peer_address:  # a proxy has said who it is
            self.peer_address = peer[0].removeprefix("::ffff:") if isinstance(peer, tuple) else LOCAL
        local = transport.get_extra_info("sockname")
        self.local_port = local[1] if isinstance(local, tuple) else 0
        transport.set_write_buffer_limits(high=settings.WRITE_BUFFER_LIMIT)
        if not self.context.admit(self):
            if not self.is_tls:
                transport.write(self.refuse())
            self.close()
            return
        if self.is_tls:
            self._upgrading = True
            task = asyncio.get_running_loop().create_task(self._secure())
            _securing.add(task)
            task.add_done_callback(_securing.discard)
        else:
            self.opened()

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        if self._upgrading and self.transport is not None:
            # Reading begins right after connection_made, whatever it says: the handshake's first octets may come here.
            self.transport.pause_reading()
            self._early += data
        else:
            self.received(data)

    def eof_received(self) -> bool:
        """True keeps our side open: `half_closed` decides. TLS cannot be half open."""
        if self.closing:
            return False
        self.half_closed()
        return not self.is_tls

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.closing = True
        self.context.dismiss(self)
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError())
            self._drained.exception()  # retrieved: nobody may be waiting
        self._drained = None
        self.closed()


def _hand_over(transport: asyncio.Transport, early: bytes) -> None:
    """Octets that came before TLS could read them, for it to read first."""
    tls = cast(asyncio.BufferedProtocol, transport.get_protocol())
    while early:
        buffer = memoryview(tls.get_buffer(len(early)))
        size = min(len(buffer), len(early))
        buffer[:size] = early[:size]
        tls.buffer_updated(size)
        early = early[size:]
