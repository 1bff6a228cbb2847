"""Checking a login and a password.

    identity = await authenticate(login, password, address="192.0.2.1", service="imap")    # on the event loop
    identity = check(login, password, address=..., service="web")                           # on other threads

Raises `AuthenticationFailed` (same words and the same work whether the user exists or not) or `Throttled`.

A verified password is remembered for AUTH_CACHE_S in memory only, under an HMAC of user, credential version and
password with a key of this process: phones log in often, and an Argon2 check costs about 20 ms. Changing a
password or disabling a user raises the credential version, which is read at each login. At most two Argon2 checks
run at once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection

from accounts.auth.throttle import Throttle
from accounts.models import User
from mailservers.store.engine import store
from mailservers.store.transaction import Transaction

log = logging.getLogger(__name__)

MAX_PASSWORD = 1024  # octets
MAX_REMEMBERED = 20_000


class AuthenticationFailed(Exception):
    """Wrong login or password, or the user may not sign in. Text for strangers."""


class Throttled(AuthenticationFailed):
    """Too many failures from this address; trying again later may work."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has signed in."""

    user_id: int
    login: str
    name: str
    is_admin: bool


throttle = Throttle()
_key = secrets.token_bytes(32)
_remembered: OrderedDict[bytes, float] = OrderedDict()
_lock = threading.Lock()
_threads = concurrent.futures.ThreadPoolExecutor(2, "auth")
_decoy: list[str] = []


async def authenticate(login: str, password: str, *, address: str, service: str) -> Identity:
    """See the module. Argon2 runs on two threads of its own."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, lambda: check(login, password, address=address, service=service))


def check(login: str, password: str, *, address: str, service: str) -> Identity:
    """See the module. Blocks for about 20 ms when the password is not remembered."""
    login = login.strip().lower()
    user = User.objects.filter(login=login, is_active=True, domain__is_active=True).first()
    if user is not None and _is_remembered(user, password):
        return _identity(user)
    if throttle.is_blocked(address, login):
        log.warning("%s login of %r from %s refused: too many failures", service, login, address)
        raise Throttled("too many failed logins; try again later")
    if not _is_right(user, password):
        throttle.failed(address, login)
        log.info("%s login of %r from %s failed", service, login, address)
        raise AuthenticationFailed("invalid login or password")
    assert user is not None
    throttle.succeeded(address, login)
    _remember(user, password)
    return _identity(user)


def _is_right(user: User | None, password: str) -> bool:
    """The same work for users who are not there; NUL and oversized passwords are never right."""
    if len(password.encode("utf-8", "surrogateescape")) > MAX_PASSWORD or "\0" in password:
        return False
    if user is None or not user.has_usable_password():
        if not _decoy:
            _decoy.append(make_password(secrets.token_hex()))
        check_password(password, _decoy[0])
        return False

    def upgrade(password: str) -> None:
        store.call_sync(_store_hash, user.pk, user.password, make_password(password))

    return check_password(password, user.password, setter=upgrade)


def _store_hash(tx: Transaction, user_id: int, old: str, new: str) -> None:
    User.objects.filter(pk=user_id, password=old).update(password=new)


def _identity(user: User) -> Identity:
    return Identity(user.pk, user.login, user.name, user.is_admin)


# ---------------------------------------------------------------- remembered passwords


def _digest(user: User, password: str) -> bytes:
    text = f"{user.pk}\0{user.credential_version}\0{password}".encode("utf-8", "surrogateescape")
    return hmac.new(_key, text, hashlib.sha256).digest()


def _is_remembered(user: User, password: str) -> bool:
    with _lock:
        until = _remembered.get(_digest(user, password))
    return until is not None and time.monotonic() < until


def _remember(user: User, password: str) -> None:
    with _lock:
        _remembered[_digest(user, password)] = time.monotonic() + settings.AUTH_CACHE_S
        while len(_remembered) > MAX_REMEMBERED:
            _remembered.popitem(last=False)


def forget_connections() -> None:
    """Close the auth threads' database connections (tests that drop the database)."""
    for _ in range(2):
        _threads.submit(connection.close).result()
