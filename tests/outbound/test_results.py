"""The queue's store operations on a simulated clock: claiming, back-off, giving up, notices, the console's acts."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

from accounts.models import User
from mailservers.models import DeliveryEvent, MailboxMessage, Message, QueuedMessage, QueuedRecipient
from mailservers.outbound.acts import Acted, remove, retry_now
from mailservers.outbound.leases import next_due, release_runners, renew
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.outbound.queue import QueueFilter, list_queue, queue_totals
from mailservers.outbound.results import pause_after
from mailservers.store.content import read_message
from mailservers.store.events import Step

from .conftest import Clock

Enqueue = Callable[..., QueuedMessage]

SENT = Outcome(Result.DELIVERED, "2.0.0", "250 2.0.0 ok", "", "mx.remote.test", "192.0.2.1", "TLSv1.3")
NO_USER = Outcome(Result.FAILED, "5.1.1", "550 5.1.1 no such user", "refused", "mx.remote.test", "192.0.2.1")
LATER = Outcome(
    Result.DEFERRED, "4.4.1", "", "mx.remote.test [192.0.2.1]: no connection", "mx.remote.test", "192.0.2.1"
)


def steps(trace_id: str) -> list[str]:
    return list(DeliveryEvent.objects.filter(trace_id=trace_id).order_by("id").values_list("step", flat=True))


def notices(user: User) -> list[EmailMessage]:
    places = MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name="INBOX").order_by("uid")
    raws = [read_message(pk) for pk in places.values_list("message_id", flat=True)]
    parsed = [email.message_from_bytes(raw or b"", policy=email.policy.default) for raw in raws]
    return parsed  # type: ignore[return-value]


# ---------------------------------------------------------------- claiming


def test_a_claim_is_by_message_and_domain(clock: Clock, enqueue: Enqueue) -> None:
    enqueue(("a@one.test", "b@one.test", "c@two.test"))
    enqueue(("d@one.test",))
    jobs = clock.claim()
    assert sorted([r.address for r in job.recipients] for job in jobs) == [
        ["a@one.test", "b@one.test"],
        ["c@two.test"],
        ["d@one.test"],
    ]
    assert clock.claim() == []  # leased


def test_allowances(clock: Clock, enqueue: Enqueue, settings: Any) -> None:
    settings.QUEUE_DESTINATION_START = 1
    for number in range(4):
        enqueue((f"{number}@one.test",))
    enqueue(("a@two.test",))
    assert sorted(job.domain for job in clock.claim()) == ["one.test", "one.test", "two.test"]
    assert clock.claim(one_test=0) == []
    assert [job.domain for job in clock.claim(one_test=1)] == ["one.test"]
    assert len(clock.claim(limit=1)) == 1


def test_many_recipients_are_claimed_in_portions(clock: Clock, enqueue: Enqueue) -> None:
    enqueue(tuple(f"{n}@one.test" for n in range(250)))
    assert [len(job.recipients) for _ in range(4) for job in clock.claim()] == [100, 100, 50]


def test_a_lease_runs_out_and_can_be_renewed(clock: Clock, enqueue: Enqueue, settings: Any) -> None:
    enqueue()
    (first,) = clock.claim()
    clock.now += timedelta(seconds=settings.QUEUE_LEASE_S - 1)
    assert clock.claim() == []
    clock.run(renew, [first.token])
    clock.now += timedelta(seconds=settings.QUEUE_LEASE_S - 1)
    assert clock.claim() == []
    clock.now += timedelta(seconds=2)
    (second,) = clock.claim()
    assert second.recipients == first.recipients and second.token != first.token


def test_who_lost_the_lease_may_only_report_a_delivery(clock: Clock, enqueue: Enqueue, anna: User) -> None:
    queued = enqueue()
    (lost,) = clock.claim()
    clock.now += timedelta(hours=1)
    (held,) = clock.claim()
    clock.record(lost, NO_USER)
    assert QueuedRecipient.objects.get().lease_token == held.token
    assert steps(queued.trace_id) == [Step.QUEUED]
    clock.record(lost, SENT)  # it is a fact
    assert not QueuedMessage.objects.exists()
    clock.record(held, NO_USER)  # too late: no notice for a message that has arrived
    assert steps(queued.trace_id) == [Step.QUEUED, Step.SENT]
    assert notices(anna) == []


def test_a_dead_runners_leases_are_released(clock: Clock, enqueue: Enqueue) -> None:
    enqueue(("a@one.test",))
    enqueue(("b@two.test",))
    clock.claim(1, runner="dead")
    clock.claim(1, runner="alive")
    assert clock.run(release_runners, ["dead"]) == 1
    assert len(clock.claim()) == 1


def test_next_due(clock: Clock, enqueue: Enqueue) -> None:
    assert next_due(clock.now, []) is None
    enqueue()
    due = next_due(clock.now, [])
    assert due is not None and due <= clock.now
    assert next_due(clock.now, ["remote.test"]) is None
    (job,) = clock.claim()
    assert next_due(clock.now, []) is None
    clock.record(job, LATER)
    due = next_due(clock.now, [])
    assert due is not None and due > clock.now


# ---------------------------------------------------------------- outcomes


def test_delivered(clock: Clock, enqueue: Enqueue, anna: User) -> None:
    queued = enqueue(sender=anna)
    clock.record(clock.claim()[0], SENT)
    assert not QueuedMessage.objects.exists() and not Message.objects.exists()
    event = DeliveryEvent.objects.get(step=Step.SENT)
    assert (event.trace_id, event.outcome, event.sender, event.recipient) == (
        queued.trace_id, "ok", "anna@harbour.test", "bob@remote.test",
    )  # fmt: skip
    assert (event.peer, event.detail) == ("mx.remote.test [192.0.2.1]", "250 2.0.0 ok")
    assert event.data == {"status": "2.0.0", "attempt": 1, "tls": "TLSv1.3"}
    assert notices(anna) == []


def test_failed_for_one_delivered_for_another(clock: Clock, enqueue: Enqueue, anna: User) -> None:
    queued = enqueue(("bob@remote.test", "no@remote.test", "later@remote.test"))
    (job,) = clock.claim()
    clock.record(job, SENT, no=NO_USER, later=LATER)
    states = dict(QueuedRecipient.objects.values_list("address", "state"))
    assert states == {"bob@remote.test": "delivered", "no@remote.test": "failed", "later@remote.test": "deferred"}
    (notice,) = notices(anna)
    assert notice["Return-Path"] == "<>"
    assert notice["In-Reply-To"] == "<tides@harbour.test>"
    status = list(notice.iter_parts())[1].get_payload()
    assert [block["Final-Recipient"] for block in status[1:]] == ["rfc822; no@remote.test"]
    assert status[1]["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert steps(queued.trace_id) == [*[Step.QUEUED] * 3, Step.SENT, Step.FAILED, Step.ATTEMPTED, Step.BOUNCED]
    bounced = DeliveryEvent.objects.get(step=Step.BOUNCED)
    assert steps(bounced.data["notice"]) == [Step.FILED]
    clock.now += timedelta(hours=1)
    (again,) = clock.claim()
    assert [r.address for r in again.recipients] == ["later@remote.test"]
    clock.record(again, SENT)
    assert not QueuedMessage.objects.exists()
    assert len(notices(anna)) == 1


def test_one_notice_for_all_that_failed_together(clock: Clock, enqueue: Enqueue, anna: User) -> None:
    enqueue(("a@remote.test", "b@remote.test"))
    (job,) = clock.claim()
    clock.record(job, NO_USER)
    clock.record(job, NO_USER)  # told twice: nothing more happens
    (notice,) = notices(anna)
    assert len(list(notice.iter_parts())[1].get_payload()) == 3
    assert not QueuedMessage.objects.exists()


def test_no_notice_for_a_notice(clock: Clock, enqueue: Enqueue) -> None:
    queued = enqueue(reverse_path="")
    clock.record(clock.claim()[0], NO_USER)
    assert steps(queued.trace_id) == [Step.QUEUED, Step.FAILED]
    assert not QueuedMessage.objects.exists() and not Message.objects.exists()


def test_a_notice_to_another_host_is_queued_with_an_empty_reverse_path(clock: Clock, enqueue: Enqueue) -> None:
    enqueue(reverse_path="bébé@elsewhere.test", smtputf8=True)
    clock.record(clock.claim()[0], NO_USER)
    notice = QueuedMessage.objects.get()
    assert (notice.reverse_path, notice.smtputf8) == ("", True)
    assert list(notice.recipients.values_list("address", "domain")) == [("bébé@elsewhere.test", "elsewhere.test")]
    assert steps(notice.trace_id) == [Step.QUEUED]


def test_a_reverse_path_of_ours_that_leads_nowhere(clock: Clock, enqueue: Enqueue, anna: User) -> None:
    enqueue(reverse_path="left@harbour.test")
    clock.record(clock.claim()[0], NO_USER)
    assert not QueuedMessage.objects.exists()
    event = DeliveryEvent.objects.get(step=Step.BOUNCED)
    assert (event.outcome, event.detail) == ("permanent", "Nobody was told: there is no left@harbour.test here")


# ---------------------------------------------------------------- time


def test_back_off_doubles_up_to_its_limit(settings: Any) -> None:
    settings.QUEUE_RETRY_FIRST_S, settings.QUEUE_RETRY_MAX_S = 100, 1000
    means = [100, 200, 400, 800, 1000, 1000]
    for attempts, mean in enumerate(means, 1):
        pauses = [pause_after(attempts).total_seconds() for _ in range(50)]
        assert mean * 0.9 <= min(pauses) < max(pauses) <= mean * 1.1
    assert pause_after(10_000).total_seconds() <= 1100


def test_a_dead_host_for_five_days(clock: Clock, enqueue: Enqueue, anna: User, settings: Any) -> None:
    settings.QUEUE_RETRY_MAX_S = 8 * 3600
    queued = enqueue()
    start, tries = clock.now, []
    while QueuedMessage.objects.exists():
        due = QueuedRecipient.objects.get().next_attempt
        clock.now = max(due, clock.now)
        tries.append((clock.now - start).total_seconds())
        clock.record(clock.claim()[0], LATER)
    assert tries[0] == 0 and 270 <= tries[1] <= 330
    assert 5 * 24 * 3600 - 120 <= tries[-1] <= 5 * 24 * 3600  # the last one when time is up
    assert 18 <= len(tries) <= 26
    delay, failure = notices(anna)
    assert "Not delivered yet" in delay["Subject"]
    status = list(failure.iter_parts())[1].get_payload()[1]
    assert (status["Action"], status["Status"]) == ("failed", "4.4.7")
    text = " ".join(next(iter(failure.iter_parts())).get_content().split())
    assert "I have tried for 5 days" in text and "no connection" in text
    told = [e.at for e in DeliveryEvent.objects.filter(data__has_key="notice")]
    assert (told[0] - start).total_seconds() - settings.QUEUE_DELAY_NOTICE_S < 5 * 3600
    assert steps(queued.trace_id).count(Step.ATTEMPTED) == len(tries) - 1 + 1
    assert steps(queued.trace_id)[-2:] == [Step.FAILED, Step.BOUNCED]


def test_permanent_refusals_are_never_tried_again_and_soon_is_soon(clock: Clock, enqueue: Enqueue) -> None:
    enqueue(("a@remote.test", "b@remote.test"))
    soon = Outcome(Result.DEFERRED, "4.5.3", "452 4.5.3 too many", try_soon=True)
    (job,) = clock.claim()
    clock.record(job, SENT, b=soon)
    row = QueuedRecipient.objects.get(address="b@remote.test")
    assert row.attempts == 0 and row.next_attempt - clock.now == timedelta(seconds=1)


# ---------------------------------------------------------------- the console


def test_pages_of_the_queue(clock: Clock, enqueue: Enqueue) -> None:
    enqueue(("a@one.test", "b@two.test"))
    enqueue(("c@two.test",), reverse_path="ben@harbour.test")
    rows = list_queue(limit=2)
    assert [row.recipient for row in rows] == ["c@two.test", "b@two.test"]
    assert [row.recipient for row in list_queue(before=rows[-1].id)] == ["a@one.test"]
    assert [row.recipient for row in list_queue(QueueFilter(sender="BEN@"))] == ["c@two.test"]
    assert [row.recipient for row in list_queue(QueueFilter(domain="one.test"))] == ["a@one.test"]
    assert (rows[0].subject, rows[0].sender, rows[0].is_in_progress) == ("Tide tables", "ben@harbour.test", False)
    (job,) = clock.claim(1)
    clock.record(job, LATER)
    clock.claim(1)
    assert [row.last_reply for row in list_queue(QueueFilter(state="deferred"))] == [LATER.explanation]
    assert sum(row.is_in_progress for row in list_queue()) == 1
    totals = queue_totals()
    assert (totals.waiting, totals.deferred) == (3, 1)


def test_retry_now(clock: Clock, enqueue: Enqueue) -> None:
    queued = enqueue()
    (job,) = clock.claim()
    ids = [job.recipients[0].id, 999_999]
    assert clock.run(retry_now, ids) == Acted(0, in_flight=1)
    clock.record(job, LATER)
    assert clock.claim() == []
    assert clock.run(retry_now, ids) == Acted(1)
    assert len(clock.claim()) == 1
    assert steps(queued.trace_id) == [Step.QUEUED, Step.ATTEMPTED, Step.QUEUED]


def test_cancel(clock: Clock, enqueue: Enqueue, anna: User) -> None:
    queued = enqueue(("a@one.test", "b@two.test"))
    first, second = QueuedRecipient.objects.order_by("id").values_list("id", flat=True)
    assert clock.run(remove, [first], "root@harbour.test") == Acted(1)
    assert [row.recipient for row in list_queue()] == ["b@two.test"]
    (job,) = clock.claim()
    assert clock.run(remove, [first, second], "root@harbour.test") == Acted(0, in_flight=1)  # it is being tried
    clock.record(job, LATER)
    assert clock.run(remove, [first, second], "root@harbour.test") == Acted(1)
    assert not QueuedMessage.objects.exists() and not Message.objects.exists()
    clock.record(job, NO_USER)
    assert notices(anna) == []
    assert steps(queued.trace_id) == [*[Step.QUEUED] * 2, Step.CANCELLED, Step.ATTEMPTED, Step.CANCELLED]
    event = DeliveryEvent.objects.filter(step=Step.CANCELLED).first()
    assert event is not None and event.detail == "Taken out of the queue by root@harbour.test"
