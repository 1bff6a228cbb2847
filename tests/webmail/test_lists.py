"""Folders, message lists, what has changed: rows, order, paging by key, counts of queries."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from mailservers.models import Mailbox
from mailservers.store import lists
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Append, append
from tests.conftest import mailbox_id
from tests.webmail.conftest import HTMX, NOON, WEB, Put, letter, signed_in

pytestmark = WEB


def _items(content: bytes) -> list[str]:
    return re.findall(r'<li class="row[^"]*" id="m-([0-9-]+)"', content.decode())


def test_home_is_the_inbox(browser: Client, anna: User) -> None:
    assert browser.get("/")["Location"] == f"/mail/{mailbox_id(anna)}/"


def test_rows_are_newest_first_with_marks(browser: Client, anna: User, put: Put) -> None:
    old = put(anna, letter("Older", text="first lines of it"), flags=1)
    new = put(anna, letter("Newer"), minutes=5, flags=4)
    page = browser.get(f"/mail/{mailbox_id(anna)}/")
    assert _items(page.content) == [f"{new.mailbox_id}-{new.uid}", f"{old.mailbox_id}-{old.uid}"]
    text = page.content.decode()
    assert "first lines of it" in text
    assert text.count('class="row is-unread is-starred"') == 1


def test_paging_by_key_shows_every_row_once(browser: Client, anna: User, put: Put) -> None:
    for n in range(120):
        put(anna, letter(f"Number {n}"), minutes=n // 7)  # several rows share a moment
    box = mailbox_id(anna)
    seen, url = [], f"/mail/{box}/"
    while url:
        text = browser.get(url).content
        seen += _items(text)
        more = re.search(rf'hx-get="(/mail/{box}/rows/\?before=[0-9-]+)"', text.decode())
        url = more[1] if more else ""
    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, key=lambda item: -int(item.split("-")[1]))


def test_filters(browser: Client, anna: User, put: Put) -> None:
    put(anna, letter("read"), flags=1)
    starred = put(anna, letter("starred"), flags=5)
    unread = put(anna, letter("unread"))
    box = mailbox_id(anna)
    assert _items(browser.get(f"/mail/{box}/?show=unread").content) == [f"{box}-{unread.uid}"]
    assert _items(browser.get(f"/mail/{box}/?show=starred").content) == [f"{box}-{starred.uid}"]


def test_list_page_asks_the_same_few_queries_whatever_its_length(browser: Client, anna: User, put: Put) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(f"/mail/{mailbox_id(anna)}/").status_code == 200
        return sum("django_session" not in query["sql"] for query in captured)

    put(anna, letter("one"))
    queries()  # the first notes the browser (accounts.security.web_sessions)
    few = queries()
    for n in range(60):
        put(anna, letter(f"n{n}"))
    assert queries() == few <= 7  # the user, what is asked of them, folders, usage, shares, rows


def test_sidebar_counts(browser: Client, anna: User, put: Put) -> None:
    put(anna, letter("unread"))
    put(anna, letter("draft"), "Drafts", flags=17)
    text = browser.get("/mail/folders/list/").content.decode()
    assert 'data-unread="1"' in text
    assert re.search(r"Inbox</span><span class=\"nav-count\">1", text)
    assert re.search(r"Drafts</span><span class=\"nav-count\">1", text)


def test_changes_are_what_happened_since(browser: Client, anna: User, put: Put) -> None:
    first = put(anna, letter("first"))
    box = Mailbox.objects.get(pk=mailbox_id(anna))
    second = put(anna, letter("second"), minutes=1)
    browser.post("/mail/act/", {"action": "erase", "item": f"{box.pk}-{first.uid}"})
    answer = json.loads(browser.get(f"/mail/{box.pk}/changes/?since={box.highest_modseq}").content)
    assert _items(answer["rows"].encode()) == [f"{box.pk}-{second.uid}"]
    assert answer["gone"] == [f"{box.pk}-{first.uid}"]
    assert answer["reset"] is False
    later = json.loads(browser.get(f"/mail/{box.pk}/changes/?since={answer['modseq']}").content)
    assert (later["rows"], later["gone"]) == ("", [])


def test_too_many_changes_ask_for_a_new_list(browser: Client, anna: User, put: Put) -> None:
    for n in range(201):
        put(anna, letter(f"n{n}"))
    answer = json.loads(browser.get(f"/mail/{mailbox_id(anna)}/changes/?since=1").content)
    assert answer["reset"] is True


def test_others_see_nothing(stranger: Client, anna: User, put: Put) -> None:
    place = put(anna, letter("secret"))
    box, uid = place.mailbox_id, place.uid
    for path in (
        f"/mail/{box}/",
        f"/mail/{box}/rows/",
        f"/mail/{box}/changes/?since=1",
        f"/mail/{box}/{uid}/",
        f"/mail/{box}/{uid}/html/0/",
        f"/mail/{box}/{uid}/part/0/",
        f"/mail/{box}/{uid}/source/",
        f"/mail/{box}/{uid}/raw/",
        f"/mail/compose/reply/{box}/{uid}/",
        f"/mail/compose/reply-all/{box}/{uid}/",
        f"/mail/compose/forward/{box}/{uid}/",
        f"/mail/compose/draft/{box}/{uid}/",
        f"/mail/search/?q=secret&in={box}",
    ):
        for headers in ({}, HTMX):
            assert stranger.get(path, **headers).status_code == 404, path
    assert b"data-item=" not in stranger.get("/mail/search/?q=secret").content


def test_every_page_asks_for_sign_in(anna: User, put: Put) -> None:
    place = put(anna, letter())
    for path in (
        "/",
        "/mail/folders/",
        "/mail/compose/",
        "/mail/search/?q=x",
        f"/mail/{place.mailbox_id}/{place.uid}/",
    ):
        assert Client().get(path)["Location"].startswith("/sign-in/")
    for path in ("/mail/act/", "/mail/compose/send/", "/mail/compose/save/", "/mail/folders/"):
        assert Client().post(path)["Location"].startswith("/sign-in/")


def test_pages_are_not_cached(browser: Client, anna: User) -> None:
    assert "no-store" in browser.get(f"/mail/{mailbox_id(anna)}/")["Cache-Control"]


def test_dates_are_drawn_in_the_browsers_zone(anna: User, put: Put) -> None:
    place = put(anna, letter())
    client = signed_in(anna)
    client.cookies["tz"] = "Asia/Tokyo"
    assert "21:00" in client.get(f"/mail/{place.mailbox_id}/{place.uid}/").content.decode()
    client.cookies["tz"] = "../../etc/passwd"
    assert "12:00" in client.get(f"/mail/{place.mailbox_id}/{place.uid}/").content.decode()


def test_keys_survive_their_text_form() -> None:
    key = lists.Key(NOON, 17)
    assert lists.Key.parse(str(key)) == key


def test_bad_keys_are_not_found(browser: Client, anna: User) -> None:
    for key in ("x", "1", "99999999999999999999999-1", "1-99999999999999999999999999", "", "-"):
        status = browser.get(f"/mail/{mailbox_id(anna)}/rows/", {"before": key}).status_code
        assert status in (200, 404), key


@pytest.mark.slow
def test_a_page_of_a_hundred_thousand_costs_what_one_of_a_hundred_does(browser: Client, anna: User, mail: None) -> None:
    box, message = mailbox_id(anna), prepare(letter("one of many"))
    costs = []
    for more in (100, 99_900):
        for start in range(0, more, 5_000):
            dates = [NOON + timedelta(seconds=start + n) for n in range(min(5_000, more - start))]
            store.call_sync(append, Append(anna.pk, box, [(message, 0, (), date) for date in dates]))
        oldest = lists.Key(NOON + timedelta(seconds=60), 1)
        for url in (f"/mail/{box}/", f"/mail/{box}/rows/?before={oldest}"):
            with CaptureQueriesContext(connection) as captured:
                assert len(_items(browser.get(url).content)) >= 49
            costs.append(len(captured))
            _assert_no_scan([query["sql"] for query in captured.captured_queries])
    assert costs[:2] == costs[2:]


def _assert_no_scan(statements: list[str]) -> None:
    """Every place is found by an index that has the rows in their order already."""
    if connection.vendor != "sqlite":
        return
    for sql in statements:
        if sql.startswith("SELECT") and "mailservers_mailboxmessage" in sql:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN QUERY PLAN " + sql.replace("%", "%%"))
                steps = " / ".join(row[3] for row in cursor.fetchall())
            assert "TEMP B-TREE" not in steps, (sql, steps)
            assert "SCAN mailservers_mailboxmessage" not in steps, (sql, steps)
