"""The search box's language and what is found where."""

from __future__ import annotations

from datetime import date

import pytest
from django.test import Client

from accounts.models import User
from mailservers.store import lists
from mailservers.store.lists import Marks, SearchTerms
from tests.conftest import mailbox_id
from tests.webmail.conftest import WEB, Put, letter
from webmail.searching.query import parse_query

pytestmark = WEB


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("", SearchTerms()),
        ("two words", SearchTerms(words=("two", "words"))),
        ('"exact phrase" x', SearchTerms(words=("exact phrase", "x"))),
        ("from:anna To:ben", SearchTerms(senders=("anna",), recipients=("ben",))),
        ('subject:"big boat"', SearchTerms(subjects=("big boat",))),
        ("is:unread has:attachment", SearchTerms(marks=Marks(seen=False), has_attachment=True)),
        ("is:starred after:2026-01-02", SearchTerms(marks=Marks(flagged=True), since=date(2026, 1, 2))),
        ("before:nonsense is:odd", SearchTerms(words=("before:nonsense", "is:odd"))),
        ("from: http://x", SearchTerms(words=("from:", "http://x"))),
        ('"', SearchTerms()),
        ("a\0b", SearchTerms(words=("a", "b"))),
    ],
)
def test_language(typed: str, terms: SearchTerms) -> None:
    assert parse_query(typed) == terms


def test_found_by_column_and_by_text(anna: User, put: Put) -> None:
    deep = "filler " * 60 + "needle in the haystack"
    by_subject = put(anna, letter("The Needle"))
    by_text = put(anna, letter("Other", deep), "Archive", minutes=1)
    put(anna, letter("Nothing"))
    found = lists.search(anna.pk, parse_query("needle"))
    assert [row.place_id for row in found.rows] == [by_text.pk, by_subject.pk]
    assert found.scanned == found.scope == 3
    assert [row.place_id for row in lists.search(anna.pk, parse_query("NEEDLE haystack")).rows] == [by_text.pk]


@pytest.mark.parametrize("typed", ["ÄPFEL", "äpfel", "Äpfel"])
def test_case_is_ignored_beyond_ascii(anna: User, put: Put, typed: str) -> None:
    place = put(anna, letter("Äpfel und Birnen"))
    assert [row.place_id for row in lists.search(anna.pk, parse_query(typed)).rows] == [place.pk]


def test_operators(anna: User, put: Put) -> None:
    place = put(anna, letter("Boat", cc="dan@far.test"), flags=4)
    put(anna, letter("Boat", **{"from": "eve@far.test"}))
    for typed in ("from:carla", "to:dan", "is:starred", "subject:boat from:far.test is:starred"):
        assert [row.place_id for row in lists.search(anna.pk, parse_query(typed)).rows] == [place.pk], typed
    assert not lists.search(anna.pk, parse_query("boat before:2020-01-01")).rows


def test_page_leaves_trash_out_unless_asked(browser: Client, anna: User, put: Put) -> None:
    put(anna, letter("thrown away"), "Trash")
    assert b"Nothing found" in browser.get("/mail/search/?q=thrown").content
    trash = mailbox_id(anna, "Trash")
    assert b"thrown away" in browser.get(f"/mail/search/?q=thrown&in={trash}").content


@pytest.mark.parametrize("typed", ["%", "_", "'", '"; DROP TABLE', "\\", "(((", "a" * 600, "%%%s", "\x00"])
def test_odd_words_do_no_harm(browser: Client, anna: User, put: Put, typed: str) -> None:
    put(anna, letter())
    assert browser.get("/mail/search/", {"q": typed}).status_code == 200
