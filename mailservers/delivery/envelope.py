"""What is known of a message besides its octets, and the trace fields it is given (RFC 5321 4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from mailservers.delivery.routing import LocalTarget, Resolution


@dataclass(frozen=True, slots=True)
class Recipient:
    """A forward-path as given, and where it leads."""

    address: str
    resolution: Resolution


@dataclass(slots=True)
class Envelope:
    """One mail transaction."""

    trace_id: str
    reverse_path: str  # "" is <>
    peer_address: str
    helo: str = ""
    with_protocol: str = "ESMTP"  # RFC 3848 and 6531: ESMTPS, ESMTPSA, UTF8SMTP…
    tls: str = ""
    sender_id: int | None = None  # who has signed in
    sender_login: str = ""
    smtputf8: bool = False
    recipients: list[Recipient] = field(default_factory=list)

    def local_targets(self) -> Iterator[tuple[str, LocalTarget]]:
        """(address as given, target), each target once."""
        seen: set[int] = set()
        for recipient in self.recipients:
            for target in recipient.resolution.local:
                if target.inbox_id not in seen:
                    seen.add(target.inbox_id)
                    yield recipient.address, target

    def remote_addresses(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(a for r in self.recipients for a in r.resolution.remote))

    def trace_fields(self, hostname: str, now: datetime) -> bytes:
        """Return-Path and Received, to stand before the message.

        Return-Path is for final delivery; `outbound` leaves it out of what it sends on."""
        by = f"by {hostname} with {self.with_protocol} id {self.trace_id}"
        only = f"\r\n\tfor <{self.recipients[0].address}>" if len(self.recipients) == 1 else ""
        tls = f"\r\n\t(using {self.tls})" if self.tls else ""
        address = f"[IPv6:{self.peer_address}]" if ":" in self.peer_address else f"[{self.peer_address}]"
        return (
            f"Return-Path: <{self.reverse_path}>\r\n"
            f"Received: from {self.helo or 'unknown'} ({address}){tls}\r\n\t{by}{only};\r\n"
            f"\t{format_datetime(now)}\r\n"
        ).encode("utf-8", "replace")
