"""After Send: Undo, send later, the Outbox, the tracker and its acts, sending options."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from mailservers.models import DeliveryEvent, Flag, Mailbox, MailboxMessage, QueuedMessage, QueuedRecipient
from mailservers.outbound.leases import Job, claim
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.outbound.results import Attempted, record
from mailservers.store.changes import hub
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.placing import Append, append
from mailservers.store.transaction import Event
from tests.conftest import mailbox_id
from tests.webmail.conftest import HTMX, WEB, letter
from tests.webmail.test_compose import form_of, only
from tests.webmail.test_live import _socket
from webmail.sending.moments import BadMoment, parse_moment, presets

pytestmark = WEB

LETTER = {"to": "bob@remote.test", "bcc": "carl@other.test", "subject": "Tides", "text": "High water at nine."}
SENT = Outcome(Result.DELIVERED, "2.0.0", "250 taken", host="mx.remote.test", address="192.0.2.1", tls="TLSv1.3, DANE")
LATER = Outcome(Result.DEFERRED, "4.7.1", "451 greylisted", host="mx.remote.test", address="192.0.2.1")
NO_USER = Outcome(Result.FAILED, "5.1.1", "550 no such user", host="mx.remote.test", address="192.0.2.1")
Attempt = Callable[..., None]


@pytest.fixture
def undoing(anna: User) -> None:
    User.objects.filter(pk=anna.pk).update(undo_s=10)


def send(browser: Client, **fields: str) -> str:
    """The trace of what was sent."""
    answer = browser.post("/mail/compose/send/", {**LETTER, **fields})
    assert answer.status_code == 302, answer.content.decode()
    return QueuedMessage.objects.latest("pk").trace_id


def count(user: User, name: str) -> int:
    return MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name=name).count()


def _claim(tx) -> list[Job]:
    QueuedRecipient.objects.filter(state__in=("queued", "deferred")).update(next_attempt=tx.now)
    return claim(tx, f"t.{tx.now.timestamp()}"[:30], 10, {})


def attempt(**by_local_part: Outcome) -> None:
    """Everything that waits is tried now."""
    for job in store.call_sync(_claim):
        outcomes = {r.id: by_local_part[r.address.partition("@")[0]] for r in job.recipients}
        store.call_sync(record, Attempted(job, outcomes))


def message_id(user: User, name: str = "Sent") -> str:
    place = MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name=name).latest("pk")
    return place.message.message_id


def tracker(browser: Client, user: User) -> str:
    answer = browser.get("/mail/sending/tracker/", {"id": message_id(user)})
    assert answer.status_code == 200
    return answer.content.decode()


def act(browser: Client, user: User, trace_id: str, old: str, action: str, **more: str) -> str:
    fields = {"id": message_id(user), "key": f"{trace_id} {old}", "action": action, **more}
    answer = browser.post("/mail/sending/tracker/act/", fields, **HTMX)
    return answer.content.decode() if answer.status_code == 200 else str(answer.status_code)


# ---------------------------------------------------------------- undo


def test_undo(browser: Client, anna: User, undoing: None) -> None:
    trace_id = send(browser)
    page = browser.get("/", follow=True).content.decode()
    assert f'action="/mail/sending/undo/{trace_id}/"' in page and 'data-seconds="10"' in page
    row = QueuedRecipient.objects.select_related("queued").first()
    assert row is not None
    wait = (row.next_attempt - row.queued.created_at).total_seconds()
    assert 12.5 < wait < 13.5  # three seconds more than is shown
    assert (count(anna, "Outbox"), count(anna, "Sent"), count(anna, "Drafts")) == (1, 0, 0)
    answer = browser.post(f"/mail/sending/undo/{trace_id}/", **HTMX)
    place, draft = only(anna, "Drafts")
    assert answer["HX-Redirect"] == f"/mail/compose/draft/{place.mailbox_id}/{place.uid}/"
    assert draft["Bcc"] == "carl@other.test" and place.flags & Flag.DRAFT
    assert not QueuedMessage.objects.exists() and count(anna, "Outbox") == 0
    form = form_of(browser.get(answer["HX-Redirect"]).content)
    assert (form["to"], form["bcc"], form["subject"]) == ("bob@remote.test", "carl@other.test", "Tides")
    assert "Too late to undo" in browser.post(f"/mail/sending/undo/{trace_id}/", **HTMX).content.decode()


def test_undo_too_late(browser: Client, anna: User, undoing: None) -> None:
    trace_id = send(browser)
    store.call_sync(_claim)
    answer = browser.post(f"/mail/sending/undo/{trace_id}/", follow=True)
    assert "Too late to undo: it is being sent right now." in answer.content.decode()
    assert count(anna, "Drafts") == 0


def test_undo_keeps_what_a_reply_answers(browser: Client, anna: User, undoing: None) -> None:
    raw = letter("Hello", message_id="<hello@far.test>")
    store.call_sync(append, Append(anna.pk, mailbox_id(anna), [(prepare(raw), 0, (), None)]))
    original = MailboxMessage.objects.get(mailbox_id=mailbox_id(anna))
    origin = f"reply {original.mailbox_id} {original.uid} <hello@far.test>"
    trace_id = send(browser, origin=origin)
    answer = browser.post(f"/mail/sending/undo/{trace_id}/", **HTMX)
    assert form_of(browser.get(answer["HX-Redirect"]).content)["origin"] == "reply 0 0 <hello@far.test>"


def test_strangers_undo_nothing(browser: Client, stranger: Client, anna: User, undoing: None) -> None:
    trace_id = send(browser)
    stranger.post(f"/mail/sending/undo/{trace_id}/", **HTMX)
    assert QueuedMessage.objects.filter(trace_id=trace_id).exists()
    place = MailboxMessage.objects.get(mailbox__name="Outbox")
    named = {"id": message_id(anna, "Outbox")}
    assert browser.get("/mail/sending/tracker/", named).status_code == 200
    assert stranger.get("/mail/sending/tracker/", named).status_code == 404
    fields = {**named, "key": f"{trace_id} bob@remote.test", "action": "cancel"}
    assert stranger.post("/mail/sending/tracker/act/", fields).status_code == 404
    stranger.post("/mail/act/", {"action": "unsend", "item": f"{place.mailbox_id}-{place.uid}"})
    assert QueuedMessage.objects.filter(trace_id=trace_id).exists()


# ---------------------------------------------------------------- send later


def test_send_later(browser: Client, anna: User) -> None:
    browser.cookies["tz"] = "Asia/Kolkata"
    moment = timezone.now().astimezone(ZoneInfo("Asia/Kolkata")) + timedelta(days=1)
    send(browser, send_at=moment.strftime("%Y-%m-%dT%H:%M"))
    times = set(QueuedRecipient.objects.values_list("next_attempt", flat=True))
    assert times == {moment.replace(second=0, microsecond=0)}
    page = browser.get("/", follow=True).content.decode()
    assert f"Will be sent on {moment:%A}" in page and "/mail/sending/undo/" in page
    (box,) = Mailbox.objects.filter(name="Outbox")
    listed = browser.get(f"/mail/{box.pk}/").content.decode()
    assert f"at {moment:%a %H:%M}" in listed and "To: bob@remote.test" in listed and "Do not send" in listed
    assert 'data-use="outbox"' in listed


@pytest.mark.parametrize("when", ["yesterday", "2020-01-01T10:00", "2999-01-01T10:00", "2026-13-01T10:00"])
def test_bad_moments(browser: Client, anna: User, when: str) -> None:
    answer = browser.post("/mail/compose/send/", {**LETTER, "send": "later", "when": when}, **HTMX)
    assert answer.status_code == 422 and 'id="when-error"' in answer.content.decode()
    assert not QueuedMessage.objects.exists()


def test_moments() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        tuesday = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)  # 10:30 there
        assert [(one.label, one.value) for one in presets(tuesday)] == [
            ("In one hour", "2026-11-24T11:30"),
            ("This evening", "2026-11-24T18:00"),
            ("Tomorrow morning", "2026-11-25T08:00"),
            ("Monday morning", "2026-11-30T08:00"),
        ]
        sunday_night = datetime(2026, 11, 29, 21, 30, tzinfo=UTC)
        assert [one.label for one in presets(sunday_night)] == ["In one hour", "Tomorrow morning"]
        assert parse_moment("", tuesday) is None
        assert parse_moment("2026-11-24T18:00", tuesday) == datetime(2026, 11, 24, 17, tzinfo=UTC)
        # A clock change: 02:30 does not exist on 28 March 2027, and twice on 25 October 2026.
        spring, autumn = datetime(2027, 3, 20, tzinfo=UTC), datetime(2026, 10, 20, tzinfo=UTC)
        assert parse_moment("2027-03-28T02:30", spring) == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
        assert parse_moment("2026-10-25T02:30", autumn) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        for bad in ("x", "2026-11-24", "2026-11-24T10:00", "2027-01-24T10:00"):
            with pytest.raises(BadMoment):
                parse_moment(bad, tuesday)


# ---------------------------------------------------------------- the Outbox


def place_in_outbox() -> str:
    place = MailboxMessage.objects.get(mailbox__name="Outbox")
    return f"{place.mailbox_id}-{place.uid}"


def test_do_not_send(browser: Client, anna: User, undoing: None) -> None:
    send(browser)
    answer = browser.post("/mail/act/", {"action": "unsend", "item": place_in_outbox()}, **HTMX)
    assert "1 message not sent: back in Drafts." in answer.content.decode()
    assert (count(anna, "Drafts"), count(anna, "Outbox")) == (1, 0) and not QueuedMessage.objects.exists()


def test_do_not_send_too_late(browser: Client, anna: User, undoing: None) -> None:
    send(browser)
    store.call_sync(_claim)
    answer = browser.post("/mail/act/", {"action": "unsend", "item": place_in_outbox()}, **HTMX)
    assert "Too late for 1" in answer.content.decode() and count(anna, "Outbox") == 1


def test_send_now(browser: Client, anna: User, undoing: None) -> None:
    send(browser)
    answer = browser.post("/mail/act/", {"action": "send-now", "item": place_in_outbox()}, **HTMX)
    assert "Sending now." in answer.content.decode()
    assert QueuedRecipient.objects.filter(next_attempt__lte=timezone.now()).count() == 2


def test_moving_out_of_the_outbox_cancels_and_nothing_goes_in(browser: Client, anna: User, undoing: None) -> None:
    send(browser)
    item, box = place_in_outbox(), Mailbox.objects.get(name="Outbox")
    store.call_sync(append, Append(anna.pk, mailbox_id(anna), [(prepare(letter()), 0, (), None)]))
    answer = browser.post("/mail/act/", {"move_to": str(box.pk), "item": f"{mailbox_id(anna)}-1"})
    assert answer.status_code == 403 and count(anna, "INBOX") == 1
    browser.post("/mail/act/", {"move_to": str(mailbox_id(anna, "Archive")), "item": item}, **HTMX)
    assert count(anna, "Archive") == 1 and not QueuedMessage.objects.exists()
    assert f'href="/mail/{box.pk}/"' not in browser.get("/", follow=True).content.decode()  # empty: not shown


# ---------------------------------------------------------------- the tracker


def test_the_tracker(browser: Client, anna: User) -> None:
    trace_id = send(browser)
    page = tracker(browser, anna)
    assert "On its way" in page and page.count("Waiting for its turn") == 2
    attempt(bob=LATER, carl=SENT)
    page = tracker(browser, anna)
    assert "Delivered to 1 of 2" in page and "451 greylisted" in page and "next try" in page
    assert "Delivered to mx.remote.test at" in page and "250 taken" in page and "Secured by TLS 1.3 with DANE" in page
    assert "Try now" in page and page.count("tracked-acts") == 1
    assert "not get it" in act(browser, anna, trace_id, "bob@remote.test", "cancel")
    assert "Delivered" in tracker(browser, anna) and not QueuedMessage.objects.exists()
    assert "Too late" in act(browser, anna, trace_id, "carl@other.test", "cancel")
    assert act(browser, anna, trace_id, "eve@other.test", "cancel") == "404"
    assert act(browser, anna, trace_id, "carl@other.test", "burn") == "404"


def test_the_reader_has_it(browser: Client, anna: User) -> None:
    send(browser)
    place, _ = only(anna, "Sent")
    for options in ({}, HTMX):
        page = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/", **options).content.decode()
        assert 'id="tracker"' in page and "Waiting for its turn" in page


def test_try_now(browser: Client, anna: User) -> None:
    trace_id = send(browser)
    attempt(bob=LATER, carl=SENT)
    assert "tried a moment ago" in act(browser, anna, trace_id, "bob@remote.test", "now")
    QueuedRecipient.objects.update(last_attempt=timezone.now() - timedelta(minutes=1))
    assert "Trying bob@remote.test now" in act(browser, anna, trace_id, "bob@remote.test", "now")
    due = QueuedRecipient.objects.filter(state="deferred", next_attempt__lte=timezone.now())
    assert list(due.values_list("address", flat=True)) == ["bob@remote.test"]


@pytest.mark.parametrize("outcome", [LATER, NO_USER])
def test_correct_the_address(browser: Client, anna: User, ben: User, outcome: Outcome) -> None:
    trace_id = send(browser, to="bob@remote.test", bcc="ben@harbour.test")
    attempt(bob=outcome)
    for wrong in ("no address", "BOB@remote.test", "nobody@harbour.test"):
        assert 'class="notice notice-danger"' in act(
            browser, anna, trace_id, "bob@remote.test", "correct", address=wrong
        )
    page = act(browser, anna, trace_id, "bob@remote.test", "correct", address="rob@remote.test")
    assert "Sent to rob@remote.test." in page and "Sent to rob@remote.test instead" in page
    (row,) = QueuedRecipient.objects.select_related("queued")
    assert row.address == "rob@remote.test" and row.queued.trace_id != trace_id
    links = DeliveryEvent.objects.filter(step=Step.CORRECTED).order_by("pk")
    assert [(e.trace_id, e.data["other_trace"]) for e in links] == [
        (trace_id, row.queued.trace_id),
        (row.queued.trace_id, trace_id),
    ]
    attempt(rob=SENT)
    _, sent = only(anna, "Sent")
    assert sent["Message-ID"] and "Delivered" in tracker(browser, anna) and count(anna, "Sent") == 1
    assert "sent to that address" in act(browser, anna, trace_id, "bob@remote.test", "correct", address="x@y.test")


def test_what_is_being_sent_is_not_corrected(browser: Client, anna: User) -> None:
    trace_id = send(browser, bcc="")
    page = tracker(browser, anna)
    assert "Correct the address" in page
    store.call_sync(_claim)
    page = act(browser, anna, trace_id, "bob@remote.test", "correct", address="rob@remote.test")
    assert "is being sent" in page and QueuedRecipient.objects.count() == 1


def test_others_mail_has_no_tracker(browser: Client, anna: User) -> None:
    raw = letter(message_id="<theirs@far.test>")
    store.call_sync(append, Append(anna.pk, mailbox_id(anna, "Sent"), [(prepare(raw), 0, (), None)]))
    place, _ = only(anna, "Sent")
    assert 'id="tracker"' not in browser.get(f"/mail/{place.mailbox_id}/{place.uid}/").content.decode()


async def test_the_tracker_is_told(anna: User, ben: User, browser: Client) -> None:
    trace_id = await asyncio.to_thread(send, browser)
    item = await asyncio.to_thread(message_id, anna)
    mine, other = _socket(anna), _socket(ben)
    for socket in (mine, other):
        assert (await socket.connect(5))[0]
        for noise in ("", "[]", "{", '{"track": 7}', '{"track": ["x"]}', '{"track": "' + "1" * 3000 + '"}'):
            await socket.send_text(noise)
        await socket.send_json({"track": item})
        assert await socket.receive_json(5) == {"track": item}
    hub.progress(Event(trace_id, Step.TRYING, recipient="bob@remote.test", peer="mx2.example [192.0.2.9]"))
    assert await mine.receive_json(5) == {
        "trying": "bob@remote.test",
        "trace": trace_id,
        "host": "mx2.example [192.0.2.9]",
        "tls": "",
    }
    await mine.send_json({"track": item})  # a page that opens meanwhile
    assert await mine.receive_json(5) == {"track": item}
    assert (await mine.receive_json(5))["trying"] == "bob@remote.test"
    await asyncio.to_thread(attempt, bob=LATER, carl=SENT)
    while (hint := await mine.receive_json(5)) != {"track": item}:
        assert "mailbox" in hint  # the Outbox has it now
    assert hub.under_way([trace_id]) == []
    assert await other.receive_nothing(timeout=0.3)
    await mine.send_json({"track": ""})
    for socket in (mine, other):
        await socket.disconnect(5)
    await hub.detach()


# ---------------------------------------------------------------- options


def test_options(browser: Client, anna: User) -> None:
    page = browser.get("/mail/sending/options/").content.decode()
    assert re.search(r'<option value="0"[^>]*selected', page)
    answer = browser.post("/mail/sending/options/", {"undo_s": "30", "undo_submitted": "on"})
    assert answer.status_code == 302
    anna.refresh_from_db()
    assert (anna.undo_s, anna.undo_submitted, anna.stores_sent) == (30, True, False)
    assert browser.post("/mail/sending/options/", {"undo_s": "9999"}).status_code == 422
