"""What is said to be absent is absent: compared with the whole rule."""

from __future__ import annotations

import base64

from hypothesis import example, given
from hypothesis import strategies as st

from mailservers.formats.mime import scan
from mailservers.formats.search_absence import header_may_hold, may_hold, tokens_of
from mailservers.formats.searchable import needle, searchable_body, searchable_header

TAGS = ["<", ">", "<b>", "</b>", "<p>", "<a title='a>b'>", '<i x="">">', "<!--", "-->", "<script>", "</script>"]
REFERENCES = ["&amp;", "&nbsp;", "&#97;", "&shy;", "&am", "p;"]
OTHERS = [":", "ß", "\ufb01", "A", "é", "e\u0301", "\0", "\x1e"]
PIECES = st.sampled_from(["ab", "bc", "a", "b", "c", "abc", " ", "\r\n", *TAGS, *REFERENCES, *OTHERS])
SOURCES = st.lists(PIECES, max_size=14).map("".join)
WANTED = st.text("abcfis &<:é", min_size=1, max_size=5)


def message(kind: str, source: str, encoding: str, charset: str) -> bytes:
    data = source.encode("utf-8", "replace")
    if encoding == "base64":
        data = base64.encodebytes(data)
    head = f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + data


KINDS = st.sampled_from(["plain", "html", "enriched"])
ENCODINGS = st.sampled_from(["7bit", "base64", "quoted-printable", "x-odd"])
CHARSETS = st.sampled_from(["utf-8", "us-ascii", "utf-7", "iso-2022-jp", "windows-1252", "none-such", "utf-16"])


@given(KINDS, SOURCES, ENCODINGS, CHARSETS, WANTED)
@example("html", "a<b>b</b>c", "7bit", "utf-8", "abc")
@example("html", "a<i x='>'>b", "7bit", "utf-8", "ab")
@example("html", "<p>a<!-- < > -->b", "7bit", "utf-8", "ab")
@example("plain", "+AGEAYg-", "7bit", "utf-7", "ab")
@example("plain", "ﬁ", "7bit", "utf-8", "fi")
def test_what_is_said_to_be_absent_is(kind: str, source: str, encoding: str, charset: str, wanted: str) -> None:
    _proved(message(kind, source, encoding, charset), needle(wanted))


@given(SOURCES, SOURCES, KINDS, WANTED)
def test_in_parts_names_and_embedded_messages(first: str, second: str, kind: str, wanted: str) -> None:
    name = "".join(c for c in first if c.isprintable() and c not in '"\\')
    parts = [
        message("plain", first.replace("\r\n--", ""), "7bit", "utf-8"),
        f'Content-Type: application/pdf; name="{name}"\r\n\r\nabc'.encode(),
        b"Content-Type: message/rfc822\r\n\r\nSubject: " + second.replace("\r\n", " ").encode() + b"\r\nX: abc\r\n"
        + message(kind, second, "7bit", "utf-8"),
    ]  # fmt: skip
    raw = (
        b"Content-Type: multipart/mixed; boundary=zzz\r\n\r\n--zzz\r\n" + b"\r\n--zzz\r\n".join(parts) + b"\r\n--zzz--"
    )
    _proved(raw, needle(wanted))


@given(SOURCES, SOURCES, WANTED)
def test_in_headers(name: str, value: str, wanted: str) -> None:
    header = f"Subject: {value}\r\nX-{name}:{value}\r\n\r\n".encode("utf-8", "replace")
    tokens = tokens_of([needle(wanted)])
    if tokens is not None and not header_may_hold(header, tokens):
        assert needle(wanted) not in searchable_header(header)


def test_most_of_what_has_nothing_is_proved_to() -> None:
    html = "<html><body><p>From the <b>sea</b> and&nbsp;back</p>" * 50
    raw = message("html", html, "7bit", "utf-8")
    assert not may_hold(raw, scan(raw), [b"harbour"])
    assert may_hold(raw, scan(raw), [b"sea"]) and may_hold(raw, scan(raw), [b"harbour", b"back"])


def test_nothing_is_told_by_blanks() -> None:
    assert tokens_of([b"a long phrase", b" "]) is None and tokens_of([b"a long phrase"]) == [b"phrase"]


def _proved(raw: bytes, wanted: bytes) -> None:
    root, tokens = scan(raw), tokens_of([wanted])
    if tokens is not None and not may_hold(raw, root, tokens):
        assert wanted not in searchable_body(raw, root)
