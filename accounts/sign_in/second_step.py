"""Signing in, after the password: a code, a recovery code or a passkey; or a passkey alone, instead of all that.

Who has shown the password waits in the session, for PENDING_S and MAX_TRIES; nobody is signed in until the second step.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from django.contrib import auth
from django.http import HttpRequest

from accounts.auth import passkeys, totp
from accounts.auth.door import throttle
from accounts.models import SecondFactor, User
from accounts.sealing import Unreadable
from accounts.services.second_factors import use_passkey, use_recovery_code, use_totp
from mailservers.store.engine import store

log = logging.getLogger(__name__)

BACKEND = "accounts.auth.backend.OneDoorBackend"
PENDING_S = 600
MAX_TRIES = 10
_PENDING, _CHALLENGE = "second_step", "sign_in_passkey"


@dataclass(frozen=True, slots=True)
class Pending:
    """Who has shown the password, and where they want to go."""

    user: User
    target: str


def begin(request: HttpRequest, user: User, target: str) -> None:
    """The password (or a one-time link) was right."""
    request.session.cycle_key()
    request.session[_PENDING] = {
        "user": user.pk, "hash": user.get_session_auth_hash(), "at": time.time(), "target": target, "tries": 0,
    }  # fmt: skip


def pending(request: HttpRequest) -> Pending | None:
    """None: too late, too many tries, or the password was changed meanwhile."""
    kept = request.session.get(_PENDING)
    if not kept or time.time() - kept["at"] > PENDING_S or kept["tries"] >= MAX_TRIES:
        request.session.pop(_PENDING, None)
        return None
    user = User.objects.filter(pk=kept["user"], is_active=True, domain__is_active=True).first()
    if user is None or user.get_session_auth_hash() != kept["hash"]:
        return None
    return Pending(user, kept["target"])


def finish(request: HttpRequest, user: User) -> None:
    request.session.pop(_PENDING, None)
    auth.login(request, user, backend=BACKEND)


def is_throttled(request: HttpRequest, user: User) -> bool:
    return throttle.is_blocked(_address(request), user.login)


def _failed(request: HttpRequest, user: User) -> None:
    throttle.failed(_address(request), user.login)
    kept = request.session.get(_PENDING)
    if kept:
        request.session[_PENDING] = {**kept, "tries": kept["tries"] + 1}
    log.info("a second step of %s from %s failed", user.login, _address(request))


def _address(request: HttpRequest) -> str:
    return request.META.get("REMOTE_ADDR", "")


def take_code(request: HttpRequest, user: User, code: str) -> bool:
    """A code of one of the user's apps, or a recovery code."""
    if is_throttled(request, user):
        return False
    if _is_right(user, code):
        throttle.succeeded(_address(request), user.login)
        return True
    _failed(request, user)
    return False


def _is_right(user: User, code: str) -> bool:
    for factor in user.second_factors.filter(kind=SecondFactor.Kind.TOTP):
        try:
            step = totp.matching_step(bytes(factor.secret), code, after=factor.used_step)
        except Unreadable:
            log.error("a second factor of %s cannot be read with this SECRET_KEY", user.login)
            continue
        if step is not None and store.call_sync(use_totp, factor.pk, step):
            return True
    return store.call_sync(use_recovery_code, user.pk, code)


# ---------------------------------------------------------------- passkeys


def passkey_options(request: HttpRequest, user: User | None) -> str:
    """JSON for the browser; `user` None: whoever the passkey says it is, without a password."""
    known: list[bytes] = []
    if user is not None:
        rows = user.second_factors.exclude(credential=None).values_list("credential", flat=True)
        known = [bytes(credential) for credential in rows if credential]
    options, request.session[_CHALLENGE] = passkeys.sign_in_options(request, known, alone=user is None)
    return options


def take_passkey(request: HttpRequest, user: User | None, answer: str) -> User | None:
    """Whose passkey it is; None when the answer does not hold. `user`: who it has to be."""
    challenge = request.session.pop(_CHALLENGE, "")
    try:
        shown = passkeys.shown(answer)
        factor = SecondFactor.objects.filter(credential=shown.credential).select_related("user__domain").first()
        if factor is None or (user or factor.user).pk != factor.user.pk or not _may_sign_in(factor.user):
            raise passkeys.PasskeyRefused("nobody here has it")
        if shown.user_id not in (None, factor.user.pk):
            raise passkeys.PasskeyRefused("it says that it is somebody else's")
        count = passkeys.check_sign_in(
            request,
            answer,
            challenge,
            public_key=bytes(factor.public_key),
            sign_count=factor.sign_count,
            alone=user is None,
        )
    except passkeys.PasskeyRefused as error:
        log.info("a passkey from %s was refused: %s", _address(request), error)
        if user is not None:
            _failed(request, user)
        return None
    store.call_sync(use_passkey, factor.pk, count)
    return factor.user


def _may_sign_in(user: User) -> bool:
    return user.is_active and user.domain.is_active
