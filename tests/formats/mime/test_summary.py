"""Summaries, previews, and the text of parts."""

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailservers.formats.envelope import bodystructure, envelope
from mailservers.formats.mime import dump_parts, header_end, scan
from mailservers.formats.summary import MAX_PREVIEW_CHARACTERS, MAX_REFERENCES, summarise
from mailservers.formats.text import html_to_text, message_texts, part_text

from .mime_soup import messages


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


MESSAGE = crlf(
    'From: "=?utf-8?q?J=C3=BCrgen?= X." <Jürgen@Example.org>, other@x\n'
    "To: A <a@b.example>, undisclosed: c@d;\nCc: root\nSubject: =?utf-8?b?w7w=?=\n\t folded\n"
    "Date: Wed, 01 May 2024 10:00:00 +0200\nMessage-ID: junk <id@x> (c)\nIn-Reply-To: <r1@x> <r2@x>\n"
    "References: <r0@x>\n <r1@x>\nContent-Type: text/plain; charset=utf-8\n\n  Grüße,\n\n\tyours\n"
)


def test_summary():
    summary = summarise(MESSAGE)
    root = scan(MESSAGE)
    assert summary.sha256 == hashlib.sha256(MESSAGE).digest()
    assert (summary.size, summary.header_size) == (len(MESSAGE), header_end(MESSAGE))
    assert summary.envelope == envelope(MESSAGE[: summary.header_size])
    assert summary.bodystructure == bodystructure(MESSAGE, root)
    assert summary.parts == dump_parts(root)
    assert summary.subject == "ü\t folded".replace("\t", " ")
    assert (summary.from_name, summary.from_address) == ("Jürgen X.", "Jürgen@Example.org")
    assert (summary.to, summary.cc) == ("A <a@b.example>, undisclosed, c@d", "root")
    assert (summary.message_id, summary.in_reply_to) == ("<id@x>", "<r1@x>")
    assert summary.references == ("<r0@x>", "<r1@x>")
    assert summary.date == datetime(2024, 5, 1, 8, tzinfo=UTC)
    assert (summary.preview, summary.has_attachment) == ("Grüße, yours", False)


def test_summary_of_nothing():
    summary = summarise(b"")
    assert (summary.size, summary.header_size, summary.date, summary.references) == (0, 0, None, ())
    assert not any((summary.subject, summary.from_name, summary.from_address, summary.to, summary.cc, summary.preview))


def test_caps():
    summary = summarise(
        b"Subject: "
        + b"x" * 5000
        + b"\nReferences: "
        + b"".join(b"<%d@x>" % n for n in range(99))
        + b"\n\n"
        + b"word " * 99
    )
    assert len(summary.subject) == 998
    assert len(summary.references) == MAX_REFERENCES and summary.references[-1] == "<98@x>"
    assert MAX_PREVIEW_CHARACTERS - 5 < len(summary.preview) <= MAX_PREVIEW_CHARACTERS


@given(messages)
@settings(max_examples=200, deadline=None)
def test_any_octets_have_a_summary(raw):
    summary = summarise(raw)
    for text in (summary.subject, summary.from_name, summary.from_address, summary.to, summary.cc, summary.preview,
                 summary.message_id, summary.in_reply_to, *summary.references):  # fmt: skip
        assert "\0" not in text and "\n" not in text and "\r" not in text
        text.encode()
    for text in message_texts(raw, scan(raw)):
        text.encode()


PLAIN = "Content-Type: text/plain\n\nplain text\n"
HTML = "Content-Type: text/html\n\n<p>html text\n"
PDF = "Content-Type: application/pdf; name=x.pdf\n\nAAAA\n"
IMAGE = "Content-Type: image/png; name=x.png\nContent-ID: <x>\nContent-Disposition: inline\n\nAAAA\n"
INNER = "Content-Type: message/rfc822\n\nSubject: inner\n\ninner text\n"
STATUS = "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n"
SIGNATURE = "Content-Type: application/pgp-signature; name=s.asc\n\n-----\n"
ATTACHED_TEXT = "Content-Disposition: attachment; filename=x.txt\n" + PLAIN


def multipart(subtype: str, *parts: str, boundary: str = "b") -> str:
    inner = "".join(f"--{boundary}\n{part}" for part in parts)
    return f"Content-Type: multipart/{subtype}; boundary={boundary}\n\n{inner}--{boundary}--\n"


@pytest.mark.parametrize(
    "message, preview, has_attachment",
    [
        (PLAIN, "plain text", False),
        (HTML, "html text", False),
        (PDF, "", True),
        (multipart("alternative", PLAIN, HTML), "plain text", False),
        (multipart("mixed", multipart("related", HTML, IMAGE, boundary="r"), PDF), "html text", True),
        (multipart("related", HTML, IMAGE), "html text", False),
        (multipart("mixed", PLAIN, IMAGE), "plain text", True),
        (multipart("mixed", ATTACHED_TEXT, HTML), "html text", True),
        (multipart("mixed", PLAIN, INNER), "plain text", True),
        (multipart("mixed", INNER), "inner text", True),
        (multipart("report", PLAIN, STATUS, INNER), "plain text", False),
        (multipart("digest", "\nSubject: one\n\nfirst\n"), "first", False),
        (multipart("signed", PLAIN, SIGNATURE), "plain text", False),
        (multipart("mixed", PLAIN, ATTACHED_TEXT), "plain text", True),
        (multipart("alternative", "Content-Type: text/plain\n\n", HTML), "html text", False),
    ],
)
def test_preview_and_attachments(message, preview, has_attachment):
    summary = summarise(crlf("Subject: x\n" + message))
    assert (summary.preview, summary.has_attachment) == (preview, has_attachment)


@pytest.mark.parametrize(
    "header, body, text",
    [
        ("Content-Type: text/plain; charset=iso-8859-1", b"\xfc", "ü"),
        ("Content-Type: text/plain; charset*=us-ascii''utf-8", "ü".encode(), "ü"),
        ("Content-Transfer-Encoding: quoted-printable", b"=C3=BC=\r\nx", "üx"),
        ("Content-Type: text/html", b"<meta charset='koi8-r'><b>\xc1</b>", "а"),
        ("Content-Type: text/html", '<meta http-equiv=x content="text/html; charset=utf-8">ü'.encode(), "ü"),
        ("Content-Type: text/calendar", b"BEGIN:VCALENDAR", "BEGIN:VCALENDAR"),
    ],
)
def test_part_text(header, body, text):
    raw = header.encode() + b"\r\n\r\n" + body
    assert part_text(raw, scan(raw)) == text


def test_message_texts():
    raw = crlf("Subject: outer\n" + multipart("mixed", PLAIN, PDF, INNER, ATTACHED_TEXT))
    assert [text.strip() for text in message_texts(raw, scan(raw))] == [
        "plain text",
        "inner",
        "inner text",
        "plain text",
    ]


def test_encoded_embedded_message_is_searched():
    header = b"Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    raw = header + b"U3ViamVjdDogaW5uZXINCg0KaW5uZXIgdGV4dA==\r\n"
    assert list(message_texts(raw, scan(raw))) == ["inner", "inner text"]


@pytest.mark.parametrize(
    "source, text",
    [
        ("plain & simple", "plain & simple"),
        ("a<br>b<BR/>c<p>d</p>e", "a\nb\nc\nd\ne"),
        ("a<b>b</b> <i>c</i>d", "ab cd"),
        ("one\n  two", "one two"),
        ("<style>x { }</style>a<script>if (a<b) '</p>'</script >b<title>t</title>", "ab"),
        ("a<!-- <p> -->b<!---->c", "abc"),
        ("a<!-- open", "a"),
        ("1 < 2 > 3", "1 < 2 > 3"),
        ("&lt;b&gt; &uuml;&#252;&#xFC;&nbsp;x", "<b> üüü x"),
        ('<img alt="a>b">c', "c"),
        ('<a title="x>c', "c"),
        ("a<td>b<td>c", "a b c"),
        ("<!DOCTYPE html><?xml?>a</>b", "ab"),
        ("a<b", "a"),
        ("&#99999999;&#0;", "\ufffd\ufffd"),
    ],
)
def test_html_to_text(source, text):
    assert html_to_text(source) == text


@given(
    st.text(st.sampled_from("<>&;\"'!-/ab #x1\n"))
    | st.lists(st.sampled_from(["<script>", "</script>", "<!--", "-->", "<p", ">", '"', "x", "&#1", "&#55296;"])).map(
        "".join
    )
)
@settings(deadline=None)
def test_any_html_is_text(source):
    html_to_text(source).encode()
