"""Secrets that we must be able to read again: kept as AES-256-GCM under a key derived (HKDF-SHA256) from the
installation's SECRET_KEY, which is outside the database. `purpose` keeps one kind from being taken for another.
"""

from __future__ import annotations

import functools
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

NONCE_OCTETS = 12


class Unreadable(Exception):
    """Sealed under another SECRET_KEY or for another purpose, or damaged."""


def seal(secret: bytes, purpose: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_OCTETS)
    return nonce + _cipher(settings.SECRET_KEY, purpose).encrypt(nonce, secret, purpose)


def unseal(data: bytes, purpose: bytes) -> bytes:
    """Raises `Unreadable`."""
    try:
        return _cipher(settings.SECRET_KEY, purpose).decrypt(data[:NONCE_OCTETS], data[NONCE_OCTETS:], purpose)
    except (InvalidTag, ValueError) as error:
        raise Unreadable from error


@functools.lru_cache(maxsize=8)
def _cipher(secret: str, purpose: bytes) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), 32, salt=None, info=purpose).derive(secret.encode()))
