"""Passwords on their way in: checked and hashed here, outside the store thread."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.auth.door import MAX_PASSWORD
from accounts.auth.scram import Keys, make_keys
from accounts.models import User
from accounts.services.errors import InvalidValue

_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"  # none that look alike
_GROUPS = 5


def hash_typed(password: str, user: User | None = None) -> str:
    """For a password that somebody chose: Django's validators first. About 20 ms; raises `InvalidValue`."""
    check_storable(password)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidValue(" ".join(error.messages), "password") from None
    return make_password(password)


def hash_given(password: str) -> str:
    """For a password that we made or that came from elsewhere: only what could never be checked is refused."""
    check_storable(password)
    return make_password(password)


def typed_or_made(typed: str | None, user: User | None = None) -> tuple[str, str]:
    """(the password if it was made here, its hash); None: one is made. Raises `InvalidValue`."""
    if typed is not None:
        return "", hash_typed(typed, user)
    made = generate_password()
    return made, hash_given(made)


def scram_keys_for(login: str, password: str) -> Keys | None:
    """What `set_password` keeps besides the hash, where SCRAM is offered. About 15 ms."""
    return make_keys(login.strip().lower(), password) if settings.SCRAM else None


def check_storable(password: str) -> None:
    """Raises `InvalidValue` for a password that `accounts.auth.door` would never accept."""
    if not password:
        raise InvalidValue("The password is missing.", "password")
    if "\0" in password or any("\ud800" <= c <= "\udfff" for c in password):
        raise InvalidValue("The password has characters that cannot be typed.", "password")
    if len(password.encode()) > MAX_PASSWORD:
        raise InvalidValue(f"The password is longer than {MAX_PASSWORD} octets.", "password")


def generate_password() -> str:
    """Five groups of four, about 98 bits, easy to read out: "k3fv-9x2p-…"."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(_GROUPS))
