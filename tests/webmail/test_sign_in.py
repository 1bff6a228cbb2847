"""Signing in: password, throttle, one-time link, sign-out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import OneTimeLink, User
from accounts.sign_in.tokens import make_one_time_link
from tests.conftest import PASSWORD
from tests.webmail.conftest import WEB

pytestmark = WEB


@pytest.fixture
def nobody() -> Client:
    return Client()


def test_password_signs_in_and_goes_where_it_was_asked(anna: User, nobody: Client) -> None:
    asked = nobody.get("/mail/folders/")
    assert asked["Location"] == "/sign-in/?next=/mail/folders/"
    answer = nobody.post("/sign-in/", {"login": anna.login, "password": PASSWORD, "next": "/mail/folders/"})
    assert (answer.status_code, answer["Location"]) == (302, "/mail/folders/")
    assert nobody.get("/mail/folders/").status_code == 200


def test_session_key_changes_at_sign_in(anna: User, nobody: Client) -> None:
    nobody.session["x"] = 1
    nobody.session.save()
    before = nobody.session.session_key
    nobody.post("/sign-in/", {"login": anna.login, "password": PASSWORD})
    assert nobody.session.session_key != before


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test/", "javascript:alert(1)", "\\\\evil.test"])
def test_next_never_leaves_the_site(anna: User, nobody: Client, target: str) -> None:
    answer = nobody.post("/sign-in/", {"login": anna.login, "password": PASSWORD, "next": target})
    assert answer["Location"] == "/"


def test_wrong_password_says_so_and_then_throttles(anna: User, nobody: Client, settings: object) -> None:
    for _ in range(10):
        answer = nobody.post("/sign-in/", {"login": anna.login, "password": "wrong"})
    assert answer.status_code == 429
    assert b"Too many failed attempts" in answer.content
    again = nobody.post("/sign-in/", {"login": anna.login, "password": PASSWORD})
    assert again.status_code == 429


def test_unknown_user_reads_the_same(anna: User, nobody: Client) -> None:
    one = nobody.post("/sign-in/", {"login": anna.login, "password": "wrong"})
    other = nobody.post("/sign-in/", {"login": "zoe@harbour.test", "password": "wrong"})
    assert one.status_code == other.status_code == 403
    assert b"is not right" in one.content
    assert b"is not right" in other.content


def test_one_time_link_works_once_and_only_by_post(anna: User, nobody: Client) -> None:
    path = make_one_time_link(anna.pk)
    for _ in range(3):
        assert anna.login.encode() in nobody.get(path).content
    assert nobody.post(path).status_code == 302
    assert nobody.get("/mail/folders/").status_code == 200
    other = Client()
    assert other.get(path).status_code == 404
    assert other.post(path).status_code == 404


def test_one_time_link_is_not_kept_in_clear_and_ends(anna: User, nobody: Client) -> None:
    path = make_one_time_link(anna.pk)
    link = OneTimeLink.objects.get()
    assert path.rstrip("/").rpartition("/")[2].encode() not in bytes(link.token_digest)
    OneTimeLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert nobody.post(path).status_code == 404


def test_link_of_a_disabled_user_is_refused(anna: User, nobody: Client) -> None:
    path = make_one_time_link(anna.pk)
    User.objects.update(is_active=False)
    assert nobody.post(path).status_code == 404


def test_sign_out_needs_post_and_ends_the_session(browser: Client) -> None:
    assert browser.get("/sign-out/").status_code == 405
    assert browser.post("/sign-out/").status_code == 302
    assert browser.get("/mail/folders/").status_code == 302


def test_pages_have_a_strict_policy(nobody: Client) -> None:
    policy = nobody.get("/sign-in/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_posts_need_the_token(anna: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/sign-in/", {"login": anna.login, "password": PASSWORD}).status_code == 403
