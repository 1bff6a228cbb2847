"""One-time sign-in links: 256 random bits in the address, only their SHA-256 in the database.

A link dies by being deleted: whoever deletes the row (compare-and-set) is signed in, so it works once however many
requests come at the same time.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from accounts.models import OneTimeLink, User
from mailservers.store.engine import store
from mailservers.store.transaction import Transaction

LIFETIME = timedelta(hours=24)


def make_one_time_link(user_id: int) -> str:
    """A new link for a user: its path, to be put behind the server's address. For threads, not the event loop."""
    token = secrets.token_urlsafe(32)
    store.call_sync(_insert, user_id, _digest(token))
    return reverse("sign-in-link", args=[token])


def peek(token: str) -> User | None:
    """Whom the link would sign in; None when it is spent, too old, or the user may not sign in."""
    link = OneTimeLink.objects.filter(token_digest=_digest(token), expires_at__gt=timezone.now())
    return User.objects.filter(
        pk__in=link.values_list("user_id", flat=True), is_active=True, domain__is_active=True
    ).first()


def redeem(token: str) -> User | None:
    """Use the link up; the user to sign in, or None as in `peek`."""
    user = peek(token)
    if user is None or not store.call_sync(_delete, _digest(token)):
        return None
    return user


def _insert(tx: Transaction, user_id: int, digest: bytes) -> None:
    OneTimeLink.objects.filter(expires_at__lte=tx.now).delete()
    OneTimeLink.objects.create(user_id=user_id, token_digest=digest, expires_at=tx.now + LIFETIME)


def _delete(tx: Transaction, digest: bytes) -> bool:
    return OneTimeLink.objects.filter(token_digest=digest, expires_at__gt=tx.now).delete()[0] == 1


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
