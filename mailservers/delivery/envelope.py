"""What is known of a message besides its octets, and the trace fields it is given (RFC 5321 4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from mailservers.checks.opinion import Opinion
from mailservers.delivery.routing import LocalTarget, Resolution
from mailservers.formats.authentication_results import format_results
from mailservers.formats.esmtp import NO_OPTIONS, NOTHING_ASKED, DsnRequest, MailOptions, orcpt_for


@dataclass(frozen=True, slots=True)
class Recipient:
    """A forward-path as given, and where it leads."""

    address: str
    resolution: Resolution
    request: DsnRequest = NOTHING_ASKED

    @property
    def is_group(self) -> bool:
        return len(self.resolution.local) + len(self.resolution.remote) > 1

    def request_for(self, target: str) -> DsnRequest:
        """What is asked of the next host for one address this one leads to (RFC 3461 5.2.7)."""
        request = self.request
        if target != self.address and request != NOTHING_ASKED and not request.orcpt:
            request = DsnRequest(request.notify, orcpt_for(self.address))
        return request.without_success() if self.is_group else request


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
    declared_octets: int = 0  # SIZE= (RFC 1870); 0: not said
    recipients: list[Recipient] = field(default_factory=list)
    options: MailOptions = NO_OPTIONS
    held_because: str = ""  # why an administrator has to look at it first
    connection_id: str = ""  # trace id of the connection it came by
    opinion: Opinion | None = None  # None: not checked
    junk_ids: dict[int, int] = field(default_factory=dict)  # Junk mailboxes of readers for whom it is junk
    kept_back: frozenset[str] = frozenset()  # remote addresses it is not sent on to: it is junk, and in a Junk here
    junk_held: frozenset[str] = frozenset()  # remote addresses for whom an administrator decides: it is junk
    put_off: frozenset[int] = frozenset()  # users whose mailboxes are full: it waits in the queue for them
    onward_path: str | None = None  # the reverse-path of what is sent on, where it is another (`forwarding`)

    @property
    def is_held(self) -> bool:
        """Nothing is delivered yet, here or elsewhere: every recipient goes into the queue as it was given."""
        return bool(self.held_because) or self.options.not_before is not None

    @property
    def takes_reports(self) -> bool:
        return any(recipient.resolution.takes_reports for recipient in self.recipients)

    def local_targets(self) -> Iterator[tuple[str, LocalTarget]]:
        """(address as given, target), each target once; those that are put off apart."""
        seen: set[int] = set(self.put_off)
        for recipient in self.recipients:
            for target in recipient.resolution.local:
                if target.user_id not in seen:
                    seen.add(target.user_id)
                    yield recipient.address, target

    def remote_addresses(self) -> tuple[str, ...]:
        addresses = dict.fromkeys(a for r in self.recipients for a in r.resolution.remote)
        return tuple(address for address in addresses if address not in self.kept_back)

    def waiting_logins(self) -> tuple[str, ...]:
        """The users for whom it is put off."""
        logins = {t.user_id: t.login for r in self.recipients for t in r.resolution.local}
        return tuple(login for user_id, login in logins.items() if user_id in self.put_off)

    def some_recipients(self) -> str:
        """For events."""
        return ", ".join(recipient.address for recipient in self.recipients[:8])

    def requests(self) -> dict[str, DsnRequest]:
        """For the queue: what was asked (RFC 3461) about the addresses that wait there, where anything was."""
        asked = [r for r in self.recipients if r.request != NOTHING_ASKED]
        return {address: r.request_for(address) for r in reversed(asked) for address in self._waiting(r)}

    def _waiting(self, recipient: Recipient) -> Iterator[str]:
        yield from recipient.resolution.remote
        yield from (target.login for target in recipient.resolution.local if target.user_id in self.put_off)

    def trace_fields(self, hostname: str, now: datetime) -> bytes:
        """Return-Path, Authentication-Results where there are any, and Received, to stand before the message.

        Return-Path is for final delivery; `outbound` leaves it out of what it sends on."""
        by = f"by {hostname} with {self.with_protocol} id {self.trace_id}"
        only = f"\r\n\tfor <{self.recipients[0].address}>" if len(self.recipients) == 1 else ""
        tls = f"\r\n\t(using {self.tls})" if self.tls else ""
        address = f"[IPv6:{self.peer_address}]" if ":" in self.peer_address else f"[{self.peer_address}]"
        received = (
            f"Received: from {self.helo or 'unknown'} ({address}){tls}\r\n\t{by}{only};\r\n\t{format_datetime(now)}\r\n"
        )
        results = format_results(hostname, self.opinion.results) if self.opinion is not None else b""
        return (
            f"Return-Path: <{self.reverse_path}>\r\n".encode("utf-8", "replace")
            + results
            + received.encode("utf-8", "replace")
        )
