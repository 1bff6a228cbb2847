"""The page of blocked and trusted senders."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from mailservers.models import SenderRule
from mailservers.store import sender_rules
from tests.webmail.conftest import WEB, Put, letter

pytestmark = WEB
HERE = "/mail/senders/"


def rules(user: User) -> list[tuple[str, bool]]:
    return list(SenderRule.objects.filter(user=user).order_by("pk").values_list("pattern", "is_block"))


def send(browser: Client, action: str, pattern: str) -> str:
    return browser.post(HERE, {"action": action, "pattern": pattern}, follow=True).content.decode()


def test_block_trust_and_remove(browser: Client, anna: User) -> None:
    assert "You block nobody." in browser.get(HERE).content.decode()
    assert "spam.test is blocked" in send(browser, "block", " @Spam.TEST ")
    assert "boss@bücher.test" not in send(browser, "trust", "Boss@bücher.test")  # kept as A-labels
    assert rules(anna) == [("spam.test", True), ("boss@xn--bcher-kva.test", False)]
    assert "spam.test is trusted" in send(browser, "trust", "spam.test")
    assert "on your lists no more" in send(browser, "forget", "spam.test")
    assert rules(anna) == [("boss@xn--bcher-kva.test", False)]


@pytest.mark.parametrize("pattern", ["", "no one", "a@", "10.0.0.0/2", "<script>", "x" * 400])
def test_what_is_no_sender_is_told(browser: Client, anna: User, pattern: str) -> None:
    answer = browser.post(HERE, {"action": "block", "pattern": pattern})
    assert answer.status_code == 422 and "pattern-error" in answer.content.decode() and not rules(anna)
    assert "<script>" not in answer.content.decode()


def test_everyone_has_their_own(browser: Client, stranger: Client, anna: User) -> None:
    send(browser, "block", "spam.test")
    assert "spam.test" not in stranger.get(HERE).content.decode()
    send(stranger, "forget", "spam.test")
    assert rules(anna) == [("spam.test", True)]
    assert stranger.post(HERE, {"action": "x", "pattern": "a.test"}).status_code == 404
    assert Client().get(HERE).status_code == 302


def test_a_list_has_an_end(browser: Client, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_rules, "MAX_RULES", 1)
    send(browser, "block", "one.test")
    assert "A list can hold 1 senders." in send(browser, "block", "two.test")
    assert rules(anna) == [("one.test", True)]


def test_from_a_message(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter())
    page = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/").content.decode()
    assert f"{HERE}?sender=carla%40far.test" in page
    assert 'value="carla@far.test"' in browser.get(f"{HERE}?sender=carla%40far.test").content.decode()
