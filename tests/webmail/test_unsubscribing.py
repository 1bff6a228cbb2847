"""Leaving a mailing list: which way a message offers, and one click over a real HTTPS connection."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from mailservers.models import MailboxMessage
from mailservers.outbound.https import FetchFailed
from tests.webmail.conftest import WEB, Put, letter
from webmail.reading import unsubscribing
from webmail.reading.unsubscribing import way_out

pytestmark = WEB
PAGE = "https://lists.far.test/u?id=7"
POST = "List-Unsubscribe=One-Click"
SIGNED = "from:list-unsubscribe:list-unsubscribe-post:subject"


def header(
    *, field: str = f"<mailto:leave@far.test?subject=out>, <{PAGE}>", post: str = POST, signed: str = SIGNED,
    result: str = "pass", by: str = "", domain: str = "far.test",
) -> bytes:  # fmt: skip
    return (
        f"Authentication-Results: {by or settings.HOSTNAME}; dkim={result} header.d={domain} header.s=s\r\n"
        f"DKIM-Signature: v=1; a=rsa-sha256; d=far.test; s=s; c=relaxed/relaxed;\r\n h={signed}; bh=AAAA; b=AAAA\r\n"
        f"From: news@far.test\r\nList-Unsubscribe: {field}\r\nList-Unsubscribe-Post: {post}\r\n"
    ).encode()


def test_one_click_when_the_sender_vouches_for_it() -> None:
    way = way_out(header())
    assert (way.post, way.host) == (PAGE, "lists.far.test")
    assert way.compose.startswith("/mail/compose/?mailto=mailto%3Aleave%40far.test")


@pytest.mark.parametrize(
    "fields",
    [
        {"signed": "from:subject"},
        {"signed": "from:list-unsubscribe"},
        {"result": "fail"},
        {"by": "mx.elsewhere.test"},
        {"domain": "other.test"},
        {"post": "yes"},
        {"post": ""},
        {"field": "<http://lists.far.test/u>"},
        {"field": "<mailto:leave@far.test>"},
    ],
)
def test_no_click_without(fields: dict[str, str]) -> None:
    assert way_out(header(**fields)).post == ""


@pytest.mark.parametrize(
    "field",
    ["", "nothing", "<javascript:alert(1)>", "<https://>", "<https://a:0/>", "<https://[::1>", "<https://ü.test/>",
     f"<{'a' * 3000}>", f"<https://far.test/{'a' * 3000}>"],
)  # fmt: skip
def test_what_is_no_way(field: str) -> None:
    assert not way_out(header(field=field))


def listed(put: Put, user: User, **fields: Any) -> MailboxMessage:
    return put(user, header(**fields) + letter(text="News\r\n").partition(b"\r\n")[2])


def test_one_click(browser: Client, anna: User, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bytes, str]] = []

    async def post(_resolver: Any, url: str, content: bytes, kind: str) -> None:
        asked.append((url, content, kind))

    monkeypatch.setattr(unsubscribing, "post", post)
    place = listed(put, anna)
    address = f"/mail/{place.mailbox_id}/{place.uid}/"
    assert "Ask lists.far.test to send you no more?" in browser.get(address).content.decode()
    assert asked == [], "nothing is asked by looking"
    answer = browser.post(f"{address}unsubscribe/", follow=True).content.decode()
    assert asked == [(PAGE, POST.encode(), "application/x-www-form-urlencoded")]
    assert "has been asked to send you no more" in answer and "You asked lists.far.test" in answer


def test_a_refusal_is_told(browser: Client, anna: User, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    async def post(*_: Any) -> None:
        raise FetchFailed("the answer was 500")

    monkeypatch.setattr(unsubscribing, "post", post)
    place = listed(put, anna)
    answer = browser.post(f"/mail/{place.mailbox_id}/{place.uid}/unsubscribe/", follow=True).content.decode()
    assert "did not take it: the answer was 500" in answer and "You asked" not in answer


def test_other_ways_are_links(browser: Client, anna: User, ben: User, put: Put) -> None:
    by_mail = listed(put, anna, post="", field="<mailto:leave@far.test>")
    page = browser.get(f"/mail/{by_mail.mailbox_id}/{by_mail.uid}/").content.decode()
    assert "Unsubscribe by mail" in page
    on_page = listed(put, anna, post="", field=f"<{PAGE}>")
    assert "Unsubscribe at lists.far.test" in browser.get(f"/mail/{on_page.mailbox_id}/{on_page.uid}/").content.decode()
    assert browser.post(f"/mail/{by_mail.mailbox_id}/{by_mail.uid}/unsubscribe/").status_code == 404
    theirs = listed(put, ben)
    assert browser.post(f"/mail/{theirs.mailbox_id}/{theirs.uid}/unsubscribe/").status_code == 404


def test_a_private_address_is_not_asked(browser: Client, anna: User, put: Put) -> None:
    """By the resolver that everything goes through: nobody makes us talk to our own network."""
    place = listed(put, anna, field="<https://127.0.0.1:8443/x>")
    answer = browser.post(f"/mail/{place.mailbox_id}/{place.uid}/unsubscribe/", follow=True).content.decode()
    assert "did not take it" in answer
