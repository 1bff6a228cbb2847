"""How much a user may send, and whom to: limits by the hour and the day, and a watch on new recipients.

A stolen password shows itself by mail to very many people the owner never wrote to. Messages over a limit are put off
(the client keeps them); once a user has written to SUBMISSION_STRANGERS_PER_DAY new addresses elsewhere within a day,
further messages to new ones are accepted but held in the queue, where an administrator sees them and lets them go or
throws them away. Nothing is lost, and nothing is sent that should not be.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F

from mailservers.delivery.refusals import OverAllowance
from mailservers.models import KnownRecipient, SubmissionHour
from mailservers.store.transaction import Transaction

log = logging.getLogger(__name__)

DAY = timedelta(hours=24)


def take_allowance(tx: Transaction, user_id: int, login: str, recipients: int, remote: Sequence[str]) -> str:
    """Part of the store operation that accepts a user's message: count it. `remote`: the addresses elsewhere.

    Returns why it is to be held, or "". Raises `OverAllowance`."""
    hour = tx.now.replace(minute=0, second=0, microsecond=0)
    rows = list(
        SubmissionHour.objects.filter(user_id=user_id).values_list("hour", "messages", "recipients", "strangers")
    )
    today = [row for row in rows if row[0] > tx.now - DAY]
    _check(hour, today, recipients)
    strangers = _strangers(user_id, remote)
    seen = sum(row[3] for row in today)
    limit = settings.SUBMISSION_STRANGERS_PER_DAY
    is_held = bool(strangers) and 0 < limit < seen + len(strangers)
    if not is_held and strangers:
        KnownRecipient.objects.bulk_create(
            [KnownRecipient(user_id=user_id, address=address) for address in strangers], ignore_conflicts=True
        )
    _count(user_id, hour, recipients, 0 if is_held else len(strangers), is_new=all(row[0] != hour for row in rows))
    if len(today) < len(rows):
        SubmissionHour.objects.filter(user_id=user_id, hour__lte=tx.now - DAY).delete()
    if not is_held:
        return ""
    reason = f"{login} has written to {seen} new addresses in a day, and this is to {len(strangers)} more"
    tx.after_commit.append(lambda: log.warning("mail is held: %s", reason))
    return reason


def _check(hour: datetime, today: Sequence[tuple[datetime, int, int, int]], recipients: int) -> None:
    this_hour = [row for row in today if row[0] == hour]
    for rows, span, messages, most in (
        (this_hour, "hour", settings.SUBMISSION_MESSAGES_PER_HOUR, settings.SUBMISSION_RECIPIENTS_PER_HOUR),
        (today, "day", settings.SUBMISSION_MESSAGES_PER_DAY, settings.SUBMISSION_RECIPIENTS_PER_DAY),
    ):
        if messages and sum(row[1] for row in rows) + 1 > messages:
            raise OverAllowance(f"You may send {messages} messages in one {span}; try again later")
        if most and sum(row[2] for row in rows) + recipients > most:
            raise OverAllowance(f"You may write to {most} recipients in one {span}; try again later")


def _strangers(user_id: int, remote: Sequence[str]) -> list[str]:
    addresses = list(dict.fromkeys(address.lower() for address in remote))
    if not addresses:
        return []
    known = set(KnownRecipient.objects.filter(user_id=user_id, address__in=addresses).values_list("address", flat=True))
    return [address for address in addresses if address not in known]


def _count(user_id: int, hour: datetime, recipients: int, strangers: int, *, is_new: bool) -> None:
    if is_new:
        _, is_new = SubmissionHour.objects.get_or_create(
            user_id=user_id, hour=hour, defaults={"messages": 1, "recipients": recipients, "strangers": strangers}
        )
    if not is_new:
        SubmissionHour.objects.filter(user_id=user_id, hour=hour).update(
            messages=F("messages") + 1, recipients=F("recipients") + recipients, strangers=F("strangers") + strangers
        )
