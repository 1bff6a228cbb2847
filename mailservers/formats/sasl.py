"""The messages of SASL mechanisms: PLAIN (RFC 4616), SCRAM (RFC 5802, 7677), OAUTHBEARER (RFC 7628), XOAUTH2.

Octets in, frozen values out; `SaslSyntaxError` for everything else, with a text fit for the client. What the
messages mean is decided in `accounts.auth`.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass


class SaslSyntaxError(Exception):
    """The client's message does not follow the mechanism's grammar."""


@dataclass(frozen=True, slots=True)
class Plain:
    authzid: str
    authcid: str
    password: str


def parse_plain(message: bytes) -> Plain:
    """message = [authzid] UTF8NUL authcid UTF8NUL passwd"""
    fields = message.split(b"\0")
    if len(fields) != 3 or not fields[1]:
        raise SaslSyntaxError("Malformed PLAIN response")
    return Plain(*map(text, fields))


def text(octets: bytes) -> str:
    """UTF-8, or what was sent instead: then it is never anyone's login or password."""
    return octets.decode("utf-8", "surrogateescape")


# ---------------------------------------------------------------- SCRAM


@dataclass(frozen=True, slots=True)
class ScramFirst:
    """The client's first message. `gs2_header` and `bare` are kept as sent: they are part of what is signed."""

    gs2_header: bytes
    binding: str  # "n", "y", or the channel binding's name after "p="
    authzid: str
    username: str
    nonce: bytes
    bare: bytes


@dataclass(frozen=True, slots=True)
class ScramFinal:
    """The client's last message. `without_proof` is the part that is signed."""

    binding: bytes
    nonce: bytes
    proof: bytes
    without_proof: bytes


_GS2_HEADER = re.compile(rb"(?:([ny])|p=([A-Za-z0-9.-]+)),(?:a=([^,\0]+))?,")
# client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]; printable = %x21-2B / %x2D-7E
_FIRST_BARE = re.compile(rb"n=([^,\0]*),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^\0,]+)*")
# client-final-message = channel-binding "," nonce ["," extensions] "," proof
_FINAL = re.compile(rb"(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^\0,]+)*),p=([A-Za-z0-9+/=]+)")
MAX_NONCE = 1024  # octets


def parse_scram_first(message: bytes) -> ScramFirst:
    """client-first-message = gs2-header client-first-message-bare (RFC 5802 section 7)"""
    header = _GS2_HEADER.match(message)
    if header is None:
        raise SaslSyntaxError("Malformed SCRAM header")
    bare = message[header.end() :]
    if bare.startswith(b"m="):
        raise SaslSyntaxError("SCRAM extension not supported")  # section 5.1: mandatory extensions
    fields = _FIRST_BARE.fullmatch(bare)
    if fields is None or len(fields[2]) > MAX_NONCE:
        raise SaslSyntaxError("Malformed SCRAM message")
    binding = (header[1] or header[2]).decode("ascii")
    return ScramFirst(header[0], binding, _saslname(header[3] or b""), _saslname(fields[1]), fields[2], bare)


def _saslname(octets: bytes) -> str:
    """saslname: "=2C" is a comma, "=3D" an equals sign, and no other "=" is allowed."""
    if re.search(rb"=(?!2C|3D)", octets):
        raise SaslSyntaxError("Malformed SCRAM name")
    try:
        return octets.replace(b"=2C", b",").replace(b"=3D", b"=").decode("utf-8")
    except UnicodeDecodeError:
        raise SaslSyntaxError("Invalid UTF-8") from None


def parse_scram_final(message: bytes) -> ScramFinal:
    fields = _FINAL.fullmatch(message)
    if fields is None:
        raise SaslSyntaxError("Malformed SCRAM message")
    return ScramFinal(base64(fields[2]), fields[3], base64(fields[4]), fields[1])


def base64(octets: bytes) -> bytes:
    try:
        return binascii.a2b_base64(octets, strict_mode=True) if octets else b""
    except binascii.Error:
        raise SaslSyntaxError("Invalid base64") from None


# ---------------------------------------------------------------- bearer tokens


@dataclass(frozen=True, slots=True)
class Bearer:
    """`user` is whom the client wants to be; "" is the token's owner."""

    user: str
    token: str


_BEARER_HEADER = re.compile(rb"[ny],(?:a=([^,\0\x01]+))?,")
_PAIRS = re.compile(rb"\x01(?:[A-Za-z]+=[\x20-\x7e\t\r\n\x80-\xff]*\x01)+\x01")
_TOKEN = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


def parse_oauthbearer(message: bytes) -> Bearer:
    """client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep (RFC 7628 section 3.1); kvsep = %x01"""
    header = _BEARER_HEADER.match(message)
    if header is None:
        raise SaslSyntaxError("Malformed OAUTHBEARER message")
    return Bearer(_saslname(header[1] or b""), _token(message[header.end() :]))


def parse_xoauth2(message: bytes) -> Bearer:
    """ "user=" user ^A "auth=Bearer " token ^A ^A"""
    user, _, rest = message.partition(b"\1")
    if not user.startswith(b"user="):
        raise SaslSyntaxError("Malformed XOAUTH2 message")
    return Bearer(text(user[5:]), _token(b"\1" + rest))


def _token(pairs: bytes) -> str:
    if not _PAIRS.fullmatch(pairs):
        raise SaslSyntaxError("Malformed bearer message")
    values = [pair[5:] for pair in pairs.split(b"\1") if pair[:5].lower() == b"auth="]
    match = _TOKEN.fullmatch(text(values[0]).strip()) if len(values) == 1 else None
    if match is None:
        raise SaslSyntaxError("No bearer token in the message")
    return match[1]
