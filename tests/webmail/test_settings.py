"""The settings area: how pages look, what takes room, and what other programs need."""

from __future__ import annotations

import plistlib

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from mailservers.models import MailboxMessage
from tests.conftest import mailbox_id
from tests.webmail.conftest import WEB, Put, letter

pytestmark = WEB
PAGES = ("/mail/settings/", "/mail/settings/storage/", "/mail/settings/connecting/", "/mail/senders/", "/mail/folders/")


@pytest.mark.parametrize("path", [*PAGES, "/mail/sending/options/", "/account/"])
def test_every_page_has_the_settings_beside_it(browser: Client, path: str) -> None:
    page = browser.get(path).content.decode()
    sidebar = page[page.index('id="sidebar"') : page.index('id="content"')]
    assert sidebar.count('aria-current="page"') == 1
    for other in PAGES:
        assert f'href="{other}"' in sidebar


def test_display_is_kept_and_used(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter())
    assert "data-theme" not in browser.get("/mail/settings/").content.decode()
    browser.cookies["tz"] = "America/New_York"
    assert "07:00" in browser.get(f"/mail/{place.mailbox_id}/{place.uid}/").content.decode()
    chosen = {"theme": "dark", "density": "compact", "time_zone": "Asia/Tokyo"}
    assert browser.post("/mail/settings/", chosen).status_code == 302
    page = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/").content.decode()
    assert '<html lang="en" data-theme="dark" data-density="compact">' in page
    assert "21:00" in page and "07:00" not in page
    assert browser.post("/mail/settings/", {}).status_code == 302  # everything as the system has it
    assert "data-theme" not in browser.get("/mail/settings/").content.decode()


@pytest.mark.parametrize("bad", [{"theme": "neon"}, {"density": "x"}, {"time_zone": "../etc/passwd"}])
def test_nonsense_is_refused(browser: Client, anna: User, bad: dict[str, str]) -> None:
    answer = browser.post("/mail/settings/", bad)
    assert answer.status_code == 422 and b"field-error" in answer.content
    anna.refresh_from_db()
    assert (anna.theme, anna.density, anna.time_zone) == ("", "", "")


def test_storage_shows_ones_own_largest_messages(browser: Client, anna: User, ben: User, put: Put) -> None:
    put(anna, letter("small one"))
    large = put(anna, letter("large one", "x" * 50_000), "Archive")
    put(ben, letter("of Ben", "x" * 90_000))
    page = browser.get("/mail/settings/storage/").content.decode()
    assert page.index("large one") < page.index("small one")
    assert "of Ben" not in page
    browser.post("/mail/act/", {"action": "trash", "item": f"{large.mailbox_id}-{large.uid}"})
    assert MailboxMessage.objects.filter(mailbox_id=mailbox_id(anna, "Trash")).count() == 1


def test_connecting(browser: Client, anna: User) -> None:
    page = browser.get("/mail/settings/connecting/").content.decode()
    assert settings.HOSTNAME in page and str(settings.PUBLIC_PORTS["imaps"]) in page and "<svg" in page
    answer = browser.get("/mail/settings/connecting/mail.mobileconfig")
    assert answer["Content-Type"] == "application/x-apple-aspen-config"
    [account] = plistlib.loads(answer.content)["PayloadContent"]
    assert account["EmailAddress"] == anna.login and account["EmailAccountName"] == "Anna Holm"


def test_signed_out_there_is_nothing(client: Client, mail: None) -> None:
    for path in PAGES:
        assert client.get(path)["Location"].startswith("/sign-in/")
