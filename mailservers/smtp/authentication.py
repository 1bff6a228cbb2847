"""AUTH PLAIN and LOGIN (RFC 4954, 4616)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING

from accounts.auth.door import AuthenticationFailed, Throttled, authenticate
from mailservers.smtp import replies
from mailservers.smtp.wire import Mode, Waiting

if TYPE_CHECKING:
    from mailservers.smtp.session import Session

DELAY_S = 1.0  # after a wrong password
ERRORS_COUNTED = 3  # a wrong password counts as more than one error


def do_auth(session: Session, rest: str) -> Waiting | None:
    mechanism, _, initial = rest.partition(" ")
    answer: bytes | None = initial.strip().encode() or None
    if mechanism.upper() == "PLAIN":
        return _ask(session, "", _auth_plain, answer)
    if mechanism.upper() == "LOGIN":
        return _ask(session, "Username:", _auth_login_name, answer)
    session.reply((504, "5.5.4", "Mechanism not supported; PLAIN and LOGIN are"))
    return None


def _ask(
    session: Session, challenge: str, then: Callable[[Session, bytes], Waiting | None], answer: bytes | None = None
) -> Waiting | None:
    """Challenge the client, and hand its decoded answer to `then`; "*" gives up (RFC 4954 4)."""

    def decode(line: bytes) -> Waiting | None:
        if line == b"*":
            session.reply((501, "5.7.0", "Authentication cancelled"))
            return None
        try:
            decoded = b"" if line == b"=" else base64.b64decode(line, validate=True)
        except (binascii.Error, ValueError):
            session.reply((501, "5.5.2", "That is not base64"))
            return None
        return then(session, decoded)

    if answer is not None:
        return decode(answer)
    session.answer, session.mode = decode, Mode.ANSWER
    session.reply((334, "", base64.b64encode(challenge.encode()).decode()))
    return None


def _auth_plain(session: Session, answer: bytes) -> Waiting | None:
    parts = answer.split(b"\0")  # authzid NUL authcid NUL passwd (RFC 4616)
    if len(parts) != 3 or not parts[1]:
        session.reply((501, "5.5.2", "Malformed PLAIN response"))
        return None
    authzid, login, password = (part.decode("utf-8", "surrogateescape") for part in parts)
    if authzid and authzid.lower() != login.lower():
        session.reply(replies.AUTH_FAILED)
        return None
    return _authenticate(session, login, password)


def _auth_login_name(session: Session, answer: bytes) -> Waiting | None:
    login = answer.decode("utf-8", "surrogateescape")

    def then(session: Session, answer: bytes) -> Waiting | None:
        return _authenticate(session, login, answer.decode("utf-8", "surrogateescape"))

    return _ask(session, "Password:", then)


async def _authenticate(session: Session, login: str, password: str) -> None:
    try:
        session.identity = await authenticate(
            login, password, address=session.wire.peer_address, service=session.role.value
        )
    except AuthenticationFailed as error:
        await asyncio.sleep(DELAY_S)
        session.reply(replies.AUTH_THROTTLED if isinstance(error, Throttled) else replies.AUTH_FAILED)
        session.errors += ERRORS_COUNTED
    else:
        session.reply((235, "2.7.0", "Authentication successful"))
