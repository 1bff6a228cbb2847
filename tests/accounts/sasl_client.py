"""A SCRAM-SHA-256 client (RFC 5802) and an exchange without a socket."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from accounts.auth.door import Identity
from accounts.auth.sasl import Exchange

CERTIFICATE_HASH = b"hash of the certificate"


@dataclass
class Peer:
    is_tls: bool = True
    peer_address: str = "192.0.2.7"

    def channel_binding(self, kind: str) -> bytes | None:
        return CERTIFICATE_HASH if self.is_tls and kind == "tls-server-end-point" else None


@dataclass
class ScramClient:
    user: str
    password: str
    gs2_header: bytes = b"n,,"
    binding: bytes = b""
    nonce: bytes = b"rOprNGfwEbeRWgbNEkqO"
    auth_message: bytes = b""
    salted: bytes = b""

    def first(self) -> bytes:
        self.bare = b"n=" + self.user.encode() + b",r=" + self.nonce
        return self.gs2_header + self.bare

    def final(self, server_first: bytes) -> bytes:
        fields = dict(part.split(b"=", 1) for part in server_first.split(b","))
        assert fields[b"r"].startswith(self.nonce) and len(fields[b"r"]) > len(self.nonce)
        salt = base64.b64decode(fields[b"s"])
        self.salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), salt, int(fields[b"i"]))
        client_key = hmac.digest(self.salted, b"Client Key", "sha256")
        without = b"c=" + base64.b64encode(self.gs2_header + self.binding) + b",r=" + fields[b"r"]
        self.auth_message = b",".join((self.bare, server_first, without))
        signature = hmac.digest(hashlib.sha256(client_key).digest(), self.auth_message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return without + b",p=" + base64.b64encode(proof)

    def verify(self, server_final: bytes) -> None:
        server_key = hmac.digest(self.salted, b"Server Key", "sha256")
        expected = hmac.digest(server_key, self.auth_message, "sha256")
        assert server_final == b"v=" + base64.b64encode(expected)


async def scram(client: ScramClient, mechanism: str = "SCRAM-SHA-256", service: str = "imap", **peer) -> Identity:
    exchange = Exchange(mechanism, Peer(**peer), service)
    server_first = await exchange.step(client.first())
    assert isinstance(server_first, bytes)
    server_final = await exchange.step(client.final(server_first))
    assert isinstance(server_final, bytes)
    client.verify(server_final)
    identity = await exchange.step(b"")
    assert isinstance(identity, Identity)
    return identity
