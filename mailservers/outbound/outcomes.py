"""What an attempt came to, for one recipient."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mailservers.formats.smtp_reply import Reply


class Result(StrEnum):
    DELIVERED = "delivered"
    DEFERRED = "deferred"  # to be tried again until the message expires
    FAILED = "failed"  # for good


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reply` is the remote server's, word for word; `explanation` our own sentence when it said nothing."""

    result: Result
    status: str  # RFC 3463
    reply: str = ""
    explanation: str = ""
    host: str = ""  # name of the server
    address: str = ""  # its IP address
    tls: str = ""  # version of the protocol, "" in the clear
    has_dsn: bool = False  # the server has taken over what the sender asked to be told (RFC 3461)
    tells_passage: bool = False  # the sender is to learn of this host (RFC 2852: traced, or it does not know DELIVERBY)
    is_here: bool = False  # put into a mailbox of ours
    try_soon: bool = False  # the server took part of the recipients and asks for the rest apart (452)

    @property
    def words(self) -> str:
        return self.reply or self.explanation

    @property
    def peer(self) -> str:
        return f"{self.host} [{self.address}]" if self.address else self.host


class Unreachable(Exception):
    """A destination, or one host of it, that could not be spoken to; nothing was decided about any recipient."""

    def __init__(
        self, text: str, *, temporary: bool, status: str = "", reply: str = "", host: str = "", address: str = ""
    ) -> None:
        super().__init__(text)
        self.text = text
        self.temporary = temporary
        self.status = status or ("4.4.1" if temporary else "5.4.1")
        self.reply = reply
        self.host = host
        self.address = address

    def outcome(self) -> Outcome:
        result = Result.DEFERRED if self.temporary else Result.FAILED
        return Outcome(result, self.status, self.reply, self.text, self.host, self.address)


def refusal(reply: Reply, *, host: str, address: str, tls: str, doing: str) -> Outcome:
    """The outcome of a 4xx or 5xx reply; any other code here is a mistake of the server's and temporary."""
    result = Result.FAILED if reply.is_permanent else Result.DEFERRED
    status = reply.enhanced_status or ("5.0.0" if reply.is_permanent else "4.0.0")
    explanation = f"{host} refused {doing}" if reply.is_permanent else f"{host} put off {doing}"
    return Outcome(result, status, reply.text, explanation, host, address, tls)
