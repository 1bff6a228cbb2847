"""Identities with Reply-To and signature, templates, and mailto: links."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Address, AddressTarget, User
from mailservers.delivery import routing
from tests.webmail.conftest import WEB, Put, letter
from tests.webmail.test_compose import form_of, only
from webmail.compose.identities import identities
from webmail.compose.mailto import parse_mailto
from webmail.models import CannedAnswer, SendingIdentity

HERE = "/mail/identities/"
SALES = "sales@harbour.test"


@pytest.fixture
def alias(anna: User) -> str:
    address = Address.objects.create(domain=anna.domain, address=SALES)
    AddressTarget.objects.create(address=address, user=anna)
    routing.forget()
    return SALES


def save(browser: Client, address: str, **more: str) -> int:
    return browser.post(HERE, {"action": "save", "address": address, **more}).status_code


@WEB
def test_an_answer_is_signed_as_the_address_the_mail_came_to(
    browser: Client, anna: User, ben: User, alias: str, put: Put
) -> None:
    assert save(browser, alias, name="Harbour Sales", reply_to="Ben@harbour.test", signature="Sales\r\nPier 3") == 302
    place = put(anna, letter(to=alias, text="Hello\r\n-- \r\nCarla, their signature\r\n"))
    page = browser.get(f"/mail/compose/reply/{place.mailbox_id}/{place.uid}/").content
    assert f'<option value="{alias}" data-signature="Sales\nPier 3" selected' in page.decode()
    fields = form_of(page)
    assert str(fields["text"]).startswith("\n\n-- \nSales\nPier 3\n\n\nOn ")
    assert "> Hello" in str(fields["text"]) and "their signature" not in str(fields["text"])
    browser.post("/mail/compose/send/", {**fields, "sender": alias, "to": "ben@harbour.test"})
    _, got = only(ben, "INBOX")
    assert (got["From"], got["Reply-To"]) == (f"Harbour Sales <{alias}>", "Ben@harbour.test")


@WEB
def test_the_default_writes_new_mail(browser: Client, anna: User, alias: str) -> None:
    assert [one.address for one in identities(anna)] == ["anna@harbour.test", alias]
    assert save(browser, alias, is_default="yes", signature="S") == 302
    assert [one.address for one in identities(anna)] == [alias, "anna@harbour.test"]
    assert form_of(browser.get("/mail/compose/").content)["text"] == "\n\n-- \nS\n"
    assert save(browser, "anna+shop@harbour.test", is_default="yes") == 302
    assert identities(anna)[0].address == "anna+shop@harbour.test"
    assert SendingIdentity.objects.filter(is_default=True).count() == 1
    AddressTarget.objects.all().delete()
    routing.forget()
    assert alias not in [one.address for one in identities(anna)]
    browser.post(HERE, {"action": "forget", "address": "anna+shop@harbour.test"})
    assert [one.address for one in identities(anna)] == ["anna@harbour.test"]


@WEB
@pytest.mark.parametrize(
    "fields",
    [{"address": "ben@harbour.test"}, {"address": "nobody"}, {"address": "anna@harbour.test", "reply_to": "x"}],
)
def test_only_own_addresses(browser: Client, anna: User, ben: User, fields: dict[str, str]) -> None:
    answer = browser.post(HERE, {"action": "save", **fields})
    assert answer.status_code == 422 and 'role="alert"' in answer.content.decode()
    assert not SendingIdentity.objects.exists()


@WEB
def test_templates(browser: Client, stranger: Client, anna: User, ben: User) -> None:
    assert browser.post("/mail/templates/", {"name": "Thanks", "text": 'Thank "you"\r\n<b>'}).status_code == 302
    answer = CannedAnswer.objects.get()
    assert html.escape('Thank "you"\n<b>').replace("&#x27;", "'") in browser.get("/mail/compose/").content.decode()
    assert browser.post("/mail/templates/", {"name": "thanks", "text": "x"}).status_code == 422
    assert stranger.post("/mail/templates/", {"answer": answer.pk, "name": "Mine", "text": "x"}).status_code == 422
    stranger.post("/mail/templates/", {"answer": answer.pk, "action": "delete"})
    browser.post("/mail/templates/", {"answer": answer.pk, "name": "Thx", "text": "y"})
    assert CannedAnswer.objects.get().name == "Thx"
    browser.post("/mail/templates/", {"answer": answer.pk, "action": "delete"})
    assert not CannedAnswer.objects.exists()


@WEB
def test_a_mailto_link_begins_a_letter(browser: Client, anna: User) -> None:
    uri = "mailto:a@b.test?cc=c@d.test&subject=caf%C3%A9&body=one%0D%0Atwo&attach=/etc/passwd"
    fields = form_of(browser.get("/mail/compose/", {"mailto": uri}).content)
    assert (fields["to"], fields["cc"], fields["subject"]) == ("a@b.test", "c@d.test", "café")
    assert fields["text"] == "one\ntwo" and not fields["file"]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [  # RFC 6068 section 6
        ("mailto:chris@example.com", {"to": "chris@example.com"}),
        ("mailto:infobot@example.com?subject=current-issue", {"to": "infobot@example.com", "subject": "current-issue"}),
        (
            "mailto:?to=joe@example.com&cc=bob@example.com&body=hello",
            {"to": "joe@example.com", "cc": "bob@example.com", "body": "hello"},
        ),
        ("mailto:addr1@an.example,addr2@an.example", {"to": "addr1@an.example,addr2@an.example"}),
        ("mailto:addr1@an.example?to=addr2@an.example", {"to": "addr1@an.example, addr2@an.example"}),
        ("mailto:gorby%25kremvax@example.com", {"to": "gorby%kremvax@example.com"}),
        ("mailto:unlikely%3Faddress@example.com?blat=foop", {"to": "unlikely?address@example.com"}),
        ("mailto:%22not%40me%22@example.org", {"to": '"not@me"@example.org'}),
        ("mailto:bill+ietf@example.org", {"to": "bill+ietf@example.org"}),
        ("MAILTO:a@b?BCC=c@d&subject=a%0d%0aBcc:%20x@y", {"to": "a@b", "bcc": "c@d", "subject": "a Bcc: x@y"}),
        ("http://a@b", {}),
        ("", {}),
    ],
)
def test_mailto(uri: str, expected: dict[str, str]) -> None:
    assert {name: value for name, value in parse_mailto(uri).items() if value} == expected


@given(st.text(max_size=200))
def test_any_text_is_answered(text: str) -> None:
    for uri in (text, f"mailto:{text}"):
        found = parse_mailto(uri)
        assert set(found) == {"to", "cc", "bcc", "subject", "body"}
        assert not re.search(r"[\r\n]", found["subject"])
