"""Making, renaming and deleting folders."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from mailservers.models import Mailbox
from tests.conftest import mailbox_id
from tests.webmail.conftest import WEB

pytestmark = WEB


def test_make_rename_delete(browser: Client, anna: User) -> None:
    assert browser.post("/mail/folders/", {"name": "Boats"}).status_code == 302
    box = Mailbox.objects.get(owner=anna, name="Boats")
    assert box.is_subscribed
    browser.post("/mail/folders/", {"name": "Old", "parent": box.pk})
    child = Mailbox.objects.get(owner=anna, name="Boats/Old")
    browser.post(f"/mail/folders/{box.pk}/rename/", {"name": "Ships"})
    assert Mailbox.objects.get(pk=child.pk).name == "Ships/Old"
    answer = browser.post(f"/mail/folders/{box.pk}/delete/", follow=True)
    assert "has mailboxes below it" in answer.content.decode()
    browser.post(f"/mail/folders/{child.pk}/delete/")
    browser.post(f"/mail/folders/{box.pk}/delete/")
    assert not Mailbox.objects.filter(owner=anna, name__startswith="Ships").exists()


@pytest.mark.parametrize("name", ["", "a//b", "x*", "Inbox", "a" * 501, "a\x07b"])
def test_bad_names_are_refused_with_a_reason(browser: Client, anna: User, name: str) -> None:
    before = Mailbox.objects.count()
    answer = browser.post("/mail/folders/", {"name": name})
    assert answer.status_code == 422
    assert b"field-error" in answer.content
    assert Mailbox.objects.count() == before


def test_standard_folders_and_those_of_others_are_left_alone(browser: Client, stranger: Client, anna: User) -> None:
    for name in ("INBOX", "Trash", "Sent"):
        assert browser.post(f"/mail/folders/{mailbox_id(anna, name)}/delete/").status_code == 404
        assert browser.post(f"/mail/folders/{mailbox_id(anna, name)}/rename/", {"name": "x"}).status_code == 404
    browser.post("/mail/folders/", {"name": "Mine"})
    mine = mailbox_id(anna, "Mine")
    assert stranger.post(f"/mail/folders/{mine}/delete/").status_code == 404
    assert stranger.post("/mail/folders/", {"name": "x", "parent": mine}).status_code == 404


def test_usage_stands_below_the_folders(browser: Client, anna: User) -> None:
    page = browser.get("/mail/folders/list/").content.decode()
    assert "0 octets used" in page and "<progress" not in page
    User.objects.filter(pk=anna.pk).update(quota_octets=2**20, quota_messages=200)
    page = browser.get("/mail/folders/list/").content.decode()
    assert "0 octets of 1 MiB used, 0 of 200 messages" in page and "<progress" in page
