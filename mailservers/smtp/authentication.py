"""AUTH (RFC 4954): the octets of `accounts.auth.sasl`'s mechanisms, carried over SMTP."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING

from accounts.auth.door import AuthenticationFailed, Throttled
from accounts.auth.live import live_sessions
from accounts.auth.sasl import Exchange, offered
from mailservers.formats.sasl import SaslSyntaxError
from mailservers.smtp import replies
from mailservers.smtp.wire import Mode, Waiting
from mailservers.store.errors import StoreError

if TYPE_CHECKING:
    from mailservers.smtp.session import Session

DELAY_S = 1.0  # after a wrong password
ERRORS_COUNTED = 3  # a wrong password counts as more than one error


def do_auth(session: Session, rest: str) -> Waiting | None:
    """ "AUTH" SP sasl-mech [SP initial-response]"""
    name, _, initial = rest.partition(" ")
    if not name:
        session.reply((501, "5.5.4", "Syntax: AUTH mechanism [initial-response]"))
        return None
    mechanisms = offered(is_tls=session.wire.is_tls)
    if name.upper() not in mechanisms:
        session.reply((504, "5.5.4", f"Mechanism not supported; these are: {' '.join(mechanisms)}"))
        return None
    exchange = Exchange(name.upper(), session.wire, "smtp")
    line = initial.strip().encode()
    return _take(session, exchange, line) if line else _step(session, exchange, None)


def _take(session: Session, exchange: Exchange, line: bytes) -> Waiting | None:
    """The client's answer in base64; "*" gives up (RFC 4954 4)."""
    if line == b"*":
        session.reply((501, "5.7.0", "Authentication cancelled"))
        return None
    try:
        answer = b"" if line == b"=" else base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        session.reply((501, "5.5.2", "That is not base64"))
        return None
    return _step(session, exchange, answer)


async def _step(session: Session, exchange: Exchange, answer: bytes | None) -> None:
    try:
        outcome = await exchange.step(answer)
    except SaslSyntaxError as error:
        session.reply((501, "5.5.2", str(error)))
    except AuthenticationFailed as error:
        await asyncio.sleep(DELAY_S)
        session.reply(replies.AUTH_THROTTLED if isinstance(error, Throttled) else replies.AUTH_FAILED)
        session.errors += ERRORS_COUNTED
    except StoreError:
        session.reply(replies.AUTH_UNAVAILABLE)
    else:
        if isinstance(outcome, bytes):
            session.answer, session.mode = lambda line: _take(session, exchange, line), Mode.ANSWER
            session.reply((334, "", base64.b64encode(outcome).decode("ascii")))
            return
        session.identity = outcome
        if not session.is_over:
            live_sessions.enter(
                session, outcome, lambda: session.goodbye(replies.REVOKED),
                protocol="smtp", address=session.wire.peer_address, client=session.helo,
            )  # fmt: skip
        session.reply((235, "2.7.0", "Authentication successful"))
