"""Priority, receipts and reports asked for; forwarding whole, redirecting, editing as new, answering a list."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import User
from mailservers.formats.addresses import parse_address_list
from mailservers.formats.headers import iter_fields, unfold
from mailservers.formats.mime import header_end
from mailservers.models import MailboxMessage, QueuedRecipient
from mailservers.store.content import read_message
from tests.conftest import mailbox_id
from tests.webmail.conftest import WEB, Put, letter
from tests.webmail.test_compose import form_of, only
from webmail.compose.answering import list_address
from webmail.compose.building import Person, Written, build
from webmail.compose.people import NotAddresses, as_text, parse_people
from webmail.compose.redirecting import resent

WHEN = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANNA = Person("Anna", "anna@harbour.test")
ASKED = {"priority": "high", "receipt": "yes", "delivery": "yes"}


@WEB
def test_what_is_asked_goes_out_and_survives_a_draft(browser: Client, anna: User, ben: User) -> None:
    browser.post("/mail/compose/save/", {"subject": "Later", **ASKED})
    place, draft = only(anna, "Drafts")
    assert (draft["Importance"], draft["X-Postroom-Notify"]) == ("high", "SUCCESS,FAILURE,DELAY")
    page = browser.get(f"/mail/compose/draft/{place.mailbox_id}/{place.uid}/").content.decode()
    assert '<option value="high" selected>' in page
    assert 'name="receipt" value="yes" checked' in page and 'name="delivery" value="yes" checked' in page
    fields = {**form_of(page.encode()), **ASKED, "to": "ben@harbour.test, far@far.test"}
    browser.post("/mail/compose/send/", fields)
    _, got = only(ben, "INBOX")
    assert got["X-Priority"] == "1 (Highest)" and got["X-Postroom-Notify"] is None
    assert got["Disposition-Notification-To"] == "Anna Holm <anna@harbour.test>"
    assert QueuedRecipient.objects.get(address="far@far.test").notify == "SUCCESS,FAILURE,DELAY"


@WEB
def test_nothing_is_asked_unasked(browser: Client, anna: User, ben: User) -> None:
    browser.post("/mail/compose/send/", {"to": "ben@harbour.test", "subject": "x", "priority": "1\r\nBcc: e@far.test"})
    _, got = only(ben, "INBOX")
    assert not {"Importance", "X-Priority", "Disposition-Notification-To"} & set(got.keys())


@WEB
def test_a_message_is_forwarded_whole(browser: Client, anna: User, ben: User, put: Put) -> None:
    place = put(anna, letter("Plans", "The plan\r\n"))
    fields = form_of(browser.get(f"/mail/compose/attach/{place.mailbox_id}/{place.uid}/").content)
    assert fields["file"] == [f"{place.mailbox_id}-{place.uid}-whole"] and fields["subject"] == "Fwd: Plans"
    browser.post("/mail/compose/save/", {**fields, "text": "See"})
    at, _ = only(anna, "Drafts")
    fields = form_of(browser.get(f"/mail/compose/draft/{at.mailbox_id}/{at.uid}/").content)
    assert len(fields["file"]) == 1  # type: ignore[arg-type]
    browser.post("/mail/compose/send/", {**fields, "to": "ben@harbour.test"})
    _, got = only(ben, "INBOX")
    [inner] = [part for part in got.walk() if part.get_content_type() == "message/rfc822"]
    assert inner.get_payload(0)["Subject"] == "Plans"  # type: ignore[union-attr,index]
    place.refresh_from_db()
    assert MailboxMessage.objects.filter(pk=place.pk).exists()


@WEB
def test_others_mail_is_out_of_reach(browser: Client, ben: User, anna: User, put: Put) -> None:
    place = put(ben, letter())
    where = f"{place.mailbox_id}/{place.uid}/"
    for name in ("attach", "again", "redirect", "reply-list"):
        assert browser.get(f"/mail/compose/{name}/{where}").status_code == 404
    answer = browser.post(f"/mail/compose/redirect/{where}", {"to": "anna@harbour.test"})
    assert answer.status_code == 404
    browser.post("/mail/compose/send/", {"to": "anna@harbour.test", "file": f"{place.mailbox_id}-{place.uid}-whole"})
    assert not MailboxMessage.objects.filter(mailbox_id=mailbox_id(anna)).exists()


@WEB
def test_a_message_is_written_again(browser: Client, anna: User, put: Put) -> None:
    raw = letter("Plans", "The plan\r\n", **{"from": "Anna <anna@harbour.test>", "to": "Ben <ben@harbour.test>"})
    place = put(anna, raw, "Sent")
    fields = form_of(browser.get(f"/mail/compose/again/{place.mailbox_id}/{place.uid}/").content)
    assert (fields["to"], fields["subject"], fields["text"]) == ("Ben <ben@harbour.test>", "Plans", "The plan")
    assert fields["draft"] == "" and fields["origin"] == ""
    browser.post("/mail/compose/save/", fields)
    only(anna, "Sent"), only(anna, "Drafts")


@WEB
def test_a_message_is_redirected_as_it_is(browser: Client, anna: User, ben: User, put: Put) -> None:
    raw = b"Return-Path: <carla@far.test>\r\nX-Odd:  kept \r\n" + letter("Plans", "The plan\r\n", message_id="<1@far>")
    place = put(anna, raw)
    here = f"/mail/compose/redirect/{place.mailbox_id}/{place.uid}/"
    assert browser.post(here, {"to": ""}).status_code == 422
    assert browser.post(here, {"to": "nobody@harbour.test"}).status_code == 422
    assert browser.post(here, {"to": "Ben <ben@harbour.test>"}).status_code == 302
    _, got = only(ben, "INBOX")
    assert (got["From"], got["Message-ID"], got["X-Odd"]) == ("Carla <carla@far.test>", "<1@far>", "kept ")
    assert (got["Resent-From"], got["Resent-To"]) == ("Anna Holm <anna@harbour.test>", "Ben <ben@harbour.test>")
    assert got["Resent-Date"] and got["Resent-Message-ID"] != got["Message-ID"]
    at, _ = only(ben, "INBOX")
    kept = read_message(at.message_id)
    assert kept is not None and kept.endswith(raw.partition(b"X-Odd")[2].partition(b"\r\n\r\n")[2])
    assert b"Return-Path: <carla@far.test>" not in kept


def test_a_message_sent_on_twice_has_two_blocks() -> None:
    once = resent(letter("Hi"), ANNA, [ANNA], WHEN)
    twice = resent(once, Person("", "ben@harbour.test"), [ANNA], WHEN)
    found = message_from_bytes(twice, policy=policy.default)
    assert found.get_all("Resent-From") == ["ben@harbour.test", "Anna <anna@harbour.test>"]
    assert twice.endswith(once)


@WEB
def test_a_list_is_answered(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter("News", list_post="<mailto:crew@lists.test?subject=x>", cc="ben@harbour.test"))
    where = f"{place.mailbox_id}/{place.uid}/"
    assert f"/mail/compose/reply-list/{where}" in browser.get(f"/mail/compose/reply/{where}").content.decode()
    fields = form_of(browser.get(f"/mail/compose/reply-list/{where}").content)
    assert (fields["to"], fields["cc"]) == ("crew@lists.test", "")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("<mailto:list@host.test>", "list@host.test"),  # RFC 2369 3.4
        ("<mailto:moderator@host.test> (Postings are Moderated)", "moderator@host.test"),
        ("<mailto:moderator@host.test?subject=list%20posting>", "moderator@host.test"),
        ("<https://host.test/post>, <mailto:list@host.test>", "list@host.test"),
        ("NO (posting not allowed on this list)", ""),
        ("", ""),
    ],
)
def test_list_post(field: str, expected: str) -> None:
    assert list_address(f"List-Post: {field}\r\n\r\n".encode()) == expected
    assert list_address(b"Subject: x\r\n\r\n") == ""


# ---------------------------------------------------------------- nothing begins a field; what is meant is what is read

NASTY = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["x\r\nBcc: evil@far.test", 'a" <evil@far.test>, "b', "a\\", "=?utf-8?q?=0D=0ABcc:?=", "a,b;c:d <e>"]
    ),
)


@settings(max_examples=150, deadline=None)
@given(NASTY, NASTY, NASTY, NASTY)
def test_every_field_reads_back(to: str, name: str, reply_name: str, extra: str) -> None:
    people = [Person(name, "ben@far.test"), Person(to, "carla@far.test")]
    sender = Person(reply_name, "anna@harbour.test")
    written = Written(sender, to=people, reply_to=[sender], receipt_to=[sender], extra=[("X-Extra", extra)])
    raw = build(written, WHEN)
    fields = [(field.decode().lower(), value) for field, value in iter_fields(raw[: header_end(raw)])]
    assert [field for field, _ in fields] == [
        "date", "from", "reply-to", "to", "disposition-notification-to", "subject", "message-id", "x-extra",
        "mime-version", "content-type", "content-transfer-encoding",
    ]  # fmt: skip
    for field, value in fields:
        if field in ("from", "reply-to", "to", "disposition-notification-to"):
            specs = [one.spec for one in parse_address_list(unfold(value))]
            assert specs == (["ben@far.test", "carla@far.test"] if field == "to" else ["anna@harbour.test"])


@settings(max_examples=150, deadline=None)
@given(st.lists(NASTY, min_size=1, max_size=3))
def test_people_in_the_form_read_back(names: list[str]) -> None:
    """What a form is filled with is what its field means."""
    people = [Person(" ".join(name.split()), f"p{n}@far.test") for n, name in enumerate(names)]
    try:
        found = parse_people(as_text(people))
    except NotAddresses:
        raise AssertionError(as_text(people)) from None
    assert [one.address for one in found] == [one.address for one in people]
