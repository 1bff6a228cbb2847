"""How a user wants mail to be sent; the user's own choice, so no audit entry."""

from __future__ import annotations

from accounts.models import User
from accounts.services.errors import InvalidValue
from mailservers.delivery.undo import MAX_UNDO_S
from mailservers.store.transaction import Transaction


def set_sending_wishes(tx: Transaction, user_id: int, *, undo_s: int, undo_submitted: bool, stores_sent: bool) -> None:
    """Raises `InvalidValue`."""
    if not 0 <= undo_s <= MAX_UNDO_S:
        raise InvalidValue(f"The time to undo is {MAX_UNDO_S} seconds at most.", "undo_s")
    User.objects.filter(pk=user_id).update(undo_s=undo_s, undo_submitted=undo_submitted, stores_sent=stores_sent)
