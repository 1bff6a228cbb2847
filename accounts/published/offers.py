"""The servers that a mail client is told of: implicit TLS first, then STARTTLS (RFC 8314 section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Offer:
    """`kind`: "imap", "pop3" or "smtp"; `is_implicit`: TLS from the first octet, else STARTTLS."""

    kind: str
    host: str
    port: int
    is_implicit: bool


_SERVICES = (
    ("imap", "imaps", True),
    ("imap", "imap", False),
    ("pop3", "pop3s", True),
    ("pop3", "pop3", False),
    ("smtp", "submissions", True),
    ("smtp", "submission", False),
)


def offers() -> Iterator[Offer]:
    """In the order in which a client should try them."""
    for kind, service, is_implicit in _SERVICES:
        yield Offer(kind, settings.HOSTNAME, settings.PUBLIC_PORTS[service], is_implicit)


def best(kind: str) -> Offer:
    """The one with implicit TLS."""
    return next(offer for offer in offers() if offer.kind == kind)
