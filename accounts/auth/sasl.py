"""SASL mechanisms (RFC 4422), the same for IMAP, POP3 and submission.

    exchange = Exchange("SCRAM-SHA-256", peer, "imap")
    outcome = await exchange.step(initial_response_or_None)
    # bytes: a challenge for the client, whose answer goes into the next step; an Identity: signed in

A mechanism is a generator: it yields challenges, is sent the client's answers, and yields the identity last. The
protocols do nothing but carry the octets. Raises `SaslSyntaxError` for a malformed message, `NotAuthorized`,
`AuthenticationFailed` and `Throttled` as the door does.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol

from django.conf import settings

from accounts.auth import bearer, scram
from accounts.auth.door import (
    AuthenticationFailed,
    Identity,
    Throttled,
    authenticate,
    authenticate_token,
    normal_login,
    scram_finish,
    scram_verifier,
)
from mailservers.formats import sasl as grammar
from mailservers.formats.sasl import SaslSyntaxError
from mailservers.formats.saslprep import saslprep

NONCE_OCTETS = 18
BINDINGS = ("tls-server-end-point", "tls-unique")  # what `Peer.channel_binding` may know


class NotAuthorized(AuthenticationFailed):
    """The password was right, but it does not open the mail of the user asked for."""


class Peer(Protocol):
    """What a mechanism needs of the connection."""

    is_tls: bool
    peer_address: str

    def channel_binding(self, kind: str) -> bytes | None: ...


Talk = AsyncGenerator[bytes | Identity, bytes | None]


@dataclass(frozen=True, slots=True)
class Context:
    peer: Peer
    service: str

    @property
    def door(self) -> dict[str, str]:
        return {"address": self.peer.peer_address, "service": self.service}


def _require_own(authzid: str, identity: Identity) -> Identity:
    """Everybody acts as themselves (RFC 4616 section 2: an empty authzid is that, too)."""
    if authzid and normal_login(authzid) != identity.login:
        raise NotAuthorized("signing in as another user is not allowed")
    return identity


async def _plain(context: Context) -> Talk:
    message = grammar.parse_plain((yield b"") or b"")
    identity = await authenticate(message.authcid, message.password, **context.door)
    yield _require_own(message.authzid, identity)


async def _login(context: Context) -> Talk:
    """draft-murchison-sasl-login"""
    login = (yield b"Username:") or b""
    if not login:
        raise SaslSyntaxError("No user name given")
    password = (yield b"Password:") or b""
    yield await authenticate(grammar.text(login), grammar.text(password), **context.door)


# ---------------------------------------------------------------- SCRAM


async def _scram(context: Context, plus: bool = False) -> Talk:
    """RFC 5802 section 3; the server's last message is a challenge that the client answers with nothing."""
    first = grammar.parse_scram_first((yield b"") or b"")
    _check_binding(first, plus, context)
    login = _prepared(first.username)
    verifier = await scram_verifier(login, **context.door)
    nonce = first.nonce + base64.b64encode(secrets.token_bytes(NONCE_OCTETS))
    salt = base64.b64encode(verifier.salt)
    server_first = b"r=%b,s=%b,i=%d" % (nonce, salt, verifier.iterations)
    final = grammar.parse_scram_final((yield server_first) or b"")
    data = context.peer.channel_binding(first.binding) or b"" if plus else b""
    bound = hmac.compare_digest(final.binding, first.gs2_header + data) and final.nonce == nonce
    auth_message = b",".join((first.bare, server_first, final.without_proof))
    credential_id, keys = next(
        (found for found in verifier.candidates if scram.is_proof(found[1], auth_message, final.proof)), (None, None)
    )
    identity = await scram_finish(login, credential_id, bound and keys is not None, **context.door)
    _require_own(first.authzid, identity)
    assert keys is not None
    if (yield b"v=" + base64.b64encode(scram.server_signature(keys, auth_message))):
        raise SaslSyntaxError("Nothing more was to be said")
    yield identity


def _check_binding(first: grammar.ScramFirst, plus: bool, context: Context) -> None:
    """RFC 5802 section 6. "y" says that we did not offer -PLUS: over TLS we did, so somebody has meddled."""
    if plus != (first.binding not in ("n", "y")):
        raise SaslSyntaxError("Channel binding and mechanism do not fit")
    if plus and (first.binding not in BINDINGS or context.peer.channel_binding(first.binding) is None):
        raise AuthenticationFailed("this channel binding type is not supported")
    if first.binding == "y" and _binds(context.peer.is_tls):
        raise AuthenticationFailed("the offer of channel binding was lost on the way")


def _prepared(name: str) -> str:
    try:
        return saslprep(name)
    except ValueError:
        raise SaslSyntaxError("The user name has characters that are not allowed") from None


async def _scram_plus(context: Context) -> Talk:
    talk = _scram(context, plus=True)
    answer: bytes | None = None
    while True:
        answer = yield await talk.asend(answer)


# ---------------------------------------------------------------- bearer tokens


async def _oauthbearer(context: Context) -> Talk:
    request = grammar.parse_oauthbearer((yield b"") or b"")
    async for outcome in _bearer(context, request):
        yield outcome


async def _xoauth2(context: Context) -> Talk:
    request = grammar.parse_xoauth2((yield b"") or b"")
    async for outcome in _bearer(context, request):
        yield outcome


async def _bearer(context: Context, request: grammar.Bearer) -> Talk:
    """RFC 7628 section 3.2.2: a failure is told in JSON, and the client answers once more before it counts."""
    try:
        identity = await authenticate_token(request.user, request.token, **context.door)
    except Throttled:
        raise
    except AuthenticationFailed as error:
        yield json.dumps({"status": "invalid_token", "scope": context.service}).encode()
        raise error
    yield identity


# ---------------------------------------------------------------- the table


def _always(is_tls: bool) -> bool:
    return True


def _scrams(is_tls: bool) -> bool:
    return settings.SCRAM


def _binds(is_tls: bool) -> bool:
    return settings.SCRAM and is_tls


def _takes_tokens(is_tls: bool) -> bool:
    return bearer.is_offered()


@dataclass(frozen=True, slots=True)
class Mechanism:
    talk: Callable[[Context], Talk]
    is_offered: Callable[[bool], bool] = _always


MECHANISMS = {
    "SCRAM-SHA-256-PLUS": Mechanism(_scram_plus, _binds),
    "SCRAM-SHA-256": Mechanism(_scram, _scrams),
    "PLAIN": Mechanism(_plain),
    "LOGIN": Mechanism(_login),
    "OAUTHBEARER": Mechanism(_oauthbearer, _takes_tokens),
    "XOAUTH2": Mechanism(_xoauth2, _takes_tokens),
}


def offered(*, is_tls: bool) -> tuple[str, ...]:
    """The mechanisms a client may use, where it may sign in at all."""
    return tuple(name for name, mechanism in MECHANISMS.items() if mechanism.is_offered(is_tls))


class Exchange:
    """One attempt; `name` is one of `offered`."""

    def __init__(self, name: str, peer: Peer, service: str) -> None:
        self._talk = MECHANISMS[name].talk(Context(peer, service))
        self._begun = False

    async def step(self, answer: bytes | None) -> bytes | Identity:
        """`answer` None: the client has said nothing yet (there was no initial response)."""
        if not self._begun:
            self._begun = True
            challenge = await self._talk.asend(None)
            if answer is None:
                return challenge
        return await self._talk.asend(answer)
