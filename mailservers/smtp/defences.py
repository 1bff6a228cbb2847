"""What is done about clients that misbehave: those that talk too early, speak another protocol, guess addresses, send
drop by drop. None of it touches those who have signed in, nor this machine's own programs (unless LIMIT_LOOPBACK).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.conf import settings

from mailservers.serving.limits import AddressRate
from mailservers.smtp.replies import Reply
from mailservers.smtp.wire import Role

if TYPE_CHECKING:
    from mailservers.smtp.session import Session

HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"})
TLS_HANDSHAKE = b"\x16\x03"  # a ClientHello on a port that begins in the clear
TARPIT_AFTER = 2  # errors are free
TARPIT_MAX_S = 15.0
ERROR_WINDOW_S = 600.0
SLOW_AFTER_S = 60.0  # what a message may take at any speed

SPOKE_EARLY: Reply = (554, "5.5.1", "You spoke before the greeting")
NO_HTTP: Reply = (554, "5.5.1", "This is a mail server; goodbye")
TOO_SLOW: Reply = (421, "4.4.2", "The message comes too slowly")
TOO_MANY_ERRORS_BEFORE: Reply = (421, "4.7.0", "Too many errors from your address; try again later")
TOO_MANY_MESSAGES: Reply = (421, "4.7.0", "Too many messages from your address; try again later")

errors_by_address = AddressRate(ERROR_WINDOW_S)
messages_by_address = AddressRate(60.0)


def is_watched(session: Session) -> bool:
    return session.identity is None and session.role is not Role.LMTP and not session.wire.is_trusted


def greet_delay_s(session: Session) -> float:
    return settings.SMTP_GREET_DELAY_S if session.role is Role.RELAY and is_watched(session) else 0.0


def refusal_at_connect(session: Session) -> Reply | None:
    limit = settings.SMTP_ERRORS_PER_ADDRESS
    if limit and is_watched(session) and errors_by_address.count(session.wire.peer_address) >= limit:
        return TOO_MANY_ERRORS_BEFORE
    return None


def refusal_of_message(session: Session) -> Reply | None:
    """Counts a MAIL command."""
    limit = settings.SMTP_MESSAGES_PER_ADDRESS
    if limit and is_watched(session) and messages_by_address.note(session.wire.peer_address) > limit:
        return TOO_MANY_MESSAGES
    return None


def note_error(session: Session) -> float:
    """Count a refused command; how long its reply has to wait, in seconds."""
    if not is_watched(session):
        return 0.0
    errors_by_address.note(session.wire.peer_address)
    return min(max(session.errors - TARPIT_AFTER, 0) * settings.SMTP_TARPIT_S, TARPIT_MAX_S)


class Pace:
    """How fast a message comes. Connections that drip are cut; those that are merely slow are not."""

    __slots__ = ("_octets", "_since")

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._octets = 0

    def is_too_slow(self, octets: int) -> bool:
        """So many more octets have come."""
        self._octets += octets
        elapsed = time.monotonic() - self._since - SLOW_AFTER_S
        return elapsed > 0 and self._octets < elapsed * settings.SMTP_MIN_RATE
