"""The commands of the AUTHORIZATION state, and those that are the same in both states."""

from __future__ import annotations

import asyncio
import binascii
import ssl

from django.conf import settings

from accounts.auth.door import AuthenticationFailed, Identity, authenticate
from accounts.auth.live import live_sessions
from accounts.auth.sasl import Exchange, offered
from mailservers.formats.pop3 import Pop3SyntaxError, SaslRequest, sasl_response
from mailservers.formats.sasl import SaslSyntaxError
from mailservers.pop3.delay import login_delays
from mailservers.pop3.maildrop import open_maildrop
from mailservers.pop3.replies import Answer, Disconnect, Refusal, Reply, err, ok, reply_for
from mailservers.pop3.session import REVOKED, Session

FAILED_LOGIN_DELAY_S = 1.0
MAX_FAILED_LOGINS = 5  # then the connection is closed


def may_send_password(session: Session) -> bool:
    return session.wire.may_send_password


def user(session: Session, name: str) -> Reply:
    """Any login is welcome: nobody is told which ones exist (RFC 1939 section 13)."""
    _require_private(session)
    session.login = name
    return ok("Send the password")


def utf8(session: Session, _: None) -> Reply:
    """RFC 6856 2.1: from now on messages are sent as they are."""
    session.is_utf8 = True
    return ok("UTF8 enabled")


def lang(session: Session, wanted: str) -> Reply:
    """RFC 6856 3: the texts of replies are English."""
    if not wanted:
        return b"+OK Language listing follows:\r\nen English\r\n.\r\n"
    if wanted not in ("*", "en"):
        raise Refusal("This language is not available")
    return ok("en These texts are in English")


def password(session: Session, secret: str) -> Answer:
    _require_private(session)
    if not session.login:
        raise Pop3SyntaxError("Send USER first")
    login, session.login = session.login, ""
    return _sign_in(session, login, secret)


def sasl_capability(session: Session) -> str:
    return "SASL " + " ".join(offered(is_tls=session.wire.is_tls))


def auth(session: Session, request: SaslRequest) -> Answer:
    """RFC 5034: the octets of `accounts.auth.sasl`'s mechanisms, carried over POP3."""
    if request.mechanism not in offered(is_tls=session.wire.is_tls):
        raise Refusal("Unsupported authentication mechanism")
    _require_private(session)
    return _step(session, Exchange(request.mechanism, session.wire, "pop3"), request.initial)


async def _step(session: Session, exchange: Exchange, answer: bytes | None) -> Reply:
    try:
        outcome = await exchange.step(answer)
    except SaslSyntaxError as error:
        raise Pop3SyntaxError(str(error)) from None
    except AuthenticationFailed as error:
        return await _failed(session, error)
    if isinstance(outcome, Identity):
        return await _enter(session, outcome)
    session.expect_line(lambda line: _step(session, exchange, sasl_response(line)))
    return b"+ " + binascii.b2a_base64(outcome, newline=False) + b"\r\n"


def _require_private(session: Session) -> None:
    if not may_send_password(session):
        raise Refusal("A password is only accepted over TLS: use STLS", "AUTH")


async def _sign_in(session: Session, login: str, secret: str) -> Reply:
    try:
        identity = await authenticate(login, secret, address=session.wire.peer_address, service="pop3")
    except AuthenticationFailed as error:
        return await _failed(session, error)
    return await _enter(session, identity)


async def _failed(session: Session, error: AuthenticationFailed) -> Reply:
    """Whatever was wrong with login and password, the answer and its delay are the same."""
    await asyncio.sleep(FAILED_LOGIN_DELAY_S)
    session.failed_logins += 1
    if session.failed_logins >= MAX_FAILED_LOGINS:
        raise Disconnect(err("Too many failed logins", "AUTH")) from None
    return reply_for(error)


async def _enter(session: Session, identity: Identity) -> Reply:
    if login_delays.is_too_soon(identity.user_id):
        raise Refusal(f"Wait {settings.POP3_LOGIN_DELAY_S} seconds between sessions", "LOGIN-DELAY")
    drop = await open_maildrop(identity.user_id, is_utf8=session.is_utf8)
    login_delays.note(identity.user_id)
    session.enter(drop)
    if not session.is_over:
        live_sessions.enter(
            session, identity, lambda: session.goodbye(REVOKED), protocol="pop3", address=session.wire.peer_address
        )
    return ok(f"Maildrop has {drop.count} messages ({drop.octets} octets)")


def stls(session: Session, _: None) -> Answer:
    if session.is_utf8:
        raise Refusal("STLS comes before UTF8")  # RFC 6856 2.1
    if session.wire.is_tls:
        raise Refusal("TLS is active already")
    return _start_tls(session)


async def _start_tls(session: Session) -> Reply:
    """RFC 2595 section 4: nothing that was said in clear counts afterwards."""
    session.put(ok("Begin TLS negotiation"))
    session.flush()
    session.forget_input()
    session.login = ""
    try:
        await session.wire.start_tls()
    except (ssl.SSLError, OSError):
        raise Disconnect from None
    return b""


def quit_command(session: Session, _: None) -> Answer:
    if session.maildrop is None:
        raise Disconnect(ok("Goodbye"))
    return _update(session)


async def _update(session: Session) -> Reply:
    """The UPDATE state. The maildrop is open to others before the client reads that all is done."""
    assert session.maildrop is not None
    removed = len(session.maildrop) - session.maildrop.count
    try:
        await session.maildrop.commit()
        reply = ok(f"Goodbye ({removed} messages deleted)" if removed else "Goodbye")
    except Exception as error:
        reply_for(error)  # for the log
        reply = err("The deleted messages could not be removed; they are still there", "SYS/TEMP")
    session.leave()
    raise Disconnect(reply)
