"""Each event is told once: own ones as they are committed, others' when they are read, whatever came between."""

from __future__ import annotations

import asyncio

from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from mailservers.models import DeliveryEvent
from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.event_position import LATE_S, EventPosition
from mailservers.store.events import Step
from mailservers.store.transaction import Event, Transaction


def event(pk: int) -> Event:
    return Event(str(pk), Step.FILED, id=pk)


@given(st.data())
def test_each_event_is_told_once(data: st.DataObject) -> None:
    """Two processes write rows; they are committed in any order, own ones are heard of some time later, and a
    reading sees what was committed when it began."""
    position, told = EventPosition(), []
    position.begin(0)
    own = data.draw(st.sets(st.integers(1, 12)))
    uncommitted, committed, unheard = data.draw(st.permutations(range(1, 13))), [], []
    readings: list[list[Event]] = []
    while uncommitted or unheard or readings:
        choices = ["commit"] * bool(uncommitted) + ["hear"] * bool(unheard) + ["end"] * bool(readings) + ["begin"]
        act = data.draw(st.sampled_from(choices))
        if act == "commit":
            committed.append(pk := uncommitted.pop())
            unheard += [pk] if pk in own else []
        elif act == "hear":
            told += position.own([event(unheard.pop(0))])
        elif act == "begin" and len(readings) < 3:
            wanted = [pk for pk in sorted(committed) if pk in position.gaps]
            readings.append([event(pk) for pk in (*wanted, *(p for p in sorted(committed) if p > position.last))])
        elif readings:
            told += position.read(readings.pop(0), 0.0)
    told += position.read([event(pk) for pk in (*position.gaps, *range(position.last + 1, 13))], 0.0)
    assert sorted(e.id for e in told) == list(range(1, 13))


def test_ids_that_never_come_are_given_up() -> None:
    position = EventPosition()
    position.begin(5)
    assert position.read([event(9)], 0.0)[0].id == 9 and sorted(position.gaps) == [6, 7, 8]
    assert position.read([event(7)], LATE_S - 1)[0].id == 7 and sorted(position.gaps) == [6, 8]
    position.read([], LATE_S + 1)
    assert position.gaps == []


async def test_own_events_do_not_hide_those_of_another_process(mail: None, settings) -> None:
    settings.CHANGE_POLL_S = 0.05
    heard: asyncio.Queue[Event] = asyncio.Queue()

    def write_own(tx: Transaction, trace: str) -> None:
        tx.events.append(Event(trace, Step.FILED))

    def write_as_another_process(trace: str) -> None:
        DeliveryEvent.objects.create(trace_id=trace, step=Step.FILED, at="2026-11-24T00:00Z", outcome="ok")
        connection.close()

    await store.call(write_own, "before")
    hub.attach()
    hub.watch_events(heard.put_nowait)
    try:
        for _ in range(2000):
            if hub._position.last is not None:
                break
            await asyncio.sleep(0.01)
        for turn in range(5):
            await asyncio.to_thread(write_as_another_process, f"theirs {turn}")
            await store.call(write_own, f"ours {turn}")
        traces = [(await asyncio.wait_for(heard.get(), 20)).trace_id for _ in range(10)]
        assert sorted(traces) == sorted(f"{who} {turn}" for who in ("ours", "theirs") for turn in range(5))
        await asyncio.sleep(0.2)  # several polls
        assert heard.empty()
    finally:
        hub.unwatch_events(heard.put_nowait)
        await hub.detach()
