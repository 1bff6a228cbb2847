"""Keys, signatures and DNS answers for the tests of who vouches for a message."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import dkim
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mailservers.dns_client import Answer, BadName, DnsFailure

MESSAGE = (
    b"From: Carol <carol@sender.test>\r\nTo: anna@harbour.test\r\nSubject: Tide  tables\r\n"
    b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <tides@sender.test>\r\n\r\n"
    b"High water at nine. \r\n\r\nLow water  at three.\r\n\r\n\r\n"
)


@dataclass(frozen=True)
class Key:
    """`private` as dkimpy takes it; `record`: the TXT record."""

    algorithm: bytes
    private: bytes
    record: bytes

    def sign(self, message: bytes, domain: str = "sender.test", selector: str = "s1", **options: object) -> bytes:
        """The message with a DKIM-Signature of dkimpy in front."""
        field = dkim.sign(
            message, selector.encode(), domain.encode(), self.private, signature_algorithm=self.algorithm, **options
        )
        return bytes(field) + message


@lru_cache
def rsa_key(bits: int = 2048) -> Key:
    key = rsa.generate_private_key(65537, bits)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Key(b"rsa-sha256", private, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public))


@lru_cache
def ed25519_key() -> Key:
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Key(b"ed25519-sha256", base64.b64encode(private), b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public))


class Records:
    """`ask` answers from TXT records by name; a value of None fails, as a server does."""

    def __init__(self, records: Mapping[str, bytes | None]) -> None:
        self.records = records
        self.asked: list[str] = []

    async def ask(self, name: str, kind: str) -> Answer:
        self.asked.append(name)
        if any(not 0 < len(label) < 64 for label in name.split(".")):
            raise BadName(name)
        if name not in self.records:
            return Answer((), exists=False)
        value = self.records[name]
        if value is None:
            raise DnsFailure(f"{name} could not be looked up")
        return Answer((value,) if kind == "TXT" else ())
