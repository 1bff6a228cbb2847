"""What is done to messages, and Undo."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from accounts.models import User
from mailservers.models import Flag, MailboxMessage
from tests.conftest import mailbox_id
from tests.webmail.conftest import HTMX, WEB, Put, letter, signed_in

pytestmark = WEB


def _item(place: MailboxMessage) -> str:
    return f"{place.mailbox_id}-{place.uid}"


def _flags(place: MailboxMessage) -> int:
    return MailboxMessage.objects.get(pk=place.pk).flags


def test_marks(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter())
    for action, flag, expected in (
        ("read", Flag.SEEN, True),
        ("star", Flag.FLAGGED, True),
        ("unread", Flag.SEEN, False),
        ("unstar", Flag.FLAGGED, False),
    ):
        answer = browser.post("/mail/act/", {"action": action, "item": _item(place)}, **HTMX)
        assert answer.status_code == 200
        assert bool(_flags(place) & flag) is expected
        assert json.loads(answer["HX-Trigger"]) == {"mail-changed": {"left": []}}


@pytest.mark.parametrize(
    ("action", "target"), [("archive", "Archive"), ("trash", "Trash"), ("junk", "Junk"), ("not-junk", "INBOX")]
)
def test_moves_with_undo(browser: Client, anna: User, put: Put, action: str, target: str) -> None:
    home = "Junk" if action == "not-junk" else "INBOX"
    places = [put(anna, letter(f"n{n}"), home) for n in range(3)]
    answer = browser.post("/mail/act/", {"action": action, "item": [_item(p) for p in places]}, **HTMX)
    moved = MailboxMessage.objects.filter(mailbox_id=mailbox_id(anna, target))
    assert moved.count() == 3
    keyword = {"junk": "$Junk", "not-junk": "$NotJunk"}.get(action, "")
    assert all(keyword in place.keywords for place in moved)
    back = re.findall(r'name="back" value="([0-9-]+)"', answer.content.decode())
    undone = browser.post("/mail/act/", {"action": "undo", "back": back}, **HTMX)
    assert b"3 messages put back" in undone.content
    assert MailboxMessage.objects.filter(mailbox_id=mailbox_id(anna, home)).count() == 3


def test_move_to_a_chosen_folder(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter())
    browser.post("/mail/act/", {"move_to": mailbox_id(anna, "Archive"), "item": _item(place)})
    assert MailboxMessage.objects.get().mailbox_id == mailbox_id(anna, "Archive")


def test_deleting_for_good_and_emptying(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter("one"), "Trash")
    put(anna, letter("two"), "Trash")
    browser.post("/mail/act/", {"action": "erase", "item": _item(place)})
    assert MailboxMessage.objects.count() == 1
    browser.post("/mail/act/", {"action": "empty", "target": mailbox_id(anna, "Trash")})
    assert MailboxMessage.objects.count() == 0


def test_only_trash_and_junk_can_be_emptied(browser: Client, anna: User, put: Put) -> None:
    put(anna, letter())
    assert browser.post("/mail/act/", {"action": "empty", "target": mailbox_id(anna)}).status_code == 404
    assert MailboxMessage.objects.count() == 1


def test_others_mail_is_out_of_reach(stranger: Client, ben: User, anna: User, put: Put) -> None:
    place = put(anna, letter(), "Trash")
    mine = put(ben, letter())
    for action in ("read", "star", "archive", "trash", "junk", "erase"):
        assert stranger.post("/mail/act/", {"action": action, "item": _item(place)}).status_code == 404
    trash = mailbox_id(anna, "Trash")
    assert stranger.post("/mail/act/", {"move_to": trash, "item": _item(mine)}).status_code == 404
    assert stranger.post("/mail/act/", {"action": "empty", "target": trash}).status_code == 404
    assert (
        stranger.post("/mail/act/", {"action": "undo", "back": f"{_item(place)}-{mine.mailbox_id}"}).status_code == 404
    )
    assert MailboxMessage.objects.filter(pk__in=[place.pk, mine.pk]).count() == 2
    assert _flags(place) == 0


@pytest.mark.parametrize("item", ["", "x", "1", "1-2-3", "-1-2", "1-99999999999999999999", "١-٢"])
def test_nonsense_items_are_not_found(browser: Client, item: str) -> None:
    assert browser.post("/mail/act/", {"action": "read", "item": item}).status_code == 404


def test_without_htmx_it_redirects_within_the_site(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter())
    data = {"action": "read", "item": _item(place)}
    assert browser.post("/mail/act/", {**data, "next": "/mail/folders/"})["Location"] == "/mail/folders/"
    assert browser.post("/mail/act/", {**data, "next": "https://evil.test/"})["Location"] == "/"


def test_get_and_missing_token_change_nothing(anna: User, put: Put) -> None:
    place = put(anna, letter())
    strict = signed_in(anna, enforce_csrf_checks=True)
    assert strict.get("/mail/act/", {"action": "read", "item": _item(place)}).status_code == 405
    assert strict.post("/mail/act/", {"action": "read", "item": _item(place)}).status_code == 403
    assert strict.get(f"/mail/{place.mailbox_id}/{place.uid}/").status_code == 200
    assert _flags(place) == 0
