"""DKIM keys (RFC 6376): made, kept encrypted, read back, and shown as a DNS record.

A private key lies in the database only as AES-256-GCM under a key derived (HKDF-SHA256) from the installation's
SECRET_KEY, which is outside it. The domain's name is not bound in: a row can be moved, but not read elsewhere.
Making an RSA-2048 key takes 100 to 500 ms of CPU: `generate` belongs in a thread, never in a store operation.
"""

from __future__ import annotations

import base64
import functools
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils import timezone

from accounts.models import DkimKey
from mailservers.formats.mailbox_address import domain_to_ascii
from mailservers.store.transaction import Transaction

RSA_BITS = 2048  # RFC 8301 3.2
NONCE_OCTETS = 12
PURPOSE = b"postroom dkim private key v1"
TXT_STRING_OCTETS = 255  # one character-string of a TXT record (RFC 1035 3.3)


class KeyUnreadable(Exception):
    """The private key was encrypted under another SECRET_KEY, or the row is damaged."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key on its way into the database."""

    selector: str
    private_key: bytes  # encrypted PKCS #8
    public_key: str  # base64 SubjectPublicKeyInfo, as in the DNS record's p=


def generate(selector: str = "") -> KeyPair:
    """A new RSA-2048 key; the selector is made from the month ("pr202611") unless given. Slow: see the module."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    selector = selector or f"pr{timezone.now():%Y%m}"
    return KeyPair(selector, _encrypt(private), base64.b64encode(public).decode("ascii"))


def make_dkim_key(tx: Transaction, domain_id: int, pair: KeyPair) -> int:
    """Store operation: `pair` becomes the domain's signing key; older ones stay for reference, inactive."""
    DkimKey.objects.filter(domain_id=domain_id).update(is_active=False)
    row = DkimKey.objects.create(
        domain_id=domain_id, selector=pair.selector, private_key=pair.private_key, public_key=pair.public_key
    )
    return row.pk


def load_private_key(row: DkimKey) -> rsa.RSAPrivateKey:
    """Decrypt and parse (about 1 ms; keep the result). Raises `KeyUnreadable`."""
    data = bytes(row.private_key)
    try:
        der = _cipher(settings.SECRET_KEY).decrypt(data[:NONCE_OCTETS], data[NONCE_OCTETS:], PURPOSE)
        key = serialization.load_der_private_key(der, password=None)
    except (InvalidTag, ValueError):
        raise KeyUnreadable(f"the DKIM key {row.selector} cannot be read with this SECRET_KEY") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyUnreadable(f"the DKIM key {row.selector} is not an RSA key")
    return key


def record_name(row: DkimKey) -> str:
    """Where the DNS record goes: "<selector>._domainkey.<domain>" in A-labels."""
    return f"{row.selector}._domainkey.{domain_to_ascii(row.domain.name)}"


def record_value(row: DkimKey) -> str:
    """The TXT record's content in one piece, as most DNS panels take it (RFC 6376 3.6.1)."""
    return f"v=DKIM1; k=rsa; p={row.public_key}"


def dns_record(row: DkimKey) -> str:
    """The whole record as a line of a zone file, in strings of at most 255 octets."""
    value = record_value(row)
    pieces = [value[start : start + TXT_STRING_OCTETS] for start in range(0, len(value), TXT_STRING_OCTETS)]
    return f"{record_name(row)}. IN TXT ( " + " ".join(f'"{piece}"' for piece in pieces) + " )"


def _encrypt(private: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_OCTETS)
    return nonce + _cipher(settings.SECRET_KEY).encrypt(nonce, private, PURPOSE)


@functools.lru_cache(maxsize=4)
def _cipher(secret: str) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), 32, salt=None, info=PURPOSE).derive(secret.encode()))
