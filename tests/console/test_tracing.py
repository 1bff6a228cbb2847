"""Where is my mail: the search page, one message's page, the link for a user, the text for a ticket."""

from __future__ import annotations

import re

import pytest
from django.core import signing
from django.test import Client
from django.urls import reverse

from accounts.console import tracing
from accounts.models import User
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.transaction import Event
from tests.console.conftest import WEB
from tests.store.test_tracing import ANNA, arrival, feed, filed, tell

pytestmark = WEB
BEN = "ben@harbour.test"


@pytest.fixture
def told(boss: User, anna: User, ben: User) -> None:
    store.call_sync(tell, arrival(to=f"{ANNA}, {BEN}"), filed(), filed(to=BEN, folder="Junk"))
    store.call_sync(
        tell, Event("t2", Step.SUBMITTED, sender=ANNA, recipient="x@far.test", data={"subject": "<b>Out</b>"})
    )
    feed()


def search(browser: Client, **fields: str) -> str:
    return browser.get(reverse("console:trace-search"), fields).content.decode()


def test_search(browser: Client, told: None) -> None:
    page = search(browser)
    assert "Boats and Möwen" in page and "&lt;b&gt;Out&lt;/b&gt;" in page
    assert "ben@harbour.test: delivered" in page and "Junk" in page
    assert "Boats" not in search(browser, party="x@far.test") and "Boats" in search(browser, subject="boats")
    assert "No message like that" in search(browser, since="2100-01-01T00:00")


@pytest.mark.parametrize("value", ["x", "9999-99-99T00:00", "\0", "2026-02-30T00:00"])
def test_odd_times_ask_for_nothing(browser: Client, told: None, value: str) -> None:
    assert "Boats" in search(browser, since=value, state=value)


def test_text_for_a_ticket(browser: Client, told: None) -> None:
    answer = browser.get(reverse("console:trace-text", args=["t1"]))
    assert answer["Content-Type"].startswith("text/plain") and "attachment" in answer["Content-Disposition"]
    words = answer.content.decode()
    assert "Subject: Boats and Möwen" in words and "Put into Junk" in words and " UTC  " in words


def share(browser: Client, party: str) -> str:
    answer = browser.post(reverse("console:trace-share", args=["t1"]), {"party": party})
    found = re.search(r'id="link"[^>]*>http://testserver([^<]+)<', answer.content.decode())
    assert found is not None
    return found[1]


def test_a_link_shows_one_partys_part_without_signing_in(browser: Client, told: None) -> None:
    page = Client().get(share(browser, ANNA))
    words = page.content.decode()
    assert page.status_code == 200 and "Put into INBOX" in words
    assert BEN not in words and "Junk" not in words and "/console/" not in words
    assert page["Referrer-Policy"] == "no-referrer"
    assert BEN in Client().get(share(browser, "bob@far.test")).content.decode(), "the sender sees all of it"


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: "x", lambda t: t.upper()]
)
def test_a_link_that_is_not_ours_shows_nothing(browser: Client, told: None, change) -> None:
    token = tracing.make_token("t1", ANNA)
    answer = Client().get(reverse("shared-trace", args=[change(token)]))
    assert answer.status_code == 404 and b"no longer works" in answer.content


def test_a_link_ends(told: None, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tracing.make_token("t1", ANNA)
    real = signing.time.time
    monkeypatch.setattr(signing.time, "time", lambda: real() + tracing.LINK_LIFETIME.total_seconds() + 1)
    assert tracing.read_token(token) == ("", "")


def test_a_link_is_for_one_of_its_parties(browser: Client, told: None) -> None:
    answer = browser.post(reverse("console:trace-share", args=["t1"]), {"party": "eve@far.test"})
    assert b'id="link"' not in answer.content
