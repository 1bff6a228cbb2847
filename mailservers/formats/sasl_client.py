"""The client's side of SASL: SCRAM (RFC 5802, 7677), PLAIN (RFC 4616) and LOGIN.

An exchange is a generator: `next` gives the first message (None: the server speaks first), `send` takes a challenge
and gives the answer. It raises `SaslFailed` when the server's messages are not what they should be, and returns when
there is nothing more to say. `iterations` of a server are bounded: each costs us CPU.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Generator, Iterable

from .saslprep import saslprep

Exchange = Generator[bytes | None, bytes, None]
MAX_ITERATIONS = 1_000_000
NONCE_OCTETS = 18

#   server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
_SERVER_FIRST = re.compile(r"r=([!-+\--~]+),s=([A-Za-z0-9/+=]+),i=([1-9]\d{0,8})(?:,.*)?")
_SERVER_FINAL = re.compile(r"v=([A-Za-z0-9/+=]+)(?:,.*)?")


class SaslFailed(Exception):
    """The server cannot be signed in to in this way; the text is fit for strangers."""


def plain(name: str, password: str) -> Exchange:
    yield f"\0{name}\0{password}".encode()


def login(name: str, password: str) -> Exchange:
    """What every server asks: the name, then the password, whatever its prompts say."""
    yield None
    yield name.encode()
    yield password.encode()


def scram(login: str, password: str, hash_name: str, nonce: str = "") -> Exchange:
    """Ends only when the server has proved that it knows the password, too."""
    nonce = nonce or b64encode(secrets.token_bytes(NONCE_OCTETS)).decode()
    try:
        name = saslprep(login).replace("=", "=3D").replace(",", "=2C")
        prepared = saslprep(password).encode()
    except ValueError:
        raise SaslFailed("the login or password has characters that SCRAM does not allow") from None
    client_first = f"n={name},r={nonce}"
    server_first = _text((yield f"n,,{client_first}".encode()))
    found = _SERVER_FIRST.fullmatch(server_first)
    if found is None or not found[1].startswith(nonce) or found[1] == nonce or int(found[3]) > MAX_ITERATIONS:
        raise SaslFailed("the server's SCRAM challenge is not sound")
    client_final = f"c=biws,r={found[1]}"  # base64 of "n,,"
    salted = hashlib.pbkdf2_hmac(hash_name, prepared, _decoded(found[2]), int(found[3]))
    signed = f"{client_first},{server_first},{client_final}".encode()
    client_key = hmac.digest(salted, b"Client Key", hash_name)
    signature = hmac.digest(hashlib.new(hash_name, client_key).digest(), signed, hash_name)
    proof = b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True)))
    final = _SERVER_FINAL.fullmatch(_text((yield f"{client_final},p=".encode() + proof)))
    expected = hmac.digest(hmac.digest(salted, b"Server Key", hash_name), signed, hash_name)
    if final is None or not hmac.compare_digest(_decoded(final[1]), expected):
        raise SaslFailed("the server has not shown that it knows the password")
    yield b""


def _text(message: bytes) -> str:
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslFailed("the server's challenge is not UTF-8") from None


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        raise SaslFailed("the server's challenge is not base64") from None


# The best first: those that do not show the password to the server.
MECHANISMS: dict[str, Callable[[str, str], Exchange]] = {
    "SCRAM-SHA-256": lambda name, password: scram(name, password, "sha256"),
    "SCRAM-SHA-1": lambda name, password: scram(name, password, "sha1"),
    "PLAIN": plain,
    "LOGIN": login,
}
PROVES_BOTH = ("SCRAM-SHA-256", "SCRAM-SHA-1")  # success without the server's proof is none


def choose(offered: Iterable[str]) -> str:
    """The best of the mechanisms that a server offers and we know; "" if there is none."""
    names = {name.upper() for name in offered}
    return next((name for name in MECHANISMS if name in names), "")
