"""Writing: new, reply, forward, drafts and their versions, sending."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import Address, AddressTarget, Domain, User
from mailservers.models import Flag, MailboxMessage, QueuedRecipient
from mailservers.store.content import read_message
from tests.conftest import mailbox_id
from tests.webmail.conftest import HTMX, WEB, Put, letter, signed_in
from tests.webmail.test_reading import MIXED

pytestmark = WEB


def form_of(page: bytes) -> dict[str, object]:
    """The compose form's fields as a browser would send them."""
    import html

    text = page.decode()
    fields: dict[str, object] = {}
    for name, value in re.findall(r'<input[^>]* name="(origin|draft|to|cc|bcc|subject)"[^>]* value="([^"]*)"', text):
        fields[name] = html.unescape(value)
    fields["file"] = [html.unescape(v) for v in re.findall(r'name="file" value="([^"]*)"', text)]
    area = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", text, re.DOTALL)
    if area:
        fields["text"] = html.unescape(area[1])
    return fields


def only(user: User, name: str) -> tuple[MailboxMessage, EmailMessage]:
    place = MailboxMessage.objects.get(mailbox_id=mailbox_id(user, name))
    raw = read_message(place.message_id)
    assert raw is not None
    return place, message_from_bytes(raw, policy=policy.default)  # type: ignore[arg-type]


def test_send_to_a_colleague_and_to_the_world(browser: Client, anna: User, ben: User) -> None:
    answer = browser.post(
        "/mail/compose/send/",
        {
            "to": "Ben Okafor <ben@harbour.test>; zoë@far.test",
            "bcc": "hidden@far.test",
            "subject": "Grüße",
            "text": "Hallo\nWelt",
        },
        **HTMX,
    )
    assert answer["HX-Redirect"] == "/"
    _, received = only(ben, "INBOX")
    assert received["From"] == "Anna Holm <anna@harbour.test>"
    assert received["Subject"] == "Grüße"
    assert received["Bcc"] is None
    assert received.get_content().splitlines() == ["Hallo", "Welt"]
    place, sent = only(anna, "Sent")
    assert place.flags & Flag.SEEN
    assert sent["Bcc"] == "hidden@far.test"
    assert sent["Message-ID"] == received["Message-ID"]
    assert set(QueuedRecipient.objects.values_list("address", flat=True)) == {"zoë@far.test", "hidden@far.test"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"to": ""}, "at least one address"),
        ({"to": "not an address"}, "is not an e-mail address"),
        ({"to": "a@b@c d"}, "is not an e-mail address"),
        ({"to": "ben@harbour.test", "cc": "nobody@harbour.test"}, "There is no nobody@harbour.test here"),
        ({"to": "ben@harbour.test", "bcc": "x@"}, "is not an e-mail address"),
    ],
)
def test_refusals_come_back_with_what_was_written(
    browser: Client, ben: User, fields: dict[str, str], reason: str
) -> None:
    answer = browser.post("/mail/compose/send/", {**fields, "subject": "kept", "text": "kept too"}, **HTMX)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert reason in text
    assert 'value="kept"' in text
    assert "kept too" in text
    assert MailboxMessage.objects.count() == 0


def test_full_mailboxes_are_told_and_nothing_written_is_lost(browser: Client, anna: User, ben: User) -> None:
    fields = {"to": "ben@harbour.test", "subject": "kept", "text": "kept too"}
    User.objects.filter(pk=ben.pk).update(quota_octets=10)
    answer = browser.post("/mail/compose/send/", fields, **HTMX)
    assert answer.status_code == 422 and "The mailbox of ben@harbour.test is full" in answer.content.decode()
    User.objects.filter(pk=ben.pk).update(quota_octets=0)
    User.objects.filter(pk=anna.pk).update(quota_octets=10)
    answer = browser.post("/mail/compose/send/", fields, **HTMX)
    assert answer.status_code == 422 and "no room for the copy in Sent" in answer.content.decode()
    assert "kept too" in answer.content.decode()
    answer = browser.post("/mail/compose/save/", fields, **HTMX)
    assert answer.status_code == 422 and "this draft is not saved" in answer.content.decode()
    assert MailboxMessage.objects.count() == 0


def test_one_cannot_send_as_another(browser: Client, anna: User, ben: User) -> None:
    browser.post("/mail/compose/send/", {"to": "ben@harbour.test", "sender": "ben@harbour.test", "text": "x"})
    _, received = only(ben, "INBOX")
    assert received["From"] == "Anna Holm <anna@harbour.test>"


def test_own_alias_is_offered_used_for_replies_and_sent_from(browser: Client, anna: User, ben: User, put: Put) -> None:
    alias = Address.objects.create(domain=Domain.objects.get(), address="sales@harbour.test")
    AddressTarget.objects.create(address=alias, user=anna)
    place = put(anna, letter(to="sales@harbour.test", **{"from": "ben@harbour.test"}))
    page = browser.get(f"/mail/compose/reply/{place.mailbox_id}/{place.uid}/").content
    assert b'<option value="sales@harbour.test" data-signature="" selected>' in page
    browser.post("/mail/compose/send/", {**form_of(page), "sender": "sales@harbour.test"})
    assert only(ben, "INBOX")[1]["From"] == "Anna Holm <sales@harbour.test>"


# ---------------------------------------------------------------- reply and forward


def test_reply_goes_to_reply_to_and_threads(browser: Client, anna: User, ben: User, put: Put) -> None:
    raw = letter(
        "Plan", "first\r\n> older\r\n", reply_to="Ben <ben@harbour.test>", message_id="<2@far>", references="<1@far>"
    )
    place = put(anna, raw)
    page = browser.get(f"/mail/compose/reply/{place.mailbox_id}/{place.uid}/").content
    fields = form_of(page)
    assert (fields["to"], fields["subject"]) == ("Ben <ben@harbour.test>", "Re: Plan")
    assert "> first\n>> older" in str(fields["text"])
    browser.post("/mail/compose/send/", fields)
    _, received = only(ben, "INBOX")
    assert received["In-Reply-To"] == "<2@far>"
    assert received["References"].split() == ["<1@far>", "<2@far>"]
    assert "X-Postroom-Origin" not in received
    assert MailboxMessage.objects.get(pk=place.pk).flags & Flag.ANSWERED


def test_reply_all_leaves_oneself_out(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter("x", to="anna@harbour.test, Dan <dan@far.test>", cc="eve@far.test, ANNA@harbour.test"))
    fields = form_of(browser.get(f"/mail/compose/reply-all/{place.mailbox_id}/{place.uid}/").content)
    assert fields["to"] == "Carla <carla@far.test>"
    assert fields["cc"] == "Dan <dan@far.test>, eve@far.test"


def test_answering_ones_own_message_goes_on_to_its_recipients(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter("Re: x", **{"from": "anna@harbour.test", "to": "dan@far.test"}), "Sent")
    fields = form_of(browser.get(f"/mail/compose/reply/{place.mailbox_id}/{place.uid}/").content)
    assert (fields["to"], fields["subject"]) == ("dan@far.test", "Re: x")


def test_forward_takes_the_attachments_along(browser: Client, anna: User, ben: User, put: Put) -> None:
    place = put(anna, MIXED)
    fields = form_of(browser.get(f"/mail/compose/forward/{place.mailbox_id}/{place.uid}/").content)
    assert fields["subject"] == "Fwd: Parts"
    assert "plain words" in str(fields["text"])
    browser.post("/mail/compose/send/", {**fields, "to": "ben@harbour.test"})
    _, received = only(ben, "INBOX")
    files = {part.get_filename(): part.get_payload(decode=True) for part in received.iter_attachments()}
    assert files["pic.png"] == b"\x89PNG\r\n\x1a\n"
    assert files["x.svg"] == b'<svg onload="alert(1)"/>'
    assert len(files) == 3
    assert "$Forwarded" in MailboxMessage.objects.get(pk=place.pk).keywords


def test_files_of_others_cannot_be_carried_off(stranger: Client, ben: User, anna: User, put: Put) -> None:
    place = put(anna, MIXED)
    data = {"to": "ben@harbour.test", "file": f"{place.mailbox_id}-{place.uid}-2", "text": "x"}
    assert stranger.post("/mail/compose/send/", data).status_code == 409
    assert not MailboxMessage.objects.filter(mailbox__owner=ben).exists()


def test_origins_of_others_are_not_marked(stranger: Client, ben: User, anna: User, put: Put) -> None:
    place = put(anna, letter(message_id="<m@far>"))
    origin = f"reply {place.mailbox_id} {place.uid} <m@far>"
    assert stranger.post("/mail/compose/send/", {"to": "ben@harbour.test", "origin": origin}).status_code == 302
    assert MailboxMessage.objects.get(pk=place.pk).flags == 0


# ---------------------------------------------------------------- drafts


def test_draft_is_a_message_that_is_replaced(browser: Client, anna: User) -> None:
    data = {"to": "ben@harbour.test", "subject": "one", "text": "first", "bcc": "b@far.test"}
    answer = browser.post("/mail/compose/save/", data, **HTMX)
    assert b"Draft saved" in answer.content
    place, saved = only(anna, "Drafts")
    assert place.flags == Flag.DRAFT | Flag.SEEN
    browser.post("/mail/compose/save/", {**data, "draft": place.uid, "text": "second"}, **HTMX)
    again, saved = only(anna, "Drafts")
    assert again.uid > place.uid
    assert saved.get_content().splitlines() == ["second"]
    fields = form_of(browser.get(f"/mail/compose/draft/{again.mailbox_id}/{again.uid}/").content)
    assert (fields["to"], fields["bcc"], fields["text"]) == ("ben@harbour.test", "b@far.test", "second")


def test_older_version_of_a_draft_conflicts(browser: Client, anna: User) -> None:
    browser.post("/mail/compose/save/", {"text": "one"}, **HTMX)
    first, _ = only(anna, "Drafts")
    browser.post("/mail/compose/save/", {"text": "two", "draft": first.uid}, **HTMX)
    answer = browser.post("/mail/compose/save/", {"text": "other tab", "draft": first.uid}, **HTMX)
    assert answer.status_code == 409
    assert 'name="draft" value=""' in answer.content.decode()
    assert only(anna, "Drafts")[1].get_content().splitlines() == ["two"]


def test_sending_a_draft_takes_it_away_and_cannot_happen_twice(browser: Client, anna: User, ben: User) -> None:
    data = {"to": "ben@harbour.test", "text": "x"}
    browser.post("/mail/compose/save/", data, **HTMX)
    draft, _ = only(anna, "Drafts")
    data = {**data, "draft": str(draft.uid)}
    assert browser.post("/mail/compose/send/", data).status_code == 302
    assert browser.post("/mail/compose/send/", data).status_code == 409
    assert not MailboxMessage.objects.filter(mailbox_id=draft.mailbox_id).exists()
    only(ben, "INBOX")


def test_half_written_addresses_do_not_stop_autosave(browser: Client, anna: User) -> None:
    answer = browser.post("/mail/compose/save/", {"to": "ben@harbour.test, car", "text": "x"}, **HTMX)
    assert answer.status_code == 200
    assert only(anna, "Drafts")[1]["To"] == "ben@harbour.test"


def test_blank_letters_are_not_saved(browser: Client, anna: User) -> None:
    assert browser.post("/mail/compose/save/", {"text": " \n"}, **HTMX).status_code == 200
    assert MailboxMessage.objects.count() == 0


def test_reply_kept_as_draft_still_marks_the_original(browser: Client, anna: User, ben: User, put: Put) -> None:
    place = put(anna, letter("q", **{"from": "ben@harbour.test", "message_id": "<q@far>"}))
    fields = form_of(browser.get(f"/mail/compose/reply/{place.mailbox_id}/{place.uid}/").content)
    browser.post("/mail/compose/save/", fields, **HTMX)
    browser.post("/mail/act/", {"action": "archive", "item": f"{place.mailbox_id}-{place.uid}"})
    draft, _ = only(anna, "Drafts")
    fields = form_of(browser.get(f"/mail/compose/draft/{draft.mailbox_id}/{draft.uid}/").content)
    browser.post("/mail/compose/send/", fields)
    assert only(ben, "INBOX")[1]["In-Reply-To"] == "<q@far>"
    assert only(anna, "Archive")[0].flags & Flag.ANSWERED


def test_discard(browser: Client, anna: User) -> None:
    browser.post("/mail/compose/save/", {"text": "x"}, **HTMX)
    draft, _ = only(anna, "Drafts")
    browser.post("/mail/compose/discard/", {"draft": draft.uid})
    assert MailboxMessage.objects.count() == 0


def test_drafts_are_opened_from_drafts_only(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter())
    assert browser.get(f"/mail/compose/draft/{place.mailbox_id}/{place.uid}/").status_code == 404


# ---------------------------------------------------------------- attachments


def upload(name: str = "a.txt", content: bytes = b"abc", type_: str = "text/plain") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, type_)


def test_uploads_lie_in_the_draft_and_go_with_it(browser: Client, anna: User, ben: User) -> None:
    answer = browser.post("/mail/compose/save/", {"text": "x", "upload": [upload(), upload("ü b.pdf")]}, **HTMX)
    fields = form_of(answer.content)
    assert len(fields["file"]) == 2  # type: ignore[arg-type]
    answer = browser.post("/mail/compose/save/", {**fields, "text": "y"}, **HTMX)
    fields = form_of(answer.content)
    first = fields["file"][1]  # type: ignore[index]
    browser.post("/mail/compose/send/", {**fields, "file": [first], "text": "y", "to": "ben@harbour.test"})
    [part] = only(ben, "INBOX")[1].iter_attachments()
    assert (part.get_filename(), part.get_payload(decode=True)) == ("ü b.pdf", b"abc")


def test_attachments_are_bounded(browser: Client, anna: User, settings: object) -> None:
    settings.WEB_ATTACHMENTS_LIMIT = 1024 * 1024  # type: ignore[attr-defined]
    big = upload("big.bin", b"x" * (1024 * 1024 + 1))
    answer = browser.post("/mail/compose/save/", {"text": "x", "upload": big}, **HTMX)
    assert answer.status_code == 422
    assert b"1 MB together" in answer.content
    assert MailboxMessage.objects.count() == 0


def test_compose_needs_the_token(anna: User) -> None:
    strict = signed_in(anna, enforce_csrf_checks=True)
    for path in ("send", "save", "discard"):
        assert strict.post(f"/mail/compose/{path}/", {"to": "ben@harbour.test"}).status_code == 403


def test_links_can_begin_a_letter(browser: Client) -> None:
    page = browser.get("/mail/compose/", {"to": "x@far.test", "subject": '"><script>', "body": "</textarea><b>"})
    assert b"<script>" not in page.content.replace(b"<script type=", b"").replace(b"<script src", b"")
    assert b"</textarea><b>" not in page.content
