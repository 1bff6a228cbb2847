"""Mail that waits: the Outbox, Undo, what an administrator does to the queue, and what the sender is shown of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.auth.door import Identity
from accounts.models import Address, AddressTarget, AuditEntry, User
from accounts.services.queue import Act, act
from mailservers.delivery.submission import submit
from mailservers.models import DeliveryEvent, Flag, MailboxMessage, QueuedMessage, QueuedRecipient
from mailservers.outbound.acts import Acted, cancel_own, hold, reroute, send_own_now
from mailservers.outbound.holding import TooLate, take_out, undo
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.outbound.queue import SCHEDULED, QueueFilter, list_queue
from mailservers.outbound.routes import InvalidTarget
from mailservers.outbound.tracking import Stage, track
from mailservers.store.content import read_message
from mailservers.store.copying import Target
from mailservers.store.engine import store
from mailservers.store.errors import MailboxProtected
from mailservers.store.events import Step
from mailservers.store.sent_traces import forget_sent_traces
from mailservers.store.undeleting import deleted_page, restore
from tests.conftest import mailbox_id

from .conftest import Clock, running, until
from .fake_smtp import FakeHost, Script

MESSAGE_ID = "<tides@harbour.test>"
LETTER = (
    b"From: Anna <anna@harbour.test>\r\nTo: bob@remote.test\r\nBcc: carl@remote.test\r\nSubject: Tide tables\r\n"
    b"Message-ID: <tides@harbour.test>\r\n\r\nHigh water at nine.\r\n"
)
SENT = Outcome(Result.DELIVERED, "2.0.0", "250 2.0.0 taken", host="mx.remote.test", address="192.0.2.1", tls="TLSv1.3")
LATER = Outcome(Result.DEFERRED, "4.7.1", "451 4.7.1 greylisted", host="mx.remote.test", address="192.0.2.1")
NO_USER = Outcome(Result.FAILED, "5.1.1", "550 5.1.1 no such user", host="mx.remote.test", address="192.0.2.1")
Send = Callable[..., str]


@pytest.fixture
def send(anna: User, clock: Clock) -> Send:
    """send("bob@remote.test", …, wait_s=3600) -> the trace id of Anna's message; `wait_s` 0 is not held."""

    def do(*recipients: str, wait_s: float = 3600, raw: bytes = LETTER) -> str:
        return submit(
            Identity(anna.pk, anna.login, anna.name, False),
            raw,
            recipients or ("bob@remote.test",),
            sent_mailbox_id=mailbox_id(anna, "Sent"),
            not_before=clock.now + timedelta(seconds=wait_s) if wait_s else None,
        )

    return do


def texts(user: User, name: str) -> list[bytes]:
    places = MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name=name).order_by("uid")
    return [read_message(pk) or b"" for pk in places.values_list("message_id", flat=True)]


def ids() -> list[int]:
    return list(QueuedRecipient.objects.order_by("id").values_list("id", flat=True))


def last_event(step: str) -> DeliveryEvent:
    return DeliveryEvent.objects.filter(step=step).order_by("id").last()  # type: ignore[return-value]


# ---------------------------------------------------------------- the Outbox


def test_held_mail_is_in_the_outbox_until_it_goes(clock: Clock, send: Send, anna: User) -> None:
    trace_id = send()
    assert texts(anna, "Outbox") == [LETTER] and texts(anna, "Sent") == []
    assert clock.claim() == []
    (row,) = list_queue(QueueFilter(state=SCHEDULED))
    assert row.is_scheduled and row.trace_id == trace_id
    clock.now += timedelta(hours=1)
    (job,) = clock.claim()
    clock.record(job, SENT)
    assert texts(anna, "Outbox") == [] and texts(anna, "Sent") == [LETTER]
    assert not QueuedMessage.objects.exists()
    (place,) = MailboxMessage.objects.filter(mailbox__name="Sent")
    assert place.flags == Flag.SEEN and place.internal_date == clock.now


def test_what_is_put_off_comes_into_the_outbox(clock: Clock, send: Send, anna: User) -> None:
    send("bob@remote.test", "ann@other.test", wait_s=0)
    assert texts(anna, "Sent") == [LETTER] and texts(anna, "Outbox") == []
    one, other = clock.claim()
    clock.record(one, LATER)
    clock.record(other, SENT)
    (waiting,) = texts(anna, "Outbox")
    assert b"Bcc" not in waiting and waiting.endswith(b"High water at nine.\r\n")
    clock.now += timedelta(minutes=10)
    (again,) = clock.claim()
    clock.record(again, NO_USER)
    assert texts(anna, "Outbox") == [] and len(texts(anna, "Sent")) == 1


def test_a_message_held_for_some_is_in_sent_when_sending_has_begun(clock: Clock, send: Send, anna: User) -> None:
    send("bob@remote.test", "ann@other.test")
    clock.now += timedelta(hours=1)
    one, other = clock.claim()
    clock.record(one, LATER)
    assert len(texts(anna, "Outbox")) == len(texts(anna, "Sent")) == 1
    clock.record(other, SENT)
    assert len(texts(anna, "Outbox")) == len(texts(anna, "Sent")) == 1
    clock.now += timedelta(minutes=10)
    (job,) = clock.claim()
    clock.record(job, SENT)
    assert texts(anna, "Outbox") == [] and len(texts(anna, "Sent")) == 1


def test_others_mail_is_in_nobodys_outbox(clock: Clock, enqueue: Callable[..., Any], anna: User) -> None:
    enqueue()
    (job,) = clock.claim()
    clock.record(job, LATER)
    assert texts(anna, "Outbox") == []


# ---------------------------------------------------------------- taking back


def test_undo_gives_the_draft_back(clock: Clock, send: Send, anna: User) -> None:
    trace_id = send()
    uid = clock.run(undo, anna.pk, trace_id, mailbox_id(anna, "Drafts"), anna.login)
    assert texts(anna, "Drafts") == [LETTER]  # with its Bcc
    assert MailboxMessage.objects.get(mailbox__name="Drafts", uid=uid).flags == Flag.SEEN | Flag.DRAFT
    assert texts(anna, "Outbox") == texts(anna, "Sent") == []
    clock.now += timedelta(hours=2)
    assert clock.claim() == [] and not QueuedMessage.objects.exists()
    assert last_event(Step.CANCELLED).detail == "Cancelled by anna@harbour.test"
    with pytest.raises(TooLate, match="it was sent already"):
        clock.run(undo, anna.pk, trace_id, mailbox_id(anna, "Drafts"), anna.login)


def test_undo_is_all_or_nothing(clock: Clock, send: Send, anna: User, ben: User) -> None:
    trace_id = send("bob@remote.test", "ann@other.test")
    drafts = mailbox_id(anna, "Drafts")
    with pytest.raises(TooLate):  # another user's is not there
        clock.run(undo, ben.pk, trace_id, mailbox_id(ben, "Drafts"), ben.login)
    clock.now += timedelta(hours=1)
    one, other = clock.claim()
    with pytest.raises(TooLate, match="it is being sent right now"):
        clock.run(undo, anna.pk, trace_id, drafts, anna.login)
    clock.record(one, LATER)
    clock.record(other, SENT)
    with pytest.raises(TooLate, match="it has gone to ann@other"):
        clock.run(undo, anna.pk, trace_id, drafts, anna.login)
    assert texts(anna, "Drafts") == []


@pytest.mark.parametrize("seed", range(20))
def test_either_cancelled_or_sent(clock: Clock, send: Send, anna: User, seed: int) -> None:
    chance = random.Random(seed)
    trace_id = send("bob@remote.test")
    clock.now += timedelta(hours=1)
    jobs, was_undone = [], False
    for _ in range(6):
        match chance.choice(("claim", "undo", "record")):
            case "claim":
                jobs += clock.claim()
            case "record" if jobs:
                clock.record(jobs.pop(), SENT)
            case "undo":
                try:
                    clock.run(undo, anna.pk, trace_id, mailbox_id(anna, "Drafts"), anna.login)
                except TooLate:
                    continue
                assert not was_undone and not jobs
                was_undone = True
    for job in jobs + clock.claim():
        clock.record(job, SENT)
    was_sent = DeliveryEvent.objects.filter(step=Step.SENT).count()
    assert (was_sent, len(texts(anna, "Drafts"))) == ((0, 1) if was_undone else (1, 0))


def test_deleting_from_the_outbox_cancels(clock: Clock, send: Send, anna: User) -> None:
    send()
    (place,) = MailboxMessage.objects.filter(mailbox__name="Outbox")
    taken = clock.run(take_out, anna.pk, place.mailbox_id, [place.uid, 99], anna.login)
    assert (taken.uids, taken.in_flight) == ([place.uid], [])
    assert not QueuedMessage.objects.exists() and texts(anna, "Sent") == []
    (deleted,) = deleted_page(anna.pk)  # it can be had back, but it is not sent then
    clock.run(restore, anna.pk, [deleted.id])
    assert texts(anna, "INBOX") == [LETTER] and texts(anna, "Outbox") == []


def test_what_is_in_flight_stays(clock: Clock, send: Send, anna: User) -> None:
    send()
    clock.now += timedelta(hours=1)
    (job,) = clock.claim()
    (place,) = MailboxMessage.objects.filter(mailbox__name="Outbox")
    for to in (None, Target(mailbox_id(anna, "Drafts"))):
        assert clock.run(lambda tx, to=to: take_out(tx, anna.pk, place.mailbox_id, None, "anna", to=to)).in_flight == [
            place.uid
        ]
    clock.record(job, SENT)
    assert texts(anna, "Drafts") == [] and len(texts(anna, "Sent")) == 1


def test_nothing_is_moved_into_an_outbox(clock: Clock, send: Send, anna: User) -> None:
    send()
    (place,) = MailboxMessage.objects.filter(mailbox__name="Outbox")
    with pytest.raises(MailboxProtected):
        clock.run(lambda tx: take_out(tx, anna.pk, place.mailbox_id, None, "a", to=Target(place.mailbox_id)))


def test_own_acts_are_the_owners(clock: Clock, send: Send, anna: User, ben: User) -> None:
    send("bob@remote.test", "ann@other.test")
    first, second = ids()
    assert clock.run(cancel_own, ben.pk, [first], ben.login) == Acted(0)
    assert clock.run(send_own_now, ben.pk, [first], ben.login) == Acted(0)
    assert clock.run(cancel_own, anna.pk, [first], anna.login) == Acted(1)
    assert len(texts(anna, "Outbox")) == 1  # the other one still waits
    assert clock.run(send_own_now, anna.pk, [first, second], anna.login) == Acted(1)
    (job,) = clock.claim()
    clock.record(job, LATER)
    assert clock.run(send_own_now, anna.pk, [second], anna.login) == Acted(0)  # it was tried a moment ago
    clock.now += timedelta(seconds=20)
    assert clock.run(send_own_now, anna.pk, [second], anna.login) == Acted(1)
    assert clock.run(hold, [second], "root@harbour.test") == Acted(1)
    assert clock.run(send_own_now, anna.pk, [second], anna.login) == Acted(0)
    assert clock.run(cancel_own, anna.pk, [second], anna.login) == Acted(1)


# ---------------------------------------------------------------- an administrator's acts


def do(clock: Clock, what: Act, target: str = "") -> Acted:
    return clock.run(lambda tx: act(tx, what, ids(), actor="root@harbour.test", target=target))


def test_hold_and_release(clock: Clock, send: Send) -> None:
    send(wait_s=0)
    assert do(clock, Act.HOLD) == Acted(1) and do(clock, Act.HOLD) == Acted(0)
    assert clock.claim() == []
    assert last_event(Step.HELD).data == {"actor": "root@harbour.test"}
    clock.now += timedelta(days=6)  # time under an administrator's hand is not the message's
    assert do(clock, Act.RELEASE) == Acted(1) and do(clock, Act.RELEASE) == Acted(0)
    (job,) = clock.claim()
    clock.record(job, LATER)
    assert list_queue()[0].state == "deferred"
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == ["queue.hold", "queue.release"]


def test_released_scheduled_mail_keeps_its_time(clock: Clock, send: Send) -> None:
    send(wait_s=7200)
    do(clock, Act.HOLD)
    do(clock, Act.RELEASE)
    assert clock.claim() == []
    clock.now += timedelta(hours=2)
    assert len(clock.claim()) == 1


def test_reroute(clock: Clock, send: Send) -> None:
    send("bob@remote.test", "carl@remote.test", wait_s=0)
    first = ids()[0]
    assert clock.run(reroute, [first], "Relay.Test", "root@harbour.test") == Acted(1)
    (job,) = clock.claim()  # two ways are two transactions
    (other,) = clock.claim()
    assert {job.route, other.route} == {"relay.test:25", ""}
    assert last_event(Step.QUEUED).detail == "To be sent by way of relay.test:25, root@harbour.test asked"
    for bad in ("a b", "host:0", "host:99999", "[::1", "x" * 300):
        with pytest.raises(InvalidTarget):
            clock.run(reroute, [first], bad, "root@harbour.test")


async def test_rerouted_mail_goes_to_the_named_host(anna: User, enqueue: Callable[..., Any]) -> None:
    async with FakeHost(Script()) as host:
        await store.read(lambda: enqueue(("bob@nowhere.invalid",)))
        (pk,) = await store.read(ids)
        await store.call(reroute, [pk], f"127.0.0.1:{host.port}", "root@harbour.test")
        async with running():
            await until(lambda: not QueuedMessage.objects.exists())
        assert len(host.transactions) == 1


def test_removing_with_a_bounce(clock: Clock, send: Send, anna: User) -> None:
    send("bob@remote.test", "ann@other.test", wait_s=0)
    do(clock, Act.HOLD)
    assert do(clock, Act.BOUNCE) == Acted(2)
    assert not QueuedMessage.objects.exists()
    bounces = texts(anna, "INBOX")
    assert len(bounces) == 2 and all(b"an administrator took it out of the queue" in b for b in bounces)
    assert DeliveryEvent.objects.filter(step=Step.CANCELLED, data__actor="root@harbour.test").count() == 2


def test_removing_without(clock: Clock, send: Send, anna: User) -> None:
    send(wait_s=0)
    assert do(clock, Act.REMOVE) == Acted(1)
    assert texts(anna, "INBOX") == [] and not QueuedMessage.objects.exists()


def test_filters(clock: Clock, send: Send, enqueue: Callable[..., Any]) -> None:
    send()
    enqueue(("a@one.test",), reverse_path="carla@far.test")
    (job,) = clock.claim()
    clock.record(job, LATER)

    def found(**wanted: Any) -> list[str]:
        return [row.recipient for row in list_queue(QueueFilter(**wanted))]

    assert found(state="scheduled") == found(state="queued") == ["bob@remote.test"]
    assert found(state="deferred") == found(domain="ONE.test") == found(sender="carla") == ["a@one.test"]
    assert found(text="greylisted") == found(text="carla@") == ["a@one.test"]
    assert found(text="TIDE") == ["a@one.test", "bob@remote.test"]
    assert found(older_s=3600) == []
    QueuedMessage.objects.filter(reverse_path="carla@far.test").update(created_at=timezone.now() - timedelta(days=1))
    assert found(older_s=3600) == ["a@one.test"]


# ---------------------------------------------------------------- what the sender is shown


def stages(user: User) -> dict[str, Stage]:
    return {one.address: one.stage for one in track(user.pk, MESSAGE_ID)}


def test_tracking(clock: Clock, send: Send, anna: User, ben: User) -> None:
    send("bob@remote.test", "nobody@remote.test", "slow@remote.test", "ben@harbour.test")
    assert set(stages(anna).values()) == {Stage.SCHEDULED} and stages(ben) == {}
    QueuedRecipient.objects.update(lease_until=timezone.now() + timedelta(hours=1), lease_token="x")
    assert set(stages(anna).values()) == {Stage.TRYING}
    QueuedRecipient.objects.update(lease_until=None, lease_token="")
    clock.now += timedelta(hours=1)
    for job in clock.claim():
        if not job.is_ours:
            clock.record(job, SENT, nobody=NO_USER, slow=LATER)
    seen = {one.address: one for one in track(anna.pk, MESSAGE_ID)}
    assert (seen["bob@remote.test"].stage, seen["bob@remote.test"].said) == (Stage.DELIVERED, "250 2.0.0 taken")
    assert (seen["bob@remote.test"].tls, seen["bob@remote.test"].peer) == ("TLSv1.3", "mx.remote.test [192.0.2.1]")
    assert (seen["nobody@remote.test"].stage, seen["nobody@remote.test"].is_told) == (Stage.FAILED, True)
    slow = seen["slow@remote.test"]
    assert (slow.stage, slow.said) == (Stage.DEFERRED, "451 4.7.1 greylisted")
    assert slow.next_attempt is not None and slow.recipient_id in ids()
    assert seen["ben@harbour.test"].stage is Stage.TRYING
    clock.run(hold, [slow.recipient_id], "root@harbour.test")
    assert stages(anna)["slow@remote.test"] is Stage.HELD
    clock.run(cancel_own, anna.pk, [slow.recipient_id], anna.login)
    assert stages(anna)["slow@remote.test"] is Stage.CANCELLED


def test_a_group_is_tracked_by_its_own_address(send: Send, anna: User, ben: User) -> None:
    row = Address.objects.create(domain=anna.domain, address="crew@harbour.test")
    AddressTarget.objects.create(address=row, user=ben)
    AddressTarget.objects.create(address=row, user=anna)
    send("crew@harbour.test", wait_s=0)
    assert stages(anna) == {"crew@harbour.test": Stage.DELIVERED}


def test_traces_are_forgotten_with_their_events(clock: Clock, send: Send, anna: User) -> None:
    send()
    assert clock.run(forget_sent_traces, clock.now - timedelta(hours=1)) == 0
    assert len(track(anna.pk, MESSAGE_ID)) == 1
    assert clock.run(forget_sent_traces, clock.now + timedelta(hours=1)) == 1
    assert track(anna.pk, MESSAGE_ID) == []
