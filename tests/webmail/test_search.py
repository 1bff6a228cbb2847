"""The search box's language and what is found where."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailservers.formats.search_keys import (
    And,
    DateIs,
    FileName,
    Flag,
    HasAttachment,
    Header,
    Larger,
    Not,
    Or,
    Smaller,
)
from mailservers.store.searching.indexer import index_waiting
from mailservers.store.searching.newest import search
from tests.conftest import mailbox_id
from tests.webmail.conftest import WEB, Put, letter
from webmail.searching.query import Query, anywhere, parse_query

pytestmark = WEB


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("", Query(None)),
        ("two words", Query(And((anywhere("two"), anywhere("words"))))),
        ('"exact phrase" -x', Query(And((anywhere("exact phrase"), Not(anywhere("x")))))),
        ("from:anna To:ben", Query(And((Header("from", "anna"), Or(Header("to", "ben"), Header("cc", "ben")))))),
        ('subject:"big boat"', Query(Header("subject", "big boat"))),
        ("is:unread has:attachment", Query(And((Not(Flag("\\Seen")), HasAttachment())))),
        ("-is:starred", Query(Not(Flag("\\Flagged")))),
        ("after:2026-01-02", Query(DateIs("internal", "since", date(2026, 1, 2)))),
        ("before:nonsense is:odd", Query(And((anywhere("before:nonsense"), anywhere("is:odd"))))),
        ("larger:2M smaller:10kb larger:x", Query(And((Larger(2 << 20), Smaller(10240), anywhere("larger:x"))))),
        ("filename:plan.pdf label:Boat", Query(And((FileName("plan.pdf"), Flag("Boat"))))),
        ("label:Work", Query(Or(Flag("Work"), Flag("$label2")))),
        ('label:"To do" label:$odd', Query(And((Or(Flag("To_do"), Flag("$label4")), Flag("$odd"))))),
        ('in:Sent in:"My Folder"', Query(None, ("Sent", "My Folder"))),
        ("http://x", Query(anywhere("http://x"))),
        ('"', Query(None)),
        ("a\0b", Query(And((anywhere("a"), anywhere("b"))))),
    ],
)
def test_language(typed: str, query: Query) -> None:
    assert parse_query(typed) == query


@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(["-", "from:", "in:", '"', " ", "x", "is:", "larger:9"])).map("".join)
)
def test_nothing_is_refused(typed: str) -> None:
    parse_query(typed)


def ids(user: User, typed: str) -> list[int]:
    key = parse_query(typed).key
    assert key is not None
    return [row.place_id for row in search(user.pk, key).rows]


def test_found_newest_first_wherever_it_stands(anna: User, ben: User, put: Put) -> None:
    deep = "filler " * 60 + "needle in the haystack"
    by_subject = put(anna, letter("The Needle"))
    by_text = put(anna, letter("Other", deep), "Archive", minutes=1)
    put(anna, letter("Nothing"))
    put(ben, letter("needle"))
    for _ in range(2):  # looked through, then by the index
        assert ids(anna, "needle") == [by_text.pk, by_subject.pk]
        assert ids(anna, "NEEDLE haystack") == [by_text.pk]
        assert ids(anna, "needle -haystack") == [by_subject.pk]
        assert ids(anna, '"edle in"') == [by_text.pk]
        asyncio.run(index_waiting())


@pytest.mark.parametrize("typed", ["ÄPFEL", "äpfel", "Äpfel"])
def test_case_is_ignored_beyond_ascii(anna: User, put: Put, typed: str) -> None:
    place = put(anna, letter("Äpfel und Birnen"))
    assert ids(anna, typed) == [place.pk]


def test_operators(anna: User, put: Put) -> None:
    place = put(anna, letter("Boat", cc="dan@far.test"), flags=4)
    put(anna, letter("Boat", **{"from": "eve@far.test"}))
    for typed in (
        "from:carla",
        "to:dan",
        "is:starred",
        "subject:boat from:far.test is:starred",
        "larger:10 cc:dan",
        "-is:unstarred",
    ):
        assert ids(anna, typed) == [place.pk], typed
    assert not ids(anna, "boat before:2020-01-01")


def test_page_leaves_trash_out_unless_asked(browser: Client, anna: User, put: Put) -> None:
    put(anna, letter("thrown away"), "Trash")
    assert b"Nothing found" in browser.get("/mail/search/?q=thrown").content
    assert b"thrown away" in browser.get("/mail/search/?q=thrown+in:trash").content
    assert b"Nothing found" in browser.get("/mail/search/?q=thrown+in:sent").content
    assert b"thrown away" in browser.get("/mail/search/?q=in:anywhere+thrown").content
    trash = mailbox_id(anna, "Trash")
    assert b"thrown away" in browser.get(f"/mail/search/?q=thrown&in={trash}").content


@pytest.mark.parametrize("typed", ["%", "_", "'", '"; DROP TABLE', "\\", "(((", "a" * 600, "%%%s", "\x00"])
def test_odd_words_do_no_harm(browser: Client, anna: User, put: Put, typed: str) -> None:
    put(anna, letter())
    assert browser.get("/mail/search/", {"q": typed}).status_code == 200
