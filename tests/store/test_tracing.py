"""What is made of delivery events: summaries that are found, and hourly counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import Sum
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailservers.models import DeliveryEvent, EventsRead, HourCount, Message, TraceSummary, TraceTerm
from mailservers.store.content import prepare as prepare_content
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.placing import Delivery, Placement, deliver
from mailservers.store.tracing.feeder import feed_waiting
from mailservers.store.tracing.feeding import backlog, forget_summaries, prepare, settled, write
from mailservers.store.tracing.finding import Wanted, find, visible
from mailservers.store.tracing.opening import Opener, openings
from mailservers.store.transaction import Event, Transaction
from tests.conftest import mailbox_id

NOW = timezone.now()
ANNA = "anna@harbour.test"


def tell(tx: Transaction, *events: Event) -> None:
    tx.events.extend(events)


def feed(limit: int = 500) -> None:
    while (fed := prepare(limit)) is not None:
        assert store.call_sync(write, fed)


def arrival(trace: str = "t1", sender: str = "Bob@far.test", to: str = ANNA, subject: str = "Boats and Möwen") -> Event:
    data = {"subject": subject, "message_id": f"<{trace}@far.test>", "size": 1000}
    return Event(trace, Step.RECEIVED, sender=sender, recipient=to, peer="192.0.2.1", data=data, at=NOW)


def filed(trace: str = "t1", to: str = ANNA, folder: str = "INBOX") -> Event:
    return Event(trace, Step.FILED, sender="Bob@far.test", recipient=to, detail=f"Put into {folder}", at=NOW)


def found(**wanted: object) -> list[str]:
    return [row.trace_id for row in find(Wanted(**wanted))]


@pytest.fixture
def some(anna: User) -> None:
    store.call_sync(tell, arrival(), filed(), arrival("t2", "carol@other.test", subject="Boats again"))
    refused = Event("t3", Step.REFUSED, "permanent", "eve@far.test", ANNA, "192.0.2.9", "550 5.7.1 no", at=NOW)
    store.call_sync(tell, refused)
    feed()


@pytest.mark.parametrize(
    ("wanted", "traces"),
    [
        ({}, ["t3", "t2", "t1"]),
        ({"party": "bob@FAR.test"}, ["t1"]),
        ({"party": "far.test"}, ["t3", "t1"]),
        ({"party": "@far.test"}, ["t3", "t1"]),
        ({"party": "carol"}, ["t2"]),
        ({"party": ANNA, "other": "far.test", "subject": "MÖWEN boats"}, ["t1"]),
        ({"subject": "boat"}, []),
        ({"message_id": "<t2@far.test>"}, ["t2"]),
        ({"message_id": "t2@far.test"}, ["t2"]),
        ({"number": "t2"}, ["t2"]),
        ({"number": "t2", "party": "bob@far.test"}, []),
        ({"peer": "192.0.2.9"}, ["t3"]),
        ({"state": "refused"}, ["t3"]),
        ({"state": "delivered"}, ["t1"]),
        ({"direction": "out"}, []),
        ({"since": NOW - timedelta(minutes=1), "party": "far.test"}, ["t3", "t1"]),
        ({"since": NOW + timedelta(hours=1)}, []),
        ({"until": NOW - timedelta(hours=1)}, []),
        ({"until": NOW + timedelta(hours=1), "subject": "boats"}, ["t2", "t1"]),
    ],
)
def test_finding(some: None, wanted: dict[str, object], traces: list[str]) -> None:
    assert found(**wanted) == traces


def test_pages_begin_after_the_last_row(some: None) -> None:
    first = find(Wanted(party=ANNA), limit=2)
    rest = find(Wanted(party=ANNA), before=first[-1].pk, limit=2)
    assert [row.trace_id for row in (*first, *rest)] == ["t3", "t2", "t1"]


def test_a_domains_staff_find_its_own(some: None) -> None:
    assert find(Wanted(), domains={"quay.test"}) == []
    assert len(find(Wanted(party="far.test"), domains={"harbour.test"})) == 2


def test_what_concerns_others_is_not_told(anna: User) -> None:
    both = arrival(to=f"{ANNA}, x@quay.test")
    failed = Event("t1", Step.FAILED, "permanent", "Bob@far.test", "x@quay.test", at=NOW)
    store.call_sync(tell, both, filed(), failed)
    feed()
    assert TraceSummary.objects.get().state == "failed"
    seen = visible(TraceSummary.objects.get(), {"harbour.test"})
    assert (seen.state, list(seen.places)) == ("delivered", [ANNA])


def test_a_state_that_has_passed_is_not_found(anna: User) -> None:
    store.call_sync(tell, arrival(to="x@far.test"), Event("t1", Step.QUEUED, recipient="x@far.test", at=NOW))
    feed()
    assert found(state="waiting") == ["t1"]
    store.call_sync(tell, Event("t1", Step.SENT, recipient="x@far.test", peer="mx.far.test", at=NOW))
    feed()
    assert found(state="waiting") == [] and found(state="sent") == ["t1"]
    assert TraceSummary.objects.get().places == {"x@far.test": ["sent", "mx.far.test"]}


def test_any_batches_come_to_the_same(anna: User) -> None:
    events = [arrival(), filed(), arrival("t2"), filed("t2", folder="Junk"), filed("t2", "ben@harbour.test")]
    store.call_sync(tell, *events)
    feed(1)
    rows = list(TraceSummary.objects.order_by("pk").values())
    terms, counts = TraceTerm.objects.count(), set(HourCount.objects.values_list("measure", "party", "count"))
    for model in (TraceTerm, TraceSummary, HourCount, EventsRead):
        model.objects.all().delete()
    feed()
    assert list(TraceSummary.objects.order_by("pk").values()) == rows
    assert (TraceTerm.objects.count(), set(HourCount.objects.values_list("measure", "party", "count"))) == (
        terms,
        counts,
    )


def test_the_slower_of_two_writes_nothing(some: None) -> None:
    store.call_sync(tell, arrival("t9"))
    one, other = prepare(), prepare()
    assert store.call_sync(write, one) and not store.call_sync(write, other)
    assert TraceSummary.objects.filter(trace_id="t9").count() == 1 and backlog() == 0


def test_counts_by_domain_and_address(some: None) -> None:
    def total(measure: str, party: str) -> tuple[int, int]:
        rows = HourCount.objects.filter(measure=measure, party=party).aggregate(n=Sum("count"), size=Sum("amount"))
        return rows["n"] or 0, rows["size"] or 0

    assert total("received", "") == total("received", "@harbour.test") == total("received", ANNA) == (2, 2000)
    assert total("received", "@far.test") == (0, 0)
    assert total("refused", "@harbour.test") == (1, 0) and total("refused", ANNA) == (0, 0)
    assert HourCount.objects.get(measure="refused", party="").detail == "5.7.1"


def test_forgotten_with_its_terms(some: None) -> None:
    assert store.call_sync(forget_summaries, NOW - timedelta(seconds=1)) == 0
    assert store.call_sync(forget_summaries, NOW + timedelta(seconds=1)) == 3
    assert not TraceSummary.objects.exists() and not TraceTerm.objects.exists() and HourCount.objects.exists()


@given(st.sets(st.integers(1, 40)), st.integers(0, 40))
def test_nothing_is_read_behind_an_id_that_may_come_yet(ids: set[int], late: int) -> None:
    """Ids are as old as they are small: those over `late` are young."""
    events = [Event("t", "filed", id=pk, at=NOW + timedelta(seconds=pk)) for pk in sorted(ids) if pk > 5]
    read = settled(5, events, NOW + timedelta(seconds=late))
    assert read == events[: len(read)]
    gaps = [
        event.id for before, event in zip([5, *(e.id for e in events)], events, strict=False) if event.id != before + 1
    ]
    assert all(pk <= late for pk in gaps if pk in {event.id for event in read})
    assert len(read) == len(events) or events[len(read)].id in gaps


class TestOpenings:
    @pytest.fixture
    def placed(self, anna: User) -> tuple[int, int]:
        """(mailbox, message row) of the message of trace t1."""
        content = prepare_content(b"Message-ID: <t1@far.test>\r\nSubject: Boats\r\n\r\nhello\r\n")
        place = Placement(mailbox_id(anna))
        store.call_sync(deliver, Delivery(content, placements=(place,), events=(arrival(), filed())))
        feed()
        openings.clear()
        return mailbox_id(anna), Message.objects.get().pk

    async def note(self, placed: tuple[int, int], login: str = ANNA, client: str = "Kite 1") -> None:
        openings.note(placed[0], [placed[1]], Opener(login, "IMAP", client, "192.0.2.7"))
        await openings.write(after_s=0)

    async def opened(self) -> list[str]:
        rows = DeliveryEvent.objects.filter(step=Step.OPENED).values_list("detail", flat=True)
        return await store.read(list, rows)

    async def test_told_once(self, placed: tuple[int, int]) -> None:
        await self.note(placed)
        await self.note(placed)
        openings.clear()  # another process
        await self.note(placed, client="Other 2")
        await feed_waiting()
        openings.clear()
        await self.note(placed)
        assert await self.opened() == ["opened over IMAP with Kite 1 [192.0.2.7]"]

    async def test_shown_with_the_folder_and_who(self, placed: tuple[int, int]) -> None:
        await self.note(placed, login="ben@harbour.test", client="")
        await feed_waiting()
        (row,) = await store.read(find, Wanted(state="opened"))
        assert row.places == {ANNA: ["opened", "INBOX; opened over IMAP [192.0.2.7] by ben@harbour.test"]}

    async def test_of_what_nobody_knows_nothing_is_told(self, placed: tuple[int, int]) -> None:
        openings.note(placed[0], [placed[1] + 1], Opener(ANNA, "IMAP", "", ""))
        openings.note(placed[0] + 1000, [placed[1]], Opener(ANNA, "IMAP", "", ""))
        await openings.write(after_s=0)
        assert await self.opened() == []
