"""Fairness and set-asides on a simulated clock: turns of senders, dead domains, messages that kill their runner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailservers.models import DeliveryEvent, MailboxMessage, QueuedMessage, QueuedRecipient
from mailservers.outbound.acts import Acted, retry_now
from mailservers.outbound.leases import MAX_CRASHES, release_runners
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.outbound.suspending import PORTION, suspend
from mailservers.store import turns
from mailservers.store.events import Step

from .conftest import Clock

NOBODY = Outcome(Result.DEFERRED, "4.4.1", explanation="mx.dead.test: no connection", host="mx.dead.test")
Enqueue = Callable[..., QueuedMessage]


def test_a_bulk_sender_does_not_keep_others_waiting(clock: Clock, enqueue: Enqueue) -> None:
    for _ in range(5000):
        turns.take_turn("bulk@harbour.test", timezone.now())  # it has sent that many just now
    enqueue(("first@far.test",), reverse_path="bulk@harbour.test")
    enqueue(("second@far.test",), reverse_path="anna@harbour.test")
    assert [job.recipients[0].address for job in clock.claim(far_test=100)] == ["second@far.test", "first@far.test"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100)), max_size=60))
def test_turns_of_a_sender_ascend_and_never_lie_before_now(acts: list[tuple[str, int]]) -> None:
    turns._last.clear()
    now, last = datetime(2026, 11, 24), {}
    for sender, milliseconds in acts:
        now += timedelta(milliseconds=milliseconds)
        turn = turns.take_turn(sender, now)
        assert turn >= now and (sender not in last or turn - last[sender] >= turns.STEP)
        last[sender] = turn


def test_what_waits_for_a_dead_domain_is_put_off_together(clock: Clock, enqueue: Enqueue, anna: User) -> None:
    for number in range(5):
        enqueue((f"{number}@dead.test",))
    enqueue(("b@good.test",))
    (job,) = clock.claim(1, good_test=0)
    clock.record(job, NOBODY)
    assert clock.run(suspend, "r.s", "dead.test", NOBODY) == 4
    assert clock.run(suspend, "r.s", "dead.test", NOBODY) == 0
    assert [job.domain for job in clock.claim()] == ["good.test"]
    row = QueuedRecipient.objects.get(address="4@dead.test")
    assert (row.attempts, row.last_reply) == (0, "Not tried: mx.dead.test: no connection")
    assert clock.now < row.next_attempt < clock.now + timedelta(minutes=6)
    assert PORTION > 4


def test_time_goes_on_for_what_was_put_off(clock: Clock, enqueue: Enqueue, anna: User) -> None:
    """The sender is told of the delay once, and of the end, though only one message was ever tried."""
    for number in range(3):
        enqueue((f"{number}@dead.test",))

    def notices() -> int:
        return MailboxMessage.objects.filter(mailbox__owner=anna, mailbox__name="INBOX").count()

    for hours in (0, 5, 6):
        clock.now += timedelta(hours=hours)
        (job,) = clock.claim(1)
        clock.record(job, NOBODY)
        while clock.run(suspend, f"r.s{hours}", "dead.test", NOBODY):
            pass
        assert notices() == (0 if hours == 0 else 3)
    clock.now += timedelta(days=5)
    (job,) = clock.claim(1)
    clock.record(job, NOBODY)
    while clock.run(suspend, "r.end", "dead.test", NOBODY):
        pass
    assert notices() == 6 and not QueuedMessage.objects.exists()
    assert DeliveryEvent.objects.filter(step=Step.FAILED).count() == 3


def test_a_message_in_the_hands_of_three_dead_runners_is_set_aside(clock: Clock, enqueue: Enqueue) -> None:
    enqueue(("a@one.test",))
    for number in range(MAX_CRASHES):
        assert len(clock.claim(runner=f"dead{number}")) == 1
        clock.run(release_runners, [f"dead{number}"])
    assert clock.claim() == []
    row = QueuedRecipient.objects.get()
    assert (row.state, row.lease_token) == ("held", "") and "3 times" in row.last_reply
    assert DeliveryEvent.objects.filter(step=Step.HELD, recipient="a@one.test").count() == 1
    assert clock.run(retry_now, [row.pk]) == Acted(1)  # an administrator lets it go on
    assert len(clock.claim()) == 1
