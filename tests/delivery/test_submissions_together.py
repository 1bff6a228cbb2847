"""Users' messages that wait together are written together, and counted as if one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from django.test import override_settings

from accounts.models import User
from mailservers.delivery.acceptance import Submission, accept_submitted, write_submissions
from mailservers.delivery.envelope import Envelope, Recipient
from mailservers.delivery.refusals import OverAllowance
from mailservers.delivery.routing import Resolution, resolve_address
from mailservers.models import KnownRecipient, MailboxMessage, QueuedRecipient, RecipientState, SentTrace
from mailservers.models import SubmissionHour as Hour
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.errors import OverQuota
from mailservers.store.events import new_trace_id

MakeUser = Callable[..., User]


def submission(user: User, *remote: str, to: str = "") -> Submission:
    recipients = [Recipient(address, Resolution((), (address,))) for address in remote]
    if to:
        recipients.append(Recipient(to, resolve_address(to)))
    trace_id = new_trace_id()
    header = f"From: {user.login}\r\nMessage-ID: <{trace_id}@harbour.test>\r\n\r\n".encode()
    envelope = Envelope(
        trace_id, user.login, "192.0.2.1", sender_id=user.pk, sender_login=user.login, recipients=recipients
    )
    return Submission(envelope, prepare(header + b"Tide at nine.\r\n"), header)


def write(*submissions: Submission) -> list[Exception | None]:
    return store.call_sync(write_submissions, list(submissions))


def counted(user: User) -> list[tuple[int, int, int]]:
    return list(Hour.objects.filter(user=user).values_list("messages", "recipients", "strangers"))


@pytest.mark.parametrize("together", [True, False])
def test_limits_are_each_users_and_exact(make_user: MakeUser, *, together: bool) -> None:
    anna, ben = make_user("anna@harbour.test"), make_user("ben@harbour.test")
    batch = [submission(anna, "a@x.test"), submission(ben, "a@x.test", "b@x.test")]
    batch += [submission(anna, "A@x.test", "c@x.test"), submission(anna, "d@x.test"), submission(ben, "b@x.test")]
    with override_settings(SUBMISSION_MESSAGES_PER_HOUR=2):
        outcomes = write(*batch) if together else [outcome for item in batch for outcome in write(item)]
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 3 + [OverAllowance, type(None)]
    assert (counted(anna), counted(ben)) == ([(2, 3, 2)], [(2, 3, 2)])
    assert QueuedRecipient.objects.count() == 6
    assert SentTrace.objects.count() == KnownRecipient.objects.count() == 4


@pytest.mark.parametrize("together", [True, False])
def test_strangers_are_counted_within_the_batch(make_user: MakeUser, *, together: bool) -> None:
    anna = make_user("anna@harbour.test")
    batch = [submission(anna, address) for address in ("a@x.test", "b@x.test", "c@x.test", "a@x.test", "c@x.test")]
    with override_settings(SUBMISSION_STRANGERS_PER_DAY=2):
        assert (write(*batch) if together else [o for item in batch for o in write(item)]) == [None] * 5
    states = dict.fromkeys(("a@x.test", "b@x.test"), RecipientState.QUEUED) | {"c@x.test": RecipientState.HELD}
    assert {(r.address, r.state) for r in QueuedRecipient.objects.all()} == set(states.items())
    assert counted(anna) == [(5, 5, 2)]
    assert MailboxMessage.objects.filter(mailbox__name="Outbox").count() == 2  # the held


async def test_one_that_fails_neither_counts_nor_disturbs_the_others(make_user: MakeUser, mail: None) -> None:
    anna, ben = await asyncio.to_thread(make_user, "anna@harbour.test"), await asyncio.to_thread(make_user, "b@h.test")
    await User.objects.filter(pk=ben.pk).aupdate(quota_octets=1)
    items = [
        await asyncio.to_thread(submission, anna, *remote, to=to)
        for remote, to in ((("a@x.test",), ""), ((), "b@h.test"), (("c@x.test",), ""))
    ]
    calls = [store.call(accept_submitted, item) for item in items]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert outcomes[0] is None and outcomes[2] is None and isinstance(outcomes[1], OverQuota)
    assert await asyncio.to_thread(counted, anna) == [(2, 2, 2)]
