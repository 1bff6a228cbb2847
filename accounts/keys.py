"""DKIM keys (RFC 6376): made, kept encrypted, read back, and shown as a DNS record.

A private key lies in the database only sealed (`sealing`). The domain's name is not bound in: a row can be moved, but
not read elsewhere. Making an RSA-2048 key takes 100 to 500 ms of CPU: `generate` belongs in a thread, never in a store
operation.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from django.utils import timezone

from accounts.models import DkimKey
from accounts.sealing import Unreadable, seal, unseal
from mailservers.formats.mailbox_address import domain_to_ascii
from mailservers.store.transaction import Transaction

RSA_BITS = 2048  # RFC 8301 3.2
PURPOSE = b"postroom dkim private key v1"
TXT_STRING_OCTETS = 255  # one character-string of a TXT record (RFC 1035 3.3)


class KeyUnreadable(Exception):
    """The private key was encrypted under another SECRET_KEY, or the row is damaged."""


RSA, ED25519 = "rsa-sha256", "ed25519-sha256"  # RFC 8463: verifiers that do not know the second use the first
PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key on its way into the database."""

    selector: str
    algorithm: str
    private_key: bytes  # encrypted PKCS #8
    public_key: str  # base64, as in the DNS record's p=


def generate(selector: str = "") -> tuple[KeyPair, KeyPair]:
    """A new RSA-2048 key and a new Ed25519 key; their selectors are made from the day ("pr20261124", and "…e") unless
    given. Slow: see the module."""
    selector = selector or f"pr{timezone.now():%Y%m%d}"
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    ed_key = ed25519.Ed25519PrivateKey.generate()
    spki = rsa_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    raw = ed_key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return _pair(selector, RSA, rsa_key, spki), _pair(f"{selector}e", ED25519, ed_key, raw)


def _pair(selector: str, algorithm: str, key: PrivateKey, public: bytes) -> KeyPair:
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(selector, algorithm, seal(private, PURPOSE), base64.b64encode(public).decode("ascii"))


def make_dkim_keys(tx: Transaction, domain_id: int, pairs: Sequence[KeyPair], *, is_active: bool = True) -> list[int]:
    """Store operation: `pairs` become the domain's signing keys at once, or (`is_active` False) when their records have
    been published. A selector that is taken gets a letter more. The new rows' ids."""
    ids = []
    for pair in pairs:
        row = DkimKey.objects.create(
            domain_id=domain_id,
            selector=_free_selector(domain_id, pair.selector),
            algorithm=pair.algorithm,
            private_key=pair.private_key,
            public_key=pair.public_key,
            is_active=False,
        )
        ids.append(row.pk)
        if is_active:
            activate_dkim_key(tx, row.pk)
    return ids


def activate_dkim_key(tx: Transaction, key_id: int) -> None:
    """Store operation: the key signs from now on; the domain's others of its algorithm retire."""
    row = DkimKey.objects.filter(pk=key_id).first()
    if row is None:
        return
    others = DkimKey.objects.filter(domain_id=row.domain_id, algorithm=row.algorithm).exclude(pk=key_id)
    others.filter(is_active=True).update(is_active=False, retired_at=tx.now)
    DkimKey.objects.filter(pk=key_id).update(is_active=True, retired_at=None)


def _free_selector(domain_id: int, selector: str) -> str:
    taken = set(DkimKey.objects.filter(domain_id=domain_id).values_list("selector", flat=True))
    endings = ("", *"abcdfghijklmnopqrstuvwxyz")
    return next(selector + ending for ending in endings if selector + ending not in taken)


def load_private_key(row: DkimKey) -> PrivateKey:
    """Decrypt and parse (about 1 ms; keep the result). Raises `KeyUnreadable`."""
    data = bytes(row.private_key)
    try:
        key = serialization.load_der_private_key(unseal(data, PURPOSE), password=None)
    except (Unreadable, ValueError):
        raise KeyUnreadable(f"the DKIM key {row.selector} cannot be read with this SECRET_KEY") from None
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise KeyUnreadable(f"the DKIM key {row.selector} is of a kind that mail does not know")
    return key


def record_name(row: DkimKey) -> str:
    """Where the DNS record goes: "<selector>._domainkey.<domain>" in A-labels."""
    return f"{row.selector}._domainkey.{domain_to_ascii(row.domain.name)}"


def record_value(row: DkimKey) -> str:
    """The TXT record's content in one piece, as most DNS panels take it (RFC 6376 3.6.1)."""
    kind = "ed25519" if row.algorithm == ED25519 else "rsa"
    return f"v=DKIM1; k={kind}; p={row.public_key}"


def dns_record(row: DkimKey) -> str:
    """The whole record as a line of a zone file, in strings of at most 255 octets."""
    value = record_value(row)
    pieces = [value[start : start + TXT_STRING_OCTETS] for start in range(0, len(value), TXT_STRING_OCTETS)]
    return f"{record_name(row)}. IN TXT ( " + " ".join(f'"{piece}"' for piece in pieces) + " )"
