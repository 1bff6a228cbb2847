"""Codes of authenticator apps (RFC 6238: SHA-1, 30 s, six digits, as all of them know it)."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from accounts.sealing import seal, unseal

STEP_S = 30
DIGITS = 6
TOLERATED_STEPS = 1  # either way: clocks differ
SECRET_OCTETS = 20  # RFC 4226 section 4
PURPOSE = b"postroom second factor v1"


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_OCTETS)


def sealed(secret: bytes) -> bytes:
    return seal(secret, PURPOSE)


def opened(sealed_secret: bytes) -> bytes:
    """Raises `Unreadable`."""
    return unseal(sealed_secret, PURPOSE)


def matching_step(sealed_secret: bytes, code: str, *, after: int = 0, now: float | None = None) -> int | None:
    """The time step that the code is of, later than `after`; None when it is not right. Raises `Unreadable`."""
    code = code.replace(" ", "")
    totp = _totp(opened(sealed_secret))
    current = int(time.time() if now is None else now) // STEP_S
    found = None
    for step in range(current - TOLERATED_STEPS, current + TOLERATED_STEPS + 1):
        if hmac.compare_digest(totp.generate(step * STEP_S), code.encode("utf-8", "replace")) and step > after:
            found = step
    return found


def code_at(secret: bytes, moment: float) -> str:
    return _totp(secret).generate(int(moment)).decode()


def provisioning_uri(secret: bytes, login: str, issuer: str) -> str:
    """For the QR code."""
    base32 = base32_secret(secret)
    return f"otpauth://totp/{quote(issuer)}:{quote(login)}?secret={base32}&issuer={quote(issuer)}"


def base32_secret(secret: bytes) -> str:
    """To be typed where there is no camera."""
    return base64.b32encode(secret).decode().rstrip("=")


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_S, enforce_key_length=False)
