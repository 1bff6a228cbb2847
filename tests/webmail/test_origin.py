"""Why is it here? The sentence, the reasons, the way, and the lists, each only for the one who asks."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from mailservers.models import DeliveryEvent, MailboxMessage, MessageVerdict, SenderRule
from mailservers.store.events import Step, new_trace_id
from tests.webmail.conftest import HTMX, NOON, WEB, Put, letter
from webmail.reading.lookalike import looks_like, mixes_scripts

REASONS = [
    {"name": "dkim.pass", "weight": 0.0, "text": "signed by paypal.test"},
    {"name": "spf.softfail", "weight": 1.5, "text": ""},
    {"name": "rule.block", "weight": 100.0, "text": "secret.test is on a list", "user": 999_999},
]


def event(trace_id: str, step: str, recipient: str = "", **more: object) -> None:
    DeliveryEvent.objects.create(at=NOON, trace_id=trace_id, step=step, outcome="ok", recipient=recipient, **more)


def arrive(put: Put, user: User, subject: str = "Hello", minutes: int = 0, **fields: str) -> tuple[MailboxMessage, str]:
    """As if it had come over SMTP."""
    trace_id = new_trace_id()
    received = f"from x by mx.harbour.test with ESMTPS id {trace_id}; Mon, 2 Mar 2026 12:00:00 +0000"
    place = put(user, letter(subject, received=received, **fields), minutes=minutes)
    data = {"score": 1.5, "results": {"dkim": "pass", "dmarc": "none"}, "reasons": REASONS}
    MessageVerdict.objects.create(message_id=place.message_id, trace_id=trace_id, score=1.5, data=data)
    event(trace_id, Step.RECEIVED, "anna@harbour.test, ben@harbour.test", detail="From x [192.0.2.1]")
    event(trace_id, Step.CHECKED, data=data, detail="secret.test (+100)")
    event(trace_id, Step.FILED, user.login, detail="Put into INBOX")
    event(trace_id, Step.FILED, "hidden@harbour.test", detail="Put into Blind")
    return place, trace_id


def why(browser: Client, place: MailboxMessage, **post: str) -> str:
    url = f"/mail/{place.mailbox_id}/{place.uid}/why/"
    answer = browser.post(url, post, **HTMX) if post else browser.get(url, **HTMX)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize(
    ("domain", "known", "alike"),
    [
        ("paypa1.test", "paypal.test", True),
        ("раураl.test", "paypal.test", True),
        ("xn--pypal-4ve.test", "paypal.test", True),
        ("rnicrosoft.test", "microsoft.test", True),
        ("paypal.test", "paypal.test", False),
        ("PayPal.test", "paypal.test", False),
        ("paypals.test", "paypal.test", False),
        ("xn--\u00e9.test", "paypal.test", False),
    ],
)
def test_what_looks_alike(domain: str, known: str, alike: bool) -> None:
    assert looks_like(domain, known) is alike


@pytest.mark.parametrize(
    ("domain", "mixed"),
    [
        ("xn--pypal-4ve.test", True),
        ("bücher.test", False),
        ("почта.рф", False),
        ("日本ひらがなab.test", False),
        ("", False),
    ],
)
def test_mixed_scripts(domain: str, mixed: bool) -> None:
    assert mixes_scripts(domain) is mixed


@WEB
def test_sentence_reasons_and_way(browser: Client, anna: User, put: Put) -> None:
    place, _ = arrive(put, anna)
    text = why(browser, place)
    assert "Signed by paypal.test; first mail from this address; not on your lists." in text
    assert "+1.50" in text and "Weight in all: 1.50" in text
    assert text.index("Another server brought it") < text.index("It was delivered") < text.index("It lies in Inbox")
    for others in ("secret.test", "hidden@", "Blind", "ben@"):
        assert others not in text
    later, _ = arrive(put, anna, "Again", minutes=5)
    assert "you have had mail from this address before" in why(browser, later)
    page = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/why/").content.decode()
    assert "<html" in page and "Signed by paypal.test" in page


@WEB
def test_a_made_up_trace_shows_nothing(browser: Client, anna: User, ben: User, put: Put) -> None:
    _, of_ben = arrive(put, ben)
    forged = put(anna, letter(received=f"from x by y id {of_ben}; Mon, 2 Mar 2026 12:00:00 +0000"))
    text = why(browser, forged)
    assert "192.0.2.1" not in text and "No record of it is kept" in text and "did not come through our checks" in text


@WEB
def test_trust_block_and_forget(browser: Client, stranger: Client, anna: User, put: Put) -> None:
    place, _ = arrive(put, anna)
    assert "far.test is blocked by you" in why(browser, place, action="block", pattern="far.test")
    assert SenderRule.objects.get().user == anna
    assert "not on your lists" in why(browser, place, action="forget", pattern="far.test")
    assert "carla@far.test is trusted by you" in why(browser, place, action="trust", pattern="carla@far.test")
    url = f"/mail/{place.mailbox_id}/{place.uid}/why/"
    assert browser.post(url, {"action": "block", "pattern": "other.test"}).status_code == 404
    assert browser.post(url, {"action": "x", "pattern": "far.test"}).status_code == 404
    assert stranger.get(url).status_code == 404
    answer = browser.post(url, {"action": "forget", "pattern": "carla@far.test"})
    assert answer.status_code == 302 and not SenderRule.objects.exists()


@WEB
@pytest.mark.parametrize(
    ("sender", "fields", "warning"),
    [
        ("Ben Baker <b@evil.test>", {}, "is a colleague&#x27;s name"),
        ('"ben@harbour.test" <b@evil.test>', {}, "The name says ben@harbour.test"),
        ("X <x@harb0ur.test>", {}, "looks like yours"),
        ("X <x@xn--pypal-4ve.test>", {}, "several alphabets"),
        ("X <x@far.test>", {"reply_to": "y@else.test"}, "would go to y@else.test"),
        ("Ben Baker <ben@harbour.test>", {}, ""),
        ("Carla <carla@far.test>", {"reply_to": "c@far.test"}, ""),
        ('"<script>alert(1)</script> a@b.test" <x@far.test>', {}, "The name says"),
    ],
)
def test_warnings(browser: Client, anna: User, ben: User, put: Put, sender: str, fields: dict, warning: str) -> None:
    User.objects.filter(pk=ben.pk).update(name="Ben Baker")
    place, _ = arrive(put, anna, **{"from": sender}, **fields)
    text = why(browser, place)
    assert ("notice-warn" in text) is bool(warning)
    assert warning in text and "<script" not in text


@WEB
def test_mail_of_a_neighbour_and_without_a_sender(browser: Client, anna: User, put: Put) -> None:
    trace_id = new_trace_id()
    place = put(anna, letter(received=f"by mx with HTTP id {trace_id}; Mon, 2 Mar 2026 12:00:00 +0000"))
    event(trace_id, Step.SUBMITTED, anna.login, sender="ben@harbour.test")
    event(trace_id, Step.FILED, anna.login)
    assert "Sent by ben@harbour.test, who has an account on this server" in why(browser, place)
    nobody = put(anna, letter(**{"from": "nonsense"}))
    assert "not on your lists" in why(browser, nobody)
