"""The IMAP services: 143 with STARTTLS, 993 with TLS from the start (RFC 8314)."""

from mailservers.imap.dialogue import Dialogue
from mailservers.serving.compression import CompressibleConnection
from mailservers.serving.listener import Context, Service


class ImapConnection(CompressibleConnection):
    """Moves octets between the transport and a dialogue."""

    __slots__ = ("dialogue",)

    def __init__(self, context: Context, *, implicit_tls: bool = False) -> None:
        super().__init__(context, implicit_tls=implicit_tls)
        self.dialogue = Dialogue(self)

    def opened(self) -> None:
        self.dialogue.start()

    def received(self, data: bytes) -> None:
        self.dialogue.feed(data)

    def half_closed(self) -> None:
        self.dialogue.finish()

    def closed(self) -> None:
        self.dialogue.lost()

    def timed_out(self) -> None:
        self.dialogue.cut("Autologout; idle for too long")

    def say_goodbye(self) -> None:
        self.dialogue.goodbye("Server is shutting down")

    def refuse(self) -> bytes:
        return b"* BYE [UNAVAILABLE] Too many connections\r\n"


SERVICES = (Service("imap", ImapConnection), Service("imaps", ImapConnection, True))
