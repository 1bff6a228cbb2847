"""Commands about the session itself: CAPABILITY, NOOP, LOGOUT, STARTTLS, LOGIN, AUTHENTICATE, ENABLE, ID, IDLE.

RFC 9051 sections 6.1, 6.2, 6.3.1, 6.3.13; RFC 2971; RFC 4959 (SASL-IR).
"""

import binascii
import logging
from functools import lru_cache

from django.conf import settings

from accounts.auth.devices import devices
from accounts.auth.door import AuthenticationFailed, Identity, Throttled, authenticate
from accounts.auth.sasl import Exchange, offered
from mailservers.formats.imap.arguments import AuthenticateRequest, LoginRequest
from mailservers.formats.imap.lexer import ImapSyntaxError
from mailservers.formats.sasl import SaslSyntaxError
from mailservers.formats.sasl import text as sasl_text
from mailservers.imap.announcing import announce
from mailservers.imap.extensions import CAPABILITIES
from mailservers.imap.metadata import watch
from mailservers.imap.replies import Disconnect, Refusal, Reply
from mailservers.imap.session import Session
from mailservers.store.access import SHARED

log = logging.getLogger(__name__)

MAX_FAILED_LOGINS = 5  # then the connection is closed
MAX_SASL_OCTETS = 8192  # a decoded answer
ENABLE_CAPABILITIES = ("IMAP4rev2", "CONDSTORE", "QRESYNC", "UIDONLY", "UTF8=ACCEPT", "METADATA")


def capability_text(session: Session) -> bytes:
    """What this client may use now (RFC 9051 section 6.1.1)."""
    sink, identity = session.sink, session.identity
    if identity is not None:
        return _capabilities_within(settings.MESSAGE_SIZE_LIMIT, identity.is_admin)
    return _capabilities_outside(
        settings.MESSAGE_SIZE_LIMIT, sink.is_tls, offered(is_tls=sink.is_tls) if sink.may_send_password else None
    )


@lru_cache(maxsize=8)
def _capabilities_outside(limit: int, is_tls: bool, mechanisms: tuple[str, ...] | None) -> bytes:
    """Before signing in. `mechanisms` None: no password may be sent."""
    names = [] if is_tls else ["STARTTLS"]
    names += ["LOGINDISABLED"] if mechanisms is None else [f"AUTH={name}" for name in mechanisms]
    return _capabilities(limit, names)


@lru_cache(maxsize=8)
def _capabilities_within(limit: int, is_admin: bool) -> bytes:
    return _capabilities(limit, ["UNAUTHENTICATE", "QUOTASET"] if is_admin else ["UNAUTHENTICATE"])


def _capabilities(limit: int, more: list[str]) -> bytes:
    return " ".join(["CAPABILITY", *CAPABILITIES, f"APPENDLIMIT={limit}", *more]).encode("ascii")


def greet(session: Session) -> None:
    """greeting = "*" SP resp-cond-auth"""
    session.untagged(b"OK [%b] Postroom ready" % capability_text(session))
    session.send()


async def capability(session: Session, _request: None) -> None:
    session.untagged(capability_text(session))


async def noop(session: Session, _request: None) -> None:
    """NOOP and CHECK: the announcement of changes that ends every command looks even without a hint."""
    if session.metadata is not None:
        session.metadata.pending = True
    await announce(session, expunge=True, ask=True)


async def logout(session: Session, _request: None) -> Reply:
    await session.deselect()
    session.untagged(b"BYE Logging out")
    return Reply("Logout completed", closes=True)


async def starttls(session: Session, _request: None) -> Reply:
    if session.sink.is_tls:
        raise Refusal(None, "TLS is already active", "BAD")

    async def upgrade() -> None:
        session.forget_input()  # section 6.2.1: nothing said before TLS counts after it
        await session.sink.start_tls()

    return Reply("Begin TLS negotiation now", then=upgrade)


# ------------------------------------------------------------------ signing in


async def login(session: Session, request: LoginRequest) -> Reply:
    _require_private(session)
    user, password = sasl_text(request.user), sasl_text(request.password)
    try:
        identity = await authenticate(user, password, address=session.sink.peer_address, service="imap")
    except AuthenticationFailed as error:
        raise _failed(session, error) from None
    return _enter(session, identity)


async def authenticate_command(session: Session, request: AuthenticateRequest) -> Reply:
    """AUTHENTICATE, with or without an initial response: the octets of `accounts.auth.sasl`'s mechanisms."""
    if request.mechanism not in offered(is_tls=session.sink.is_tls):
        raise Refusal("CANNOT", "Unsupported authentication mechanism")
    _require_private(session)
    exchange = Exchange(request.mechanism, session.sink, "imap")
    answer = None if request.initial is None else _decode(request.initial)
    try:
        while isinstance(outcome := await exchange.step(answer), bytes):
            answer = await _answer(session, outcome)
    except SaslSyntaxError as error:
        raise ImapSyntaxError(str(error)) from None
    except AuthenticationFailed as error:
        raise _failed(session, error) from None
    return _enter(session, outcome)


def _require_private(session: Session) -> None:
    if not session.sink.may_send_password:
        raise Refusal("PRIVACYREQUIRED", "Signing in is only possible over TLS: use STARTTLS")


async def _answer(session: Session, challenge: bytes) -> bytes:
    """Send a challenge, wait for the answer. ``*`` cancels: BAD (RFC 9051 section 6.2.2)."""
    session.raw(b"+ %b\r\n" % binascii.b2a_base64(challenge, newline=False))
    session.send()
    line = await session.next_line()
    if line == b"*":
        raise ImapSyntaxError("Authentication cancelled")
    return _decode(line)


def _decode(text: bytes) -> bytes:
    if text == b"=":
        return b""
    try:
        answer = binascii.a2b_base64(text, strict_mode=True) if text else b""
    except binascii.Error:
        raise ImapSyntaxError("Invalid base64") from None
    if len(answer) > MAX_SASL_OCTETS:
        raise ImapSyntaxError("Answer too long")
    return answer


def _enter(session: Session, identity: Identity) -> Reply:
    session.enter(identity)
    return Reply("Logged in", capability_text(session))


async def compress(session: Session, algorithm: str) -> Reply:
    """COMPRESS (RFC 4978). What comes in is compressed from here on, as the client waits for the OK; what goes out
    from behind the OK."""
    if algorithm != "DEFLATE":
        raise ImapSyntaxError("Unknown compression algorithm")
    if session.sink.is_compressed:
        raise Refusal("COMPRESSIONACTIVE", "DEFLATE is already active", "BAD")
    session.sink.inflate_input()

    async def begin() -> None:
        session.sink.deflate_output()

    return Reply("DEFLATE active", then=begin)


async def unauthenticate(session: Session, _request: None) -> None:
    """RFC 8437: another user may sign in on this connection. No NO is allowed: what fails ends the session."""
    await session.deselect()
    session.forget_user()
    session.narrow_limits()
    if session.sink.is_compressed:
        session.sink.end_compression()  # with the tagged OK, which is all that is still to be written


def _failed(session: Session, error: AuthenticationFailed) -> Exception:
    """Being refused for a while is no failure of this connection."""
    if not isinstance(error, Throttled):
        session.failed_logins += 1
        if session.failed_logins >= MAX_FAILED_LOGINS:
            return Disconnect("Too many failed logins")
    return error


# ------------------------------------------------------------ after signing in


async def enable(session: Session, names: tuple[str, ...]) -> None:
    """RFC 9051 section 6.3.1: what is not known is passed over in silence."""
    enabled = [name for name in ENABLE_CAPABILITIES if name.upper() in names]
    if "IMAP4rev2" in enabled:
        session.rev2 = True
        if session.selected is not None:
            session.selected.first_recent = 0  # IMAP4rev2 has no \\Recent
    session.untagged(" ".join(["ENABLED", *enabled]).encode("ascii"))
    if "UTF8=ACCEPT" in enabled:
        session.utf8_accept = True
    if "METADATA" in enabled:
        (await watch(session)).tells_all = True
    if "UIDONLY" in enabled:
        session.uidonly = True
    if "QRESYNC" in enabled:
        session.qresync = True
    if "CONDSTORE" in enabled or session.qresync:  # RFC 7162 section 3.2.3
        session.enable_condstore()


async def identify(session: Session, fields: tuple[tuple[str, str | None], ...]) -> None:
    """ID (RFC 2971): for the log, and nothing about versions given away before login."""
    if fields:
        log.info("client of %s: %s", session.sink.peer_address, dict(fields))
        said = {name.lower(): value for name, value in fields if value}
        session.client_name = " ".join(filter(None, (said.get("name"), said.get("version"))))
        if session.identity is not None:
            devices.note(session.identity, "imap", session.sink.peer_address, session.client_name)
    session.untagged(b'ID ("name" "Postroom")')


async def namespace(session: Session, _request: None) -> None:
    """RFC 9051 section 6.3.10: one personal namespace, and one of what others share."""
    session.untagged(b'NAMESPACE (("" "/")) (("%b/" "/")) NIL' % SHARED.encode())


async def idle(session: Session, _request: None) -> None:
    """RFC 9051 section 6.3.13. What is new is said at once; the dialogue does the rest, until DONE."""
    await announce(session, expunge=True, ask=True)
    session.raw(b"+ idling\r\n")
    session.send()
