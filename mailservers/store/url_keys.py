"""Mailbox access keys: the secrets behind URLs that authorize (RFC 4467 section 2.4).

Each user has one for each mailbox that they have made such URLs for; whoever changes it revokes the URLs.
"""

from __future__ import annotations

import hmac
import secrets

from mailservers.models import UrlKey
from mailservers.store.transaction import Transaction

KEY_OCTETS = 32
_ALGORITHM = "01"  # HMAC-SHA-256 of the URL; in front of the token (section 10)


def key_for(tx: Transaction, user_id: int, mailbox_id: int) -> bytes:
    """The user's key for the mailbox, made where there is none."""
    made = {"key": secrets.token_bytes(KEY_OCTETS)}
    row, _ = UrlKey.objects.get_or_create(user_id=user_id, mailbox_id=mailbox_id, defaults=made)
    return bytes(row.key)


def find_key(user_id: int, mailbox_id: int) -> bytes | None:
    key = UrlKey.objects.filter(user_id=user_id, mailbox_id=mailbox_id).values_list("key", flat=True).first()
    return None if key is None else bytes(key)


def reset_key(tx: Transaction, user_id: int, mailbox_id: int) -> None:
    """A new key: URLs made with the old one hold no more."""
    made = {"key": secrets.token_bytes(KEY_OCTETS)}
    UrlKey.objects.update_or_create(user_id=user_id, mailbox_id=mailbox_id, defaults=made)
    tx.key_changed(user_id, mailbox_id)


def remove_keys(tx: Transaction, user_id: int) -> None:
    """All of the user's URLs hold no more."""
    keys = UrlKey.objects.filter(user_id=user_id)
    for mailbox_id in list(keys.values_list("mailbox_id", flat=True)):
        tx.key_changed(user_id, mailbox_id)
    keys.delete()


def token(key: bytes, rump: bytes) -> str:
    """enc-urlauth = 32*HEXDIG"""
    return _ALGORITHM + hmac.digest(key, rump, "sha256").hex()
