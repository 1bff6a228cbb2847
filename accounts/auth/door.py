"""The one door: who may sign in, with a password, a SCRAM proof, or a bearer token.

    identity = await authenticate(login, password, address="192.0.2.1", service="imap")    # on the event loop
    identity = check(login, password, address=..., service="web")                           # on other threads

`accounts.auth.sasl` speaks the mechanisms and comes here with what they brought. `service` is the protocol: app
passwords and tokens open only those they were made for, and never the browser.

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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection
from django.db.models import Q

from accounts.auth import scram
from accounts.auth.app_secrets import find_app_password, valid
from accounts.auth.bearer import check_token
from accounts.auth.throttle import LaneFull, Throttle
from accounts.models import Credential, Role, ScramKeys, User
from mailservers.store.engine import read_here, store
from mailservers.store.errors import StoreError
from mailservers.store.statements import fetch
from mailservers.store.transaction import Transaction

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

MAX_PASSWORD = 1024  # octets
MAX_REMEMBERED = 20_000


class AuthenticationFailed(Exception):
    """Wrong login or password, or the user may not sign in. Text for strangers."""


class Throttled(AuthenticationFailed):
    """Too many failures from this address; trying again later may work."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has signed in, and with what: `credential_id` is the app password or token, None the user's own password."""

    user_id: int
    login: str
    name: str
    is_admin: bool
    credential_version: int = 0
    credential_id: int | None = None


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What a SCRAM exchange for a login runs with; `candidates` is empty for a login that is not here."""

    salt: bytes
    iterations: int
    candidates: tuple[tuple[int | None, scram.Keys], ...]  # (credential id, keys)


throttle = Throttle()
_key = secrets.token_bytes(32)
_remembered: OrderedDict[bytes, float] = OrderedDict()
_lock = threading.Lock()
_threads = concurrent.futures.ThreadPoolExecutor(2, "auth")
_decoy: list[str] = []
_THROTTLED = "too many failed logins; try again later"
_FAILED = "invalid login or password"


# ---------------------------------------------------------------- passwords


async def authenticate(login: str, password: str, *, address: str, service: str) -> Identity:
    """See the module. Argon2 runs on two threads of its own; a password that is remembered costs one short query."""
    login = normal_login(login)
    try:
        with throttle.lane(address, login) as wait_s:
            if wait_s:
                await asyncio.sleep(wait_s)
            known = await store.read(_known, login, password, service) if _remembered else None
            if known is not None:
                return known
            return await _in_thread(lambda: _check_password(login, password, address=address, service=service))
    except LaneFull:
        raise Throttled(_THROTTLED) from None


def check(login: str, password: str, *, address: str, service: str) -> Identity:
    """See the module. Blocks for about 20 ms when the password is not remembered."""
    login = normal_login(login)
    try:
        with throttle.lane(address, login) as wait_s:
            if wait_s:
                time.sleep(wait_s)
            return _check_password(login, password, address=address, service=service)
    except LaneFull:
        raise Throttled(_THROTTLED) from None


def normal_login(login: str) -> str:
    return login.strip().lower()


async def _through(login: str, address: str, act: Callable[[str], Identity]) -> Identity:
    login = normal_login(login)
    try:
        with throttle.lane(address, login) as wait_s:
            if wait_s:
                await asyncio.sleep(wait_s)
            return await _in_thread(lambda: act(login))
    except LaneFull:
        raise Throttled(_THROTTLED) from None


async def _in_thread(act: Callable[[], R]) -> R:
    return await asyncio.get_running_loop().run_in_executor(_threads, read_here, act)


_KNOWN = """
    SELECT u.id, u.login, u.name, u.role, u.credential_version, u.has_second_factor
    FROM accounts_user u JOIN accounts_domain d ON d.id = u.domain_id
    WHERE u.login = %s AND u.is_active AND d.is_active
"""


def _known(login: str, password: str, service: str) -> Identity | None:
    """Whose password this is, if it is remembered. Every mail program asks this again and again: no ORM."""
    for pk, name_here, name, role, version, has_second_factor in fetch(_KNOWN, (login,)):
        if _is_remembered(pk, version, password) and _opens_with_password(service, has_second_factor):
            return Identity(pk, name_here, name, role == Role.ADMIN, version)
    return None


def _check_password(login: str, password: str, *, address: str, service: str) -> Identity:
    user = _active_user(login=login)
    if (
        user is not None
        and _is_remembered(user.pk, user.credential_version, password)
        and _opens_with_password(service, user.has_second_factor)
    ):
        return _identity(user)
    _refuse_blocked(login, address, service)
    credential_id = find_app_password(user.pk if user else 0, password, service)
    if credential_id is None and not _is_right(user, password):
        raise _failed(login, address, service)
    assert user is not None
    if credential_id is None and not _opens_with_password(service, user.has_second_factor):
        raise AuthenticationFailed(_FAILED)  # not a guess: the owner's phone must not lock out the owner
    throttle.succeeded(address, login)
    if credential_id is None:
        _remember(user, password)
        _keep_scram_keys(user, password)
    return _identity(user, credential_id)


def _opens_with_password(service: str, has_second_factor: bool) -> bool:
    """A mail program cannot ask for a second factor: whose account has one uses app passwords there."""
    return service == "web" or not has_second_factor


def _active_user(**which: object) -> User | None:
    return User.objects.filter(**which, is_active=True, domain__is_active=True).first()


def _refuse_blocked(login: str, address: str, service: str) -> None:
    if throttle.is_blocked(address, login):
        log.warning("%s login of %r from %s refused: too many failures", service, login, address)
        raise Throttled(_THROTTLED)


def _failed(login: str, address: str, service: str) -> AuthenticationFailed:
    throttle.failed(address, login)
    log.info("%s login of %r from %s failed", service, login, address)
    return AuthenticationFailed(_FAILED)


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
        _write(_store_hash, user.pk, user.password, make_password(password))

    return check_password(password, user.password, setter=upgrade)


def _store_hash(tx: Transaction, user_id: int, old: str, new: str) -> None:
    User.objects.filter(pk=user_id, password=old).update(password=new)


def _identity(user: User, credential_id: int | None = None) -> Identity:
    return Identity(user.pk, user.login, user.name, user.is_admin, user.credential_version, credential_id)


# ---------------------------------------------------------------- SCRAM


async def scram_verifier(login: str, *, address: str, service: str) -> ScramVerifier:
    """For the server's first message. The same for a login that is not here, every time. Raises `Throttled`."""
    login = normal_login(login)

    def find() -> ScramVerifier:
        _refuse_blocked(login, address, service)
        salt = scram.salt_for(login)
        rows = ScramKeys.objects.filter(user__login=login, salt=salt, iterations=scram.ITERATIONS)
        columns = ("credential_id", "salt", "iterations", "stored_key", "server_key")
        found = rows.values_list(*columns)[:100]
        keys = tuple((row[0], scram.Keys(bytes(row[1]), row[2], bytes(row[3]), bytes(row[4]))) for row in found)
        return ScramVerifier(salt, scram.ITERATIONS, keys)

    return await asyncio.get_running_loop().run_in_executor(_threads, read_here, find)


async def scram_finish(
    login: str, credential_id: int | None, is_right: bool, *, address: str, service: str
) -> Identity:
    """After the client's proof was checked against the verifier's candidates."""

    def finish(login: str) -> Identity:
        user = _active_user(login=login)
        good = is_right and user is not None
        if credential_id is not None:
            good = good and _opens(credential_id, service)
        if not good:
            raise _failed(login, address, service)
        assert user is not None
        throttle.succeeded(address, login)
        return _identity(user, credential_id)

    return await _through(login, address, finish)


def _opens(credential_id: int, service: str) -> bool:
    return valid(Credential.Kind.APP_PASSWORD, service).filter(pk=credential_id).exists()


def _keep_scram_keys(user: User, password: str) -> None:
    """The first login with a password makes the keys that its hash could not give."""
    if not settings.SCRAM or user.has_second_factor:
        return
    salt = scram.salt_for(user.login)
    if ScramKeys.objects.filter(user=user, credential=None, salt=salt, iterations=scram.ITERATIONS).exists():
        return
    keys = scram.make_keys(user.login, password)
    if keys is not None:
        _write(_store_keys, user.pk, user.credential_version, keys)


def _write(operation: Callable[Concatenate[Transaction, P], None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Better secrets at rest, written at a login that does not need them: it works with a full disk, too."""
    try:
        store.call_sync(operation, *args, **kwargs)
    except StoreError as error:
        log.warning("%s waits for the next login: %s", operation.__name__, error)


def _store_keys(tx: Transaction, user_id: int, credential_version: int, keys: scram.Keys) -> None:
    if User.objects.filter(pk=user_id, credential_version=credential_version).exists():
        save_scram_keys(user_id, None, keys)


def save_scram_keys(user_id: int, credential_id: int | None, keys: scram.Keys) -> None:
    """Within a store operation: in place of those that were there."""
    own = Q(credential=None) if credential_id is None else Q(credential_id=credential_id)
    ScramKeys.objects.filter(own, user_id=user_id).delete()
    ScramKeys.objects.create(
        user_id=user_id,
        credential_id=credential_id,
        salt=keys.salt,
        iterations=keys.iterations,
        stored_key=keys.stored_key,
        server_key=keys.server_key,
    )


# ---------------------------------------------------------------- bearer tokens


async def authenticate_token(login: str, token: str, *, address: str, service: str) -> Identity:
    """`login` "" is the token's owner; else it must be theirs."""

    def act(login: str) -> Identity:
        _refuse_blocked(login, address, service)
        grant = check_token(token, service)
        user = _active_user(pk=grant.user_id) if grant is not None else None
        if grant is None or user is None or login not in ("", user.login):
            raise _failed(login, address, service)
        throttle.succeeded(address, login)
        return _identity(user, grant.credential_id)

    return await _through(login, address, act)


# ---------------------------------------------------------------- remembered passwords


def _digest(user_id: int, credential_version: int, password: str) -> bytes:
    text = f"{user_id}\0{credential_version}\0{password}".encode("utf-8", "surrogateescape")
    return hmac.new(_key, text, hashlib.sha256).digest()


def _is_remembered(user_id: int, credential_version: int, password: str) -> bool:
    digest = _digest(user_id, credential_version, password)
    with _lock:
        until = _remembered.get(digest)
    return until is not None and time.monotonic() < until


def _remember(user: User, password: str) -> None:
    with _lock:
        _remembered[_digest(user.pk, user.credential_version, password)] = time.monotonic() + settings.AUTH_CACHE_S
        while len(_remembered) > MAX_REMEMBERED:
            _remembered.popitem(last=False)


def forget_connections() -> None:
    """Close the auth threads' database connections (tests that drop the database)."""
    for _ in range(2):
        _threads.submit(connection.close).result()
