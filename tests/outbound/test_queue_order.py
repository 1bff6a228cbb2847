"""Fairness and set-asides on a simulated clock: turns of senders, dead domains, messages that kill their runner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailservers.models import DeliveryEvent, MailboxMessage, QueuedMessage, QueuedRecipient
from mailservers.outbound.acts import Acted, retry_now
from mailservers.outbound.leases import MAX_CRASHES, MAX_RECIPIENTS, claim, next_due, release_runners
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.outbound.passed_over import PassedOver
from mailservers.outbound.suspending import PORTION, suspend
from mailservers.store import turns
from mailservers.store.events import Step
from mailservers.store.transaction import Transaction

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


# ---------------------------------------------------------------- what is passed over


def claimed(clock: Clock, passed: PassedOver, limit: int = 100, **allowance: int) -> list[str]:
    """The domains of the jobs; what the claim leaves to the next is noted, as after a commit."""
    clock.number += 1
    tx = Transaction(clock.now)
    with transaction.atomic():
        rooms = {name.replace("_", "."): room for name, room in allowance.items()}
        jobs = claim(tx, f"r.{clock.number}", limit, rooms, passed)
    for act in tx.after_commit:
        act()
    return [job.domain for job in jobs]


def test_what_is_behind_a_full_domain_is_walked_past_once(clock: Clock, enqueue: Enqueue) -> None:
    passed = PassedOver()
    for number in range(3):
        enqueue((f"{number}@dead.test",))
    assert claimed(clock, passed, dead_test=0) == [] and passed.after(["dead.test"]) > 0
    enqueue(("b@good.test",))
    assert claimed(clock, passed, dead_test=0) == ["good.test"]
    assert claimed(clock, passed, dead_test=0) == []
    enqueue(("c@good.test",))
    assert claimed(clock, passed, dead_test=0, other_test=0) == ["good.test"], "more that is full is no reason to look"
    assert claimed(clock, passed) == ["dead.test"] * 3, "it has room again: all is looked at"


def test_what_falls_due_meanwhile_is_found_soon_after(clock: Clock, enqueue: Enqueue) -> None:
    passed = PassedOver()
    enqueue(("0@dead.test",))
    held = enqueue(("b@good.test",))
    QueuedRecipient.objects.filter(queued=held).update(next_attempt=clock.now + timedelta(seconds=1))
    assert claimed(clock, passed, dead_test=0) == []
    clock.now += timedelta(seconds=2)
    assert next_due(clock.now - timedelta(seconds=2), ["dead.test"], passed.after(["dead.test"])) is not None
    assert claimed(clock, passed, dead_test=0) == []
    passed.until = 0.0  # REMEMBER_S later
    assert claimed(clock, passed, dead_test=0) == ["good.test"]


def test_what_was_left_for_lack_of_room_is_not_passed_over(clock: Clock, enqueue: Enqueue) -> None:
    passed = PassedOver()
    enqueue(("0@dead.test",))
    for number in range(3):
        enqueue((f"{number}@good.test",))
    assert claimed(clock, passed, 2, dead_test=0) == ["good.test"] * 2 and not passed.after(["dead.test"])
    assert claimed(clock, passed, 2, dead_test=0) == ["good.test"] and passed.after(["dead.test"])


def test_nothing_is_passed_over_while_no_domain_is_full(clock: Clock, enqueue: Enqueue) -> None:
    passed = PassedOver()
    enqueue(("b@good.test",))
    assert claimed(clock, passed) == ["good.test"] and not passed.after([])


def test_many_recipients_of_one_message_are_all_found(clock: Clock, enqueue: Enqueue) -> None:
    passed = PassedOver()
    enqueue(("0@dead.test",))
    enqueue(tuple(f"b{number}@good.test" for number in range(MAX_RECIPIENTS + 5)))
    assert claimed(clock, passed, dead_test=0) == ["good.test"] and not passed.after(["dead.test"])
    assert claimed(clock, passed, dead_test=0) == ["good.test"]


def test_when_the_next_is_due_of_those_passed_over(clock: Clock, enqueue: Enqueue) -> None:
    old, new = enqueue(("0@good.test",)), enqueue(("1@good.test",))
    ids = {queued.pk: QueuedRecipient.objects.get(queued=queued).pk for queued in (old, new)}
    assert next_due(clock.now, [], ids[new.pk]) is None
    due = next_due(clock.now, [], ids[old.pk])
    assert due is not None and due <= clock.now
    QueuedRecipient.objects.filter(pk=ids[old.pk]).update(next_attempt=clock.now + timedelta(hours=1))
    assert next_due(clock.now, [], ids[new.pk]) == clock.now + timedelta(hours=1)
