"""An opened message shows what it belongs to: wherever that lies, each once, nothing of other people's."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from mailservers.models import Flag, MailboxMessage
from mailservers.store import lists
from tests.webmail.conftest import HTMX, WEB, Put, letter

pytestmark = WEB


def mail(number: int, answers: int | None = None, text: str = "") -> bytes:
    fields = {"message_id": f"<c{number}@far.test>"}
    if answers is not None:
        fields |= {"in_reply_to": f"<c{answers}@far.test>", "references": f"<c{answers}@far.test>"}
    return letter(subject="Sails", text=f"{text or f'Mail {number}'}\r\n", **fields)


def shown(browser: Client, place: MailboxMessage) -> list[str]:
    page = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/", **HTMX).content.decode()
    found = re.search(r'<details class="conversation" open>(.*?)</details>', page, re.DOTALL)
    return re.findall(r'conversation-preview">([^<]*)<', found[1]) if found else []


def test_oldest_first_over_all_folders(browser: Client, anna: User, put: Put) -> None:
    put(anna, mail(1), minutes=1)
    put(anna, mail(2, 1), "Sent", flags=Flag.SEEN, minutes=2)
    last = put(anna, mail(3, 2), "Archive", minutes=3)
    put(anna, mail(4, 3), "Trash", minutes=4)
    put(anna, letter(subject="Other"), minutes=5)
    assert shown(browser, last) == ["Mail 1", "Mail 2", "Mail 3"]


def test_what_was_thrown_away_is_shown_from_there(browser: Client, anna: User, put: Put) -> None:
    put(anna, mail(1), minutes=1)
    assert shown(browser, put(anna, mail(2, 1), "Trash", minutes=2)) == ["Mail 1", "Mail 2"]


def test_alone_it_is_no_conversation(browser: Client, anna: User, ben: User, put: Put) -> None:
    put(ben, mail(1))
    assert shown(browser, put(anna, mail(2, 1))) == []


def test_copies_are_one(browser: Client, anna: User, put: Put) -> None:
    put(anna, mail(1), minutes=1)
    here = put(anna, mail(2, 1), minutes=2)
    put(anna, mail(2, 1), "Sent", minutes=2)
    assert shown(browser, here) == ["Mail 1", "Mail 2"]
    page = browser.get(f"/mail/{here.mailbox_id}/{here.uid}/", **HTMX).content.decode()
    assert page.count('class="is-open"') == 1


@pytest.mark.parametrize("count", [3, 60])
def test_its_cost_does_not_grow(count: int, anna: User, put: Put) -> None:
    for number in range(count):
        place = put(anna, mail(number, number - 1 if number else None), minutes=number)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert len(lists.conversation(anna.pk, place.pk, 50)) == min(count, 50)
    assert len(queries) <= 4
