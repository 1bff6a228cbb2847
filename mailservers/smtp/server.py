"""SMTP sockets: a `Session` on each connection."""

from __future__ import annotations

from typing import Any

from accounts.auth.live import live_sessions
from mailservers.serving.connection import Connection
from mailservers.serving.listener import Service
from mailservers.smtp import replies
from mailservers.smtp.session import Session
from mailservers.smtp.wire import Role


class SmtpConnection(Connection):
    """Moves bytes between a socket and a `Session`."""

    __slots__ = ("session",)
    role = Role.RELAY

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = Session(self, self.role)

    def opened(self) -> None:
        self.session.greet()

    def tls_failed(self, error: OSError) -> None:
        self.session.trace.note(f"TLS failed: {error}")

    def received(self, data: bytes) -> None:
        self.session.receive(data)

    def half_closed(self) -> None:
        self.session.end_of_input()

    def closed(self) -> None:
        self.session.closed()
        live_sessions.leave(self.session)

    def timed_out(self) -> None:
        self.session.goodbye(replies.TIMED_OUT)

    def say_goodbye(self) -> None:
        self.session.goodbye(replies.SHUTTING_DOWN)

    def refuse(self) -> bytes:
        return replies.encode(replies.TOO_BUSY)


class SubmissionConnection(SmtpConnection):
    """Port 587 and, with implicit TLS, 465."""

    __slots__ = ()
    role = Role.SUBMISSION


class LmtpConnection(SmtpConnection):
    """RFC 2033; off unless POSTROOM_LMTP_PORT or POSTROOM_LMTP_SOCKET is set."""

    __slots__ = ()
    role = Role.LMTP


SERVICES = (
    Service("smtp", SmtpConnection),
    Service("submission", SubmissionConnection),
    Service("submissions", SubmissionConnection, implicit_tls=True),
    Service("lmtp", LmtpConnection, unix_setting="LMTP_SOCKET"),
)
