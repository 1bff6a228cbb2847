"""The POP3 services: 110 with STLS, 995 with TLS from the start (RFC 8314)."""

from __future__ import annotations

from accounts.auth.live import live_sessions
from mailservers.pop3.commands import run
from mailservers.pop3.replies import err
from mailservers.pop3.session import Session
from mailservers.serving.connection import Connection
from mailservers.serving.listener import Context, Service


class Pop3Connection(Connection):
    """Moves octets between the transport and a session."""

    __slots__ = ("session",)

    def __init__(self, context: Context, *, implicit_tls: bool = False) -> None:
        super().__init__(context, implicit_tls=implicit_tls)
        self.session = Session(self, run)

    @property
    def is_writable(self) -> bool:
        return self._writable

    def opened(self) -> None:
        self.session.greet()

    def received(self, data: bytes) -> None:
        self.session.receive(data)

    def half_closed(self) -> None:
        self.session.finish()

    def closed(self) -> None:
        live_sessions.leave(self.session)
        self.session.lost()

    def timed_out(self) -> None:
        self.session.time_out()

    def say_goodbye(self) -> None:
        self.session.goodbye()

    def refuse(self) -> bytes:
        return err("Too many connections; try again later", "SYS/TEMP")


SERVICES = (Service("pop3", Pop3Connection), Service("pop3s", Pop3Connection, implicit_tls=True))
