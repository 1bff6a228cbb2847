"""The seconds in which a user can take back what was sent: the message is held (RFC 4865) for so long.

The hold is UNDO_MARGIN_S longer than what the user is shown, so that an Undo clicked in the last second still comes in
time. A client that asks for a hold of its own gets that one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import User
from mailservers.delivery.envelope import Envelope

UNDO_MARGIN_S = 3
MAX_UNDO_S = 300


@dataclass(frozen=True, slots=True)
class SenderWishes:
    """How a user wants mail to be sent."""

    undo_s: int  # 0: mail goes at once
    undo_submitted: bool  # mail from mail programs is held for so long, too
    stores_sent: bool  # mail from mail programs is put into Sent


def sender_wishes(user_id: int) -> SenderWishes:
    columns = ("undo_s", "undo_submitted", "stores_sent")
    undo_s, undo_submitted, stores_sent = User.objects.values_list(*columns).get(pk=user_id)
    return SenderWishes(settings.UNDO_SEND_S if undo_s is None else undo_s, undo_submitted, stores_sent)


def undo_until(now: datetime, undo_s: int) -> datetime | None:
    """When a message accepted now may go; None: at once."""
    return now + timedelta(seconds=undo_s + UNDO_MARGIN_S) if undo_s > 0 else None


def held_for_undo(now: datetime, envelope: Envelope, undo_s: int) -> Envelope:
    if envelope.options.not_before is not None:
        return envelope
    return replace(envelope, options=replace(envelope.options, not_before=undo_until(now, undo_s)))
