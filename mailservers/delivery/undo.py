"""The seconds in which a user can take back what was sent: the message is held (RFC 4865) for so long.

The hold is UNDO_MARGIN_S longer than what the user is shown, so that an Undo clicked in the last second still comes in
time. A client that asks for a hold of its own gets that one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings

from mailservers.delivery.envelope import Envelope
from mailservers.store.statements import fetch, marks

UNDO_MARGIN_S = 3
MAX_UNDO_S = 300


@dataclass(frozen=True, slots=True)
class SenderWishes:
    """How a user wants mail to be sent."""

    undo_s: int  # 0: mail goes at once
    undo_submitted: bool  # mail from mail programs is held for so long, too
    stores_sent: bool  # mail from mail programs is put into Sent


def sender_wishes(user_id: int) -> SenderWishes:
    return wishes_of([user_id])[user_id]


def wishes_of(user_ids: Collection[int]) -> dict[int, SenderWishes]:
    """By user id."""
    rows = fetch(
        f"SELECT id, undo_s, undo_submitted, stores_sent FROM accounts_user WHERE id IN ({marks(len(user_ids))})",
        list(user_ids),
    )
    default = settings.UNDO_SEND_S
    return {
        pk: SenderWishes(default if undo_s is None else undo_s, bool(undo_submitted), bool(stores_sent))
        for pk, undo_s, undo_submitted, stores_sent in rows
    }


def undo_until(now: datetime, undo_s: int) -> datetime | None:
    """When a message accepted now may go; None: at once."""
    return now + timedelta(seconds=undo_s + UNDO_MARGIN_S) if undo_s > 0 else None


def held_for_undo(now: datetime, envelope: Envelope, undo_s: int) -> Envelope:
    if envelope.options.not_before is not None:
        return envelope
    return replace(envelope, options=replace(envelope.options, not_before=undo_until(now, undo_s)))
