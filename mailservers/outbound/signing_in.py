"""Signing in to a smarthost (RFC 4954), over TLS only: the best mechanism that both sides know.

A login that is refused is the administrator's to mend: the mail waits.
"""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable

from mailservers.formats.sasl_client import MECHANISMS, PROVES_BOTH, Exchange, SaslFailed, choose
from mailservers.formats.smtp_reply import Reply
from mailservers.outbound.way import Way

MAX_ROUNDS = 5  # challenges
Command = Callable[[str], Awaitable[Reply]]


class NotSignedIn(Exception):
    """`reply`: the server's words, if there were any."""

    def __init__(self, text: str, reply: str = "") -> None:
        super().__init__(text)
        self.reply = reply


async def sign_in(command: Command, offered: str, way: Way) -> None:
    """`command` sends a line and waits for its reply; `offered`: what EHLO said of AUTH. Raises `NotSignedIn`."""
    mechanism = choose(offered.split())
    if not mechanism:
        raise NotSignedIn("the host offers no way to sign in that is known here")
    exchange = MECHANISMS[mechanism](way.login, way.password)
    try:
        first = next(exchange)
        line = f"AUTH {mechanism}" if first is None else f"AUTH {mechanism} {b64encode(first).decode() or '='}"
        reply = await command(line)
        reply = await _answer_challenges(command, exchange, reply)
        if reply.code == 235 and mechanism in PROVES_BOTH:
            await asyncio.to_thread(_finish, exchange, reply)
    except SaslFailed as error:
        raise NotSignedIn(f"signing in with {mechanism} failed: {error}") from error
    if reply.code != 235:
        raise NotSignedIn(f"the host did not let us sign in as {way.login} with {mechanism}", reply.text)


async def _answer_challenges(command: Command, exchange: Exchange, reply: Reply) -> Reply:
    for _ in range(MAX_ROUNDS):
        if reply.code != 334:
            return reply
        # SCRAM's iterations may take a while.
        answer = await asyncio.to_thread(_next, exchange, _challenge(reply))
        reply = await command(b64encode(answer).decode())
    raise SaslFailed("the server does not come to an end")


def _challenge(reply: Reply) -> bytes:
    try:
        return b64decode(reply.lines[0].strip(), validate=True)
    except (binascii.Error, ValueError):
        raise SaslFailed("the server's challenge is not base64") from None


def _next(exchange: Exchange, challenge: bytes) -> bytes:
    try:
        answer = exchange.send(challenge)
    except StopIteration:
        raise SaslFailed("the server asks for more than there is to say") from None
    assert answer is not None
    return answer


def _finish(exchange: Exchange, reply: Reply) -> None:
    """The server's proof must have come, and nothing be open."""
    try:
        exchange.send(b"")
    except StopIteration:
        return
    raise SaslFailed("the server let us in without proving that it knows the password")
