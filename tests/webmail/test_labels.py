"""Labels are IMAP keywords: set here, seen by every mail program, and the other way round."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailservers.models import MailboxMessage
from mailservers.store.engine import store
from mailservers.store.flags import FlagChange, store_flags
from tests.webmail.conftest import HTMX, WEB, Put, letter
from webmail.labels import NoLabel, keyword_of, labels_of

pytestmark = WEB
ATOM = re.compile(r'[^\x00-\x20\x7f-\xff(){%*"\\\]]+\Z')


@given(st.text(min_size=1, max_size=60))
def test_every_keyword_can_be_sent(text: str) -> None:
    try:
        keyword = keyword_of(text)
    except NoLabel:
        return
    assert ATOM.match(keyword), keyword
    [label] = labels_of(keyword)
    assert labels_of(keyword_of(label.text))[0].text == label.text


@pytest.mark.parametrize(
    ("text", "keyword"),
    [("Boat plans", "Boat_plans"), ("Grüße", "Gr&APwA3w-e"), ("important", "$label1"), ("To do", "$label4")],
)
def test_names(text: str, keyword: str) -> None:
    assert keyword_of(text) == keyword


@pytest.mark.parametrize("text", ["", "  ", "$Junk", "\\Seen", "NonJunk", '"', "_"])
def test_what_programs_have_taken_is_no_label(text: str) -> None:
    with pytest.raises(NoLabel):
        keyword_of(text)
    assert labels_of("$Forwarded $MDNSent NonJunk $Unsubscribed") == []


def keywords(place: MailboxMessage) -> list[str]:
    place.refresh_from_db()
    return place.keywords.split()


def test_set_shown_found_and_removed(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter())
    item, address = f"{place.mailbox_id}-{place.uid}", f"/mail/{place.mailbox_id}/{place.uid}/"
    browser.post("/mail/act/", {"item": item, "action": "label", "new_label": "Boat plans", "next": address})
    browser.post("/mail/act/", {"item": item, "add_label": "$label2"})
    assert sorted(keywords(place)) == ["$label2", "Boat_plans"]
    page = browser.get(address).content.decode()
    assert "Remove the label Boat plans" in page and "Remove the label Work" in page
    assert "Boat plans</span>" in browser.get(f"/mail/{place.mailbox_id}/rows/", **HTMX).content.decode()
    for query in ("label:Boat_plans", 'label:"Boat plans"', "label:work"):
        assert "Hello" in browser.get("/mail/search/", {"q": query}).content.decode(), query
    browser.post("/mail/act/", {"item": item, "drop_label": "boat_plans"})
    assert keywords(place) == ["$label2"]


def test_what_a_mail_program_set_is_shown(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter())
    store.call_sync(
        store_flags, anna.pk, place.mailbox_id, [place.uid], FlagChange.ADD, keywords=("$label1", "$Junk", "urgent")
    )
    page = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/", **HTMX).content.decode()
    assert re.findall(r"Remove the label (\w+)", page) == ["Important", "urgent"]


def test_only_labels_and_only_ones_own(browser: Client, anna: User, ben: User, put: Put) -> None:
    place, theirs = put(anna, letter()), put(ben, letter())
    for keyword in ("$Junk", "\\Deleted", "NonJunk", "", "two words", "a\r\nb"):
        assert (
            browser.post("/mail/act/", {"item": f"{place.mailbox_id}-{place.uid}", "add_label": keyword}).status_code
            == 404
        )
    assert (
        browser.post("/mail/act/", {"item": f"{theirs.mailbox_id}-{theirs.uid}", "add_label": "x"}).status_code == 404
    )
    assert keywords(place) == [] and keywords(theirs) == []
