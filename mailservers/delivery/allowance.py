"""How much a user may send, and whom to: limits by the hour and the day, and a watch on new recipients.

A stolen password shows itself by mail to very many people the owner never wrote to. Messages over a limit are put off
(the client keeps them); once a user has written to SUBMISSION_STRANGERS_PER_DAY new addresses elsewhere within a day,
further messages to new ones are accepted but held in the queue, where an administrator sees them and lets them go or
throws them away. Nothing is lost, and nothing is sent that should not be.

A batch of messages is counted with one set of statements, each as if those before it had been written.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings

from mailservers.delivery.refusals import OverAllowance
from mailservers.models import SubmissionHour
from mailservers.store.inserting import execute_rows
from mailservers.store.statements import fetch, marks, to_moment
from mailservers.store.transaction import Transaction

log = logging.getLogger(__name__)

DAY = timedelta(hours=24)
CHUNK = 500  # values in one IN (...)


@dataclass(frozen=True, slots=True)
class Ask:
    """A message that a user submits. `remote`: its recipients elsewhere."""

    user_id: int
    login: str
    recipients: int
    remote: Sequence[str]


@dataclass(slots=True)
class _Sent:
    """What one user has sent: in the hour, in the day, and in this batch (`new_…`, to be written)."""

    hour_messages: int = 0
    hour_recipients: int = 0
    day_messages: int = 0
    day_recipients: int = 0
    strangers: int = 0
    has_hour: bool = False
    new_messages: int = 0
    new_recipients: int = 0
    new_strangers: list[str] = field(default_factory=list)

    def check(self, recipients: int) -> None:
        """Raises `OverAllowance`."""
        for span, sent, sent_to, messages, most in (
            ("hour", self.hour_messages, self.hour_recipients,
             settings.SUBMISSION_MESSAGES_PER_HOUR, settings.SUBMISSION_RECIPIENTS_PER_HOUR),
            ("day", self.day_messages, self.day_recipients,
             settings.SUBMISSION_MESSAGES_PER_DAY, settings.SUBMISSION_RECIPIENTS_PER_DAY),
        ):  # fmt: skip
            if messages and sent + self.new_messages + 1 > messages:
                raise OverAllowance(f"You may send {messages} messages in one {span}; try again later")
            if most and sent_to + self.new_recipients + recipients > most:
                raise OverAllowance(f"You may write to {most} recipients in one {span}; try again later")

    def count(self, recipients: int, strangers: Sequence[str]) -> None:
        self.new_messages += 1
        self.new_recipients += recipients
        self.new_strangers += strangers


def take_allowances(tx: Transaction, asks: Sequence[Ask]) -> list[str | OverAllowance]:
    """Part of the store operation that accepts users' messages: count them, in their order.

    Of each why it is to be held, or "", or that it is not taken (and not counted)."""
    hour = tx.now.replace(minute=0, second=0, microsecond=0)
    users = sorted({ask.user_id for ask in asks})  # so that two transactions never wait for each other
    sent = _read_sent(users, hour, tx.now - DAY)
    known = _read_known(users, {address.lower() for ask in asks for address in ask.remote})
    decided = [_decide(tx, ask, sent[ask.user_id], known) for ask in asks]
    _write(sent, hour)
    fresh = [user_id for user_id in users if sent[user_id].new_messages and not sent[user_id].has_hour]
    if fresh:  # once an hour for each user
        SubmissionHour.objects.filter(user_id__in=fresh, hour__lte=tx.now - DAY).delete()
    return decided


def _decide(tx: Transaction, ask: Ask, sent: _Sent, known: set[tuple[int, str]]) -> str | OverAllowance:
    try:
        sent.check(ask.recipients)
    except OverAllowance as error:
        return error
    addresses = dict.fromkeys(address.lower() for address in ask.remote)
    strangers = [address for address in addresses if (ask.user_id, address) not in known]
    limit, seen = settings.SUBMISSION_STRANGERS_PER_DAY, sent.strangers + len(sent.new_strangers)
    if not strangers or not 0 < limit < seen + len(strangers):
        known.update((ask.user_id, address) for address in strangers)
        sent.count(ask.recipients, strangers)
        return ""
    sent.count(ask.recipients, ())
    reason = f"{ask.login} has written to {seen} new addresses in a day, and this is to {len(strangers)} more"
    tx.after_commit.append(partial(log.warning, "mail is held: %s", reason))
    return reason


_SENT = """
    SELECT user_id, COALESCE(SUM(CASE WHEN hour = %s THEN messages END), 0),
        COALESCE(SUM(CASE WHEN hour = %s THEN recipients END), 0),
        SUM(messages), SUM(recipients), SUM(strangers), MAX(CASE WHEN hour = %s THEN 1 ELSE 0 END)
    FROM mailservers_submissionhour WHERE hour > %s AND user_id IN ({}) GROUP BY user_id
"""


def _read_sent(users: Sequence[int], hour: datetime, after: datetime) -> dict[int, _Sent]:
    moments = [to_moment(moment) for moment in (hour, hour, hour, after)]
    sent = {user_id: _Sent() for user_id in users}
    for user_id, messages, recipients, day_messages, day_recipients, strangers, has_hour in fetch(
        _SENT.format(marks(len(users))), [*moments, *users]
    ):
        sent[user_id] = _Sent(messages, recipients, day_messages, day_recipients, strangers, bool(has_hour))
    return sent


def _read_known(users: Sequence[int], addresses: Collection[str]) -> set[tuple[int, str]]:
    """(user id, address) of those that these users have written to."""
    wanted = list(addresses)
    known: set[tuple[int, str]] = set()
    for start in range(0, len(wanted), CHUNK):
        some = wanted[start : start + CHUNK]
        statement = (
            "SELECT user_id, address FROM mailservers_knownrecipient"
            f" WHERE user_id IN ({marks(len(users))}) AND address IN ({marks(len(some))})"
        )
        known.update((user_id, address) for user_id, address in fetch(statement, [*users, *some]))
    return known


_ADD_KNOWN = "INSERT INTO mailservers_knownrecipient (user_id, address) VALUES {} ON CONFLICT DO NOTHING"
_ADD_HOURS = """
    INSERT INTO mailservers_submissionhour (user_id, hour, messages, recipients, strangers) VALUES {}
    ON CONFLICT (user_id, hour) DO UPDATE SET
        messages = mailservers_submissionhour.messages + excluded.messages,
        recipients = mailservers_submissionhour.recipients + excluded.recipients,
        strangers = mailservers_submissionhour.strangers + excluded.strangers
"""


def _write(sent: dict[int, _Sent], hour: datetime) -> None:
    counted = [(user_id, s) for user_id, s in sent.items() if s.new_messages]
    strangers: Iterable[tuple[int, str]] = ((user_id, a) for user_id, s in counted for a in sorted(s.new_strangers))
    execute_rows(_ADD_KNOWN, list(strangers))
    execute_rows(
        _ADD_HOURS,
        [(user_id, to_moment(hour), s.new_messages, s.new_recipients, len(s.new_strangers)) for user_id, s in counted],
    )
