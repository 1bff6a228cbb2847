"""Every address of the console: administrators only."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.console import urls
from accounts.models import User
from tests.console.conftest import BACKEND, WEB

pytestmark = WEB
ADDRESSES = [
    reverse(
        f"console:{entry.name}", args=["x"] if entry.name == "trace" else ["7"] if "<" in str(entry.pattern) else []
    )
    for entry in urls.urlpatterns
]
POST_ONLY = ("/active/", "/delete/", "/link/", "/second-factor/", "/password/", "/act/")


def test_every_address_is_guarded(anna: User, mail: None) -> None:
    stranger, user = Client(), Client()
    user.force_login(anna, BACKEND)
    for address in ADDRESSES:
        for method in ("get", "post"):
            answer = getattr(stranger, method)(address)
            assert answer.status_code == 302 and answer["Location"].startswith("/sign-in/?next="), address
            assert getattr(user, method)(address).status_code == 404, address


def test_acts_are_posts_only(browser: Client) -> None:
    for address in ADDRESSES:
        if address.endswith(POST_ONLY):
            assert browser.get(address).status_code == 405, address


def test_posts_need_the_csrf_token(boss: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(boss, BACKEND)
    assert client.post(reverse("console:user-delete", args=[boss.pk])).status_code == 403


@pytest.mark.parametrize("name", ["domain", "user", "address", "trace"])
def test_what_is_not_there(browser: Client, name: str) -> None:
    assert browser.get(reverse(f"console:{name}", args=["nothing" if name == "trace" else 99])).status_code == 404


@pytest.mark.parametrize("query", ["?before=x", "?before=-1", "?before=99999999999999999999", "?after=%00", "?q=%00"])
@pytest.mark.parametrize("name", ["domains", "users", "addresses", "queue", "log", "audit", "reports"])
def test_odd_queries_are_harmless(browser: Client, name: str, query: str) -> None:
    assert browser.get(reverse(f"console:{name}") + query).status_code == 200


def test_pages_hold_no_inline_script_or_style(browser: Client) -> None:
    for name in ("overview", "domains", "users", "addresses", "queue", "log", "audit", "user-new", "domain-new"):
        answer = browser.get(reverse(f"console:{name}"))
        text = answer.content.decode()
        assert " style=" not in text and "<style" not in text and "onclick" not in text, name
        assert "'unsafe-inline'" not in answer["Content-Security-Policy"]
        assert "no-store" in answer["Cache-Control"]
