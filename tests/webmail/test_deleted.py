"""The page of deleted messages."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from mailservers.models import DeletedMessage, MailboxMessage
from tests.conftest import mailbox_id
from tests.webmail.conftest import WEB, Put, letter

pytestmark = WEB
HERE = "/mail/deleted/"


@pytest.fixture
def deleted(browser: Client, anna: User, put: Put) -> list[int]:
    """Three of Anna's messages, deleted for good in the Trash; the last one first."""
    for n in range(3):
        place = put(anna, letter(f"Subject {n}"), "Trash")
        browser.post("/mail/act/", {"action": "erase", "item": f"{place.mailbox_id}-{place.uid}"})
    return list(DeletedMessage.objects.order_by("-pk").values_list("pk", flat=True))


def test_restore_the_chosen_ones(browser: Client, anna: User, deleted: list[int]) -> None:
    page = browser.get(HERE).content.decode()
    assert page.index("Subject 2") < page.index("Subject 0") and "Trash" in page and "13 days left" in page
    answer = browser.post(HERE, {"action": "restore", "item": deleted[:2]}, follow=True).content.decode()
    assert "2 messages restored." in answer and "Subject 0" in answer and "Subject 2" not in answer
    assert MailboxMessage.objects.filter(mailbox_id=mailbox_id(anna)).count() == 2


def test_give_up(browser: Client, deleted: list[int]) -> None:
    assert "1 message gone" in browser.post(HERE, {"action": "purge", "item": deleted[0]}, follow=True).content.decode()
    answer = browser.post(HERE, {"action": "purge-all"}, follow=True).content.decode()
    assert "2 messages gone for good." in answer and "Nothing to restore" in answer
    assert not DeletedMessage.objects.exists()


def test_a_full_mailbox_is_told(browser: Client, anna: User, deleted: list[int]) -> None:
    User.objects.filter(pk=anna.pk).update(quota_octets=10)
    answer = browser.post(HERE, {"action": "restore", "item": deleted}, follow=True).content.decode()
    assert "no room for these messages" in answer and DeletedMessage.objects.count() == 3


def test_others_and_nonsense(stranger: Client, browser: Client, deleted: list[int]) -> None:
    assert "Subject" not in stranger.get(HERE).content.decode()
    for action in ("restore", "purge", "purge-all"):
        stranger.post(HERE, {"action": action, "item": deleted})
    assert DeletedMessage.objects.count() == 3
    assert browser.post(HERE, {"action": "x"}).status_code == 404
    assert "Nothing is selected" in browser.post(HERE, {"action": "restore", "item": "x"}, follow=True).content.decode()
    assert browser.get(f"{HERE}?before=x").status_code == 200


def test_pages_by_key(browser: Client, anna: User, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    trash = mailbox_id(anna, "Trash")
    for n in range(55):
        put(anna, letter(f"Subject {n:02}"), "Trash")
    browser.post("/mail/act/", {"action": "empty", "target": trash})
    page = browser.get(HERE).content.decode()
    assert "Subject 54" in page and "Subject 05" in page and "Subject 04" not in page
    oldest = DeletedMessage.objects.order_by("pk")[5].pk
    older = browser.get(f"{HERE}?before={oldest}").content.decode()
    assert f"?before={oldest}" in page and "Subject 04" in older and "Subject 05" not in older


def test_turned_off(browser: Client, deleted: list[int], settings) -> None:
    settings.UNDELETE_DAYS = 0
    page = browser.get(HERE).content.decode()
    assert "gone at once" in page and "Subject" not in page
    assert "Recently deleted" not in browser.get("/mail/folders/list/").content.decode()
