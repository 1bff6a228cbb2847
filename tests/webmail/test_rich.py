"""Writing HTML: what an editor may send, the plain text made of it, pictures, the quoted original, drafts."""

from __future__ import annotations

import base64
import re
from email.message import EmailMessage

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from tests.webmail.conftest import WEB, Put, letter
from tests.webmail.test_compose import form_of, only
from webmail.compose import rich

pytestmark = WEB
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
QUOTE = rich.EMPTY_QUOTE
HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '<a href="javascript:alert(1)">x</a>', "\0", "<p>",
    '<img src="https://far.test/track.gif">', '<p style="background:url(https://far.test/)">x</p>', "<!-- --><b>",
    "<style>@import 'https://far.test'</style>", '<form action="https://far.test"><input name=p></form>', '"><', "</p>",
    '<img src="data:text/html,x">', '<img src="cid:a&quot; onerror=1">', "<svg><script>1</script>", "text",
    "<math><mtext><table><mglyph><style><img src=x onerror=1>", "<iframe src=//far.test>", "<base href=//far.test>",
]  # fmt: skip


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert body is not None
    return body.get_content().replace("\r\n", "\n")


# ---------------------------------------------------------------- forms of one text


@given(st.lists(st.sampled_from(HOSTILE), max_size=8).map("".join))
def test_nothing_runs_and_nothing_is_fetched(source: str) -> None:
    cleaned = rich.clean_written(source)
    assert not re.search(
        r"<(?:script|style|svg|math|iframe|form|input|base|object)|\son\w+=|javascript:|url\(", cleaned
    )
    assert all(src.startswith("cid:") for src in re.findall(r'<img[^>]* src="([^"]*)"', cleaned))
    assert "<img" not in re.sub(r'<img[^>]* src="cid:[^"]*"[^>]*>', "", cleaned)
    assert rich.clean_written(cleaned) == cleaned


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\nTwo\n"),
        ("<p>One</p><p></p><p>Two<br>Three</p>", "One\n\nTwo\nThree\n"),
        ("<p>A <strong>bold</strong>\n word</p>", "A bold word\n"),
        ("<ul><li><p>a</p></li><li><p>b</p><ul><li><p>c</p></li></ul></li></ul>", "- a\n- b\n  - c\n"),
        ("<ol><li><p>a</p></li><li><p>b</p></li></ol>", "1. a\n2. b\n"),
        ("<blockquote><p>q</p><blockquote><p>r</p></blockquote></blockquote><p>s</p>", "> q\n> > r\ns\n"),
        ('<p><a href="https://x.test/">the site</a></p>', "the site <https://x.test/>\n"),
        ('<p><a href="https://x.test">https://x.test</a></p>', "https://x.test\n"),
        ('<p><a href="mailto:a@x.test">a@x.test</a> too</p>', "a@x.test too\n"),
        ("<h2>Head</h2><pre>x\n  y</pre><hr><p>z</p>", "Head\nx\n  y\n---\nz\n"),
        ('<p><img src="cid:a@b" alt="the boat"></p>', "[the boat]\n"),
        (f"<p>Yes</p>{QUOTE}", "Yes\n\nOn Monday, Ben wrote:\n> Well?\n"),
        ("<table><tbody><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></tbody></table>", "ab\nc\n"),
        ("", ""),
        ("<p></p>", ""),
    ],
)  # fmt: skip
def test_as_plain_text(html: str, text: str) -> None:
    assert rich.to_text(rich.clean_written(html), "\n\nOn Monday, Ben wrote:\n> Well?\n") == text


LINES = st.lists(st.text("ab >&<é", max_size=8).map(lambda line: " ".join(line.split())), min_size=1, max_size=8)


@given(LINES)
def test_plain_text_comes_back_from_its_html(lines: list[str]) -> None:
    """But for blanks beside quote marks, and how many empty lines follow each other."""
    back = rich.to_text(rich.clean_written(rich.from_text("\n".join(lines))))
    assert _bare(back.split("\n")) == _bare(lines)


def _bare(lines: list[str]) -> str:
    text = "\n".join(re.sub(r"[> ]", "", line) for line in lines).strip("\n")
    return re.sub(r"\n+", "\n", text)


def test_a_dressed_letter_is_undressed_to_what_it_was() -> None:
    html = "<p>One</p><p></p><blockquote><p>q</p></blockquote><ul><li><p>x</p></li></ul>"
    assert rich.undressed(rich.clean_written(rich.dressed(html))).strip() == html


def test_too_deep_html_becomes_text(browser: Client, ben: User) -> None:
    deep = "<div>" * 2000 + "bottom"
    browser.post("/mail/compose/send/", {"to": "ben@harbour.test", "subject": "x", "html": deep})
    assert "bottom" in text_of(only(ben, "INBOX")[1])


# ---------------------------------------------------------------- on its way out


def send(browser: Client, **fields: object) -> None:
    answer = browser.post("/mail/compose/send/", {"to": "ben@harbour.test", "subject": "Plans", **fields})
    assert answer.status_code == 302, answer.content.decode()


def picture(content_id: str, content: bytes = PNG) -> SimpleUploadedFile:
    return SimpleUploadedFile(f"{content_id}.png", content, "image/png")


def parts(message: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in message.walk()]


def test_both_forms_go_out(browser: Client, anna: User, ben: User) -> None:
    send(browser, html="<p>Dear <strong>Ben</strong></p><p></p><p>Grüße</p>", text="not this")
    _, received = only(ben, "INBOX")
    assert parts(received) == ["multipart/alternative", "text/plain", "text/html"]
    assert text_of(received) == "Dear Ben\n\nGrüße\n"  # type: ignore[union-attr]
    html = text_of(received, "html")
    assert '<p style="margin:0">Dear <strong>Ben</strong></p><p style="margin:0"><br></p>' in html


def test_a_picture_goes_with_the_text(browser: Client, ben: User) -> None:
    body = '<p>Look <img src="cid:one@postroom" alt="boat"><img src="cid:gone@postroom"></p>'
    send(browser, html=body, picture=[picture("one@postroom"), picture("unused@postroom")],
         upload=SimpleUploadedFile("a.txt", b"text", "text/plain"))  # fmt: skip
    _, received = only(ben, "INBOX")
    assert parts(received) == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
        "text/plain",
    ]  # fmt: skip
    (image,) = [part for part in received.walk() if part.get_content_type() == "image/png"]
    assert image["Content-ID"] == "<one@postroom>" and image.get_content() == PNG
    assert image.get_content_disposition() == "inline"
    assert "gone" not in text_of(received, "html")


def test_what_only_says_that_it_is_a_picture_goes_nowhere(browser: Client, ben: User) -> None:
    send(browser, html='<p>x<img src="cid:a@b"></p>', picture=picture("a@b", b"<svg onload=alert(1)>"))
    _, received = only(ben, "INBOX")
    assert parts(received) == ["multipart/alternative", "text/plain", "text/html"]


def test_pictures_count_for_the_limit(browser: Client, ben: User, settings: object) -> None:
    settings.WEB_ATTACHMENTS_LIMIT = 1000  # type: ignore[attr-defined]
    answer = browser.post("/mail/compose/send/", {"to": "ben@harbour.test", "html": '<p><img src="cid:a@b"></p>',
                                                  "picture": picture("a@b", PNG + b"x" * 1000)})  # fmt: skip
    assert answer.status_code == 422


# ---------------------------------------------------------------- drafts


def test_a_draft_is_one_message_and_keeps_its_pictures(browser: Client, anna: User, ben: User) -> None:
    fields = {
        "to": "ben@harbour.test",
        "subject": "Plans",
        "html": '<p>Look <img src="cid:one@postroom" alt="boat"></p>',
    }
    browser.post("/mail/compose/save/", {**fields, "picture": picture("one@postroom")})
    place, draft = only(anna, "Drafts")
    assert parts(draft) == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    browser.post("/mail/compose/save/", {**fields, "html": fields["html"] + "<p>More</p>", "draft": place.uid})
    place, draft = only(anna, "Drafts")
    page = browser.get(f"/mail/compose/draft/{place.mailbox_id}/{place.uid}/").content.decode()
    assert 'data-form="rich"' in page and 'data-picture="one@postroom"' in page
    assert "&lt;p&gt;More&lt;/p&gt;" in page and 'name="file"' not in page
    address = re.search(r'data-picture="one@postroom" data-url="([^"]+)"', page)
    assert address is not None and browser.get(address[1]).content == PNG
    send(browser, **form_of(page.encode()), html=fields["html"])
    assert parts(only(ben, "INBOX")[1])[-1] == "image/png"


def test_a_plain_draft_stays_plain(browser: Client, anna: User) -> None:
    browser.post("/mail/compose/save/", {"to": "b@far.test", "text": "plain"})
    place, draft = only(anna, "Drafts")
    assert parts(draft) == ["text/plain"]
    assert 'data-form="plain"' in browser.get(f"/mail/compose/draft/{place.mailbox_id}/{place.uid}/").content.decode()


def test_a_draft_of_another_program_opens_cleaned(browser: Client, anna: User, put: Put) -> None:
    html = "<html><head><style>p{}</style></head><body><p>From <b>Thunderbird</b><script>1</script></p></body></html>"
    place = put(anna, letter(subject="x", html=html), "Drafts")
    page = browser.get(f"/mail/compose/draft/{place.mailbox_id}/{place.uid}/").content.decode()
    assert "&lt;p&gt;From &lt;b&gt;Thunderbird&lt;/b&gt;&lt;/p&gt;" in page and "&lt;script" not in page


# ---------------------------------------------------------------- the quoted original


def newsletter() -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Carla <carla@far.test>", "anna@harbour.test", "Sails"
    message["Message-ID"] = "<sails@far.test>"
    message.set_content("Sails are cheap.")
    html = (
        '<table bgcolor="#eeeeee"><tr><td style="color:red">Sails <img src="cid:logo"> <img src="https://far.test/x.png">'
        "</td></tr></table><script>alert(1)</script>"
    )
    message.add_alternative(html, subtype="html")
    message.get_payload()[1].add_related(PNG, "image", "png", cid="<logo>")  # type: ignore[union-attr]
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


def test_a_reply_carries_the_original_as_it_was(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, newsletter())
    page = browser.get(f"/mail/compose/reply/{place.mailbox_id}/{place.uid}/")
    text = page.content.decode()
    assert 'data-form=""' in text and "data-mail-quote=&quot;1&quot;" in text
    frame = re.search(r'data-quote-frame="([^"]+)"', text)
    assert frame is not None and browser.get(frame[1]).status_code == 200
    fields = {**form_of(page.content), "to": "anna@harbour.test", "html": f"<p>Too dear.</p>{QUOTE}"}
    browser.post("/mail/compose/save/", fields)
    draft_place, _ = only(anna, "Drafts")
    again = browser.get(f"/mail/compose/draft/{draft_place.mailbox_id}/{draft_place.uid}/").content.decode()
    assert "&lt;p&gt;Too dear.&lt;/p&gt;&lt;div data-mail-quote=&quot;1&quot;&gt;&lt;/div&gt;" in again
    assert "bgcolor" not in again and 'name="file"' not in again
    browser.post("/mail/compose/send/", {**fields, "draft": draft_place.uid})
    sent = only(anna, "Sent")[1]
    html = text_of(sent, "html")
    assert '<blockquote type="cite"' in html and 'bgcolor="#eeeeee"' in html and "color:red" in html
    assert "<script" not in html and 'src="https://far.test/x.png"' in html
    (image,) = [part for part in sent.walk() if part.get_content_type() == "image/png"]
    assert f'src="cid:{image["Content-ID"][1:-1]}"' in html
    plain = text_of(sent)
    assert plain.startswith("Too dear.\n") and "> Sails are cheap." in plain


def test_a_quote_that_another_program_changed_is_kept_as_it_is(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, newsletter())
    origin = f"reply {place.mailbox_id} {place.uid}"
    browser.post("/mail/compose/save/", {"origin": origin, "html": f"<p>Yes</p>{QUOTE}"})
    draft_place, draft = only(anna, "Drafts")
    page = f"/mail/compose/draft/{draft_place.mailbox_id}/{draft_place.uid}/"
    assert "data-mail-quote" in browser.get(page).content.decode()
    changed = draft.as_bytes().replace(b"\n", b"\r\n").replace(b"Sails ", b"Oars ")
    place = put(anna, changed, "Drafts")
    page = browser.get(f"/mail/compose/draft/{place.mailbox_id}/{place.uid}/").content.decode()
    assert "Oars" in page and "data-mail-quote=" not in page


def test_a_sent_answer_can_be_written_anew(browser: Client, anna: User, put: Put) -> None:
    """Nothing of the quote is lost when the letter is no answer any more."""
    place = put(anna, newsletter())
    fields = {
        "to": "anna@harbour.test",
        "origin": f"reply {place.mailbox_id} {place.uid}",
        "html": f"<p>Yes</p>{QUOTE}",
    }
    browser.post("/mail/compose/send/", fields)
    sent, _ = only(anna, "Sent")
    page = browser.get(f"/mail/compose/again/{sent.mailbox_id}/{sent.uid}/").content.decode()
    assert "Sails" in page and "data-mail-quote=" not in page


def test_a_forward_has_each_picture_once(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, newsletter())
    page = browser.get(f"/mail/compose/forward/{place.mailbox_id}/{place.uid}/").content
    browser.post("/mail/compose/send/", {**form_of(page), "to": "anna@harbour.test", "html": f"<p>See</p>{QUOTE}"})
    sent = only(anna, "Sent")[1]
    assert parts(sent).count("image/png") == 1
    html = text_of(sent, "html")
    assert "Forwarded message" in html and "From: Carla" in html


def test_a_quote_of_what_is_gone_is_left_out(browser: Client, anna: User) -> None:
    fields = {"to": "anna@harbour.test", "origin": "reply 1 99", "html": f"<p>Yes</p>{QUOTE}"}
    assert browser.post("/mail/compose/send/", fields).status_code == 302
    assert text_of(only(anna, "Sent")[1]) == "Yes\n"  # type: ignore[union-attr]


def test_nobody_quotes_what_is_not_theirs(browser: Client, anna: User, ben: User, put: Put) -> None:
    place = put(ben, newsletter())
    fields = {"to": "anna@harbour.test", "html": f"<p>Yes</p>{QUOTE}"}
    browser.post("/mail/compose/send/", {**fields, "origin": f"reply {place.mailbox_id} {place.uid}"})
    assert "Sails" not in only(anna, "Sent")[1].as_string()


def test_one_form_becomes_the_other(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, newsletter())
    origin = f"reply {place.mailbox_id} {place.uid}"
    answer = browser.post("/mail/compose/convert/", {"html": f"<p>a <b>b</b></p>{QUOTE}", "origin": origin}).json()
    assert answer["text"].startswith("a b\n\nOn ") and "> Sails are cheap." in answer["text"]
    assert browser.post("/mail/compose/convert/", {"text": "a\n> b"}).json() == {
        "html": "<p>a</p><blockquote><p>b</p></blockquote>"
    }
