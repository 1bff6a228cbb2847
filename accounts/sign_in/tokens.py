"""One-time links, to sign in or to choose a password: 256 random bits in the address, only their SHA-256 is kept.

A link dies by being deleted: whoever deletes the row (compare-and-set) is signed in, or sets the password, so it works
once however many requests come at the same time. A link of one kind is worth nothing at the other's address.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts.models import OneTimeLink, User
from accounts.services import hash_typed, scram_keys_for, set_password
from mailservers.store.engine import store
from mailservers.store.transaction import Transaction

LIFETIME = timedelta(hours=24)
INVITATION_LIFETIME = timedelta(days=7)


def make_one_time_link(user_id: int) -> str:
    """A new sign-in link: its path, to be put behind the server's address. For threads, not the event loop."""
    token = secrets.token_urlsafe(32)
    store.call_sync(_insert, user_id, digest_of(token), LIFETIME, False)
    return reverse("sign-in-link", args=[token])


def make_password_link(user_id: int) -> str:
    """The same for a link with which the user chooses a password."""
    token = secrets.token_urlsafe(32)
    store.call_sync(_insert, user_id, digest_of(token), INVITATION_LIFETIME, True)
    return reverse("choose-password", args=[token])


def peek(token: str, *, sets_password: bool = False) -> User | None:
    """Whose link it is; None when it is spent, too old, of the other kind, or the user may not sign in."""
    links = _living(token, sets_password)
    return User.objects.filter(
        pk__in=links.values_list("user_id", flat=True), is_active=True, domain__is_active=True
    ).first()


def redeem(token: str) -> User | None:
    """Use the link up; the user to sign in, or None as in `peek`."""
    user = peek(token)
    if user is None or not store.call_sync(_delete, token, False):
        return None
    return user


def redeem_with_password(token: str, password: str) -> User | None:
    """Use the link up and set the password, both or neither; None as in `peek`. Raises `InvalidValue` for a password
    that is no good: the link still works then."""
    user = peek(token, sets_password=True)
    if user is None:
        return None
    password_hash = hash_typed(password, user)
    keys = None if user.has_second_factor else scram_keys_for(user.login, password)

    def take(tx: Transaction) -> bool:
        if not _delete(tx, token, True):
            return False
        set_password(tx, user.pk, password_hash, actor=user.login, scram_keys=keys)
        return True

    if not store.call_sync(take):
        return None
    user.refresh_from_db()
    return user


def _living(token: str, sets_password: bool) -> QuerySet[OneTimeLink]:
    return OneTimeLink.objects.filter(
        token_digest=digest_of(token), sets_password=sets_password, expires_at__gt=timezone.now()
    )


def _insert(tx: Transaction, user_id: int, digest: bytes, lifetime: timedelta, sets_password: bool) -> None:
    OneTimeLink.objects.filter(expires_at__lte=tx.now).delete()
    OneTimeLink.objects.create(
        user_id=user_id, token_digest=digest, expires_at=tx.now + lifetime, sets_password=sets_password
    )


def _delete(tx: Transaction, token: str, sets_password: bool) -> bool:
    return _living(token, sets_password).delete()[0] == 1


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
