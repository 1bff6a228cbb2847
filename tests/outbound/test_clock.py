"""The system's clock is set back by a day: what waits in the queue does not wait for it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from mailservers.models import QueuedRecipient, RecipientState
from mailservers.outbound import clock as clock_module
from mailservers.outbound.clock import SystemClock, bring_back
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.outbound.suspending import suspend
from mailservers.store.engine import store
from mailservers.store.placing import deliver
from mailservers.store.transaction import Transaction

from .conftest import Clock, queue_delivery, running, until
from .fake_smtp import FakeHost
from .test_runner import happened, queue_is_empty

DAY = timedelta(days=1)
LATER = Outcome(Result.DEFERRED, "4.4.1", "", "no connection", "mx.remote.test", "192.0.2.1")


def waits(clock: Clock, address: str) -> timedelta:
    return QueuedRecipient.objects.get(address=address).next_attempt - clock.now


def test_retries_are_counted_from_now_on(clock: Clock, enqueue: Any) -> None:
    enqueue(("often@remote.test", "once@remote.test"))
    (job,) = clock.claim()
    clock.record(job, LATER)
    clock.now -= DAY
    assert waits(clock, "once@remote.test") > DAY and not clock.claim()
    assert clock.run(bring_back) == 2
    assert waits(clock, "once@remote.test") == timedelta(seconds=settings.QUEUE_RETRY_FIRST_S)
    assert clock.run(bring_back) == 0  # no runner puts it off again
    clock.now += timedelta(seconds=settings.QUEUE_RETRY_FIRST_S)
    assert len(clock.claim()) == 1


def test_new_mail_is_due_and_what_was_put_off_without_an_attempt_soon(clock: Clock, enqueue: Any) -> None:
    enqueue(("bob@remote.test",))
    clock.now = timezone.now() - DAY  # it was taken "tomorrow"
    assert not clock.claim()
    assert clock.run(bring_back) == 1 and len(clock.claim()) == 1
    enqueue(("carol@silent.test",))
    clock.now = timezone.now() + timedelta(hours=3)  # so it was taken before what the clock is set back to
    assert clock.run(suspend, "r.9", "silent.test", LATER) == 1
    assert clock.run(bring_back) == 0  # a pause as it should be
    clock.now -= timedelta(hours=2)
    assert clock.run(bring_back) == 1
    assert waits(clock, "carol@silent.test") == timedelta(0)


def test_what_is_to_be_sent_at_a_moment_stays(clock: Clock, enqueue: Any) -> None:
    enqueue(("bob@remote.test",))
    at = clock.now + timedelta(days=3)
    QueuedRecipient.objects.update(next_attempt=at)
    for moment in (clock.now, clock.now - DAY):
        clock.now = moment
        assert clock.run(bring_back) == 0
    enqueue(("held@remote.test",))
    QueuedRecipient.objects.filter(address="held@remote.test").update(state=RecipientState.HELD)
    assert clock.run(bring_back) == 0


def test_a_step_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    assert clock.was_set_back() and not clock.was_set_back()
    for step_s, is_back in ((86_400, False), (-86_400, True), (-30, False), (-3600, True)):
        now = time.time() + step_s
        monkeypatch.setattr(clock_module.time, "time", lambda now=now: now)
        assert clock.was_set_back() is is_back and not clock.was_set_back()


async def test_the_runner_sends_what_was_to_wait_for_a_day(mail: None, settings: Any) -> None:
    def put_off(tx: Transaction) -> None:
        tomorrow = tx.now + DAY
        rows = QueuedRecipient.objects.all()
        rows.update(state=RecipientState.DEFERRED, attempts=1, next_attempt=tomorrow, last_attempt=tomorrow)

    settings.QUEUE_RETRY_FIRST_S = 0
    async with FakeHost() as host:
        settings.ROUTES = {"remote.test": f"127.0.0.1:{host.port}"}
        await store.call(deliver, queue_delivery())
        await store.call(put_off)
        async with running():
            await until(queue_is_empty)
        assert len(host.transactions) == 1 and await store.read(happened, "sent")
