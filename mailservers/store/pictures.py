"""The senders whose remote pictures a user always has shown."""

from __future__ import annotations

from mailservers.models import PictureSender
from mailservers.store.errors import StoreError
from mailservers.store.transaction import Transaction

MAX_SENDERS = 5000  # of one user


class TooManySenders(StoreError):
    pass


def show_pictures_of(tx: Transaction, user_id: int, address: str) -> None:
    """Store operation. Raises `TooManySenders`."""
    mine = PictureSender.objects.filter(user_id=user_id)
    if mine.filter(address=address.lower()).exists():
        return
    if mine.count() >= MAX_SENDERS:
        raise TooManySenders(f"pictures of at most {MAX_SENDERS} senders can be shown always")
    PictureSender.objects.create(user_id=user_id, address=address.lower())


def block_pictures_of(tx: Transaction, user_id: int, address: str) -> None:
    """Store operation."""
    PictureSender.objects.filter(user_id=user_id, address=address.lower()).delete()


def shows_pictures_of(user_id: int, address: str) -> bool:
    return PictureSender.objects.filter(user_id=user_id, address=address.lower()).exists()
