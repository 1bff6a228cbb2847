"""Header fields, their subsets for IMAP, and encoded words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailservers.formats.charsets import decode_charset
from mailservers.formats.headers import (
    decode_words,
    field_map,
    first_field,
    header_end,
    header_fields,
    iter_fields,
    unfold,
)
from mailservers.formats.parameters import parse_content_type

from .mime_soup import messages

HEADER = b"Received: one\r\n\ttwo\r\njunk line\r\nSubject : x\r\nreceived: three\r\nX-Empty:\r\n\r\n"


def test_iter_fields():
    assert list(iter_fields(HEADER)) == [
        (b"Received", b" one\r\n\ttwo"),
        (b"Subject", b" x"),
        (b"received", b" three"),
        (b"X-Empty", b""),
    ]
    assert list(iter_fields(b"A: b\n c\nD:e")) == [(b"A", b" b\n c"), (b"D", b"e")]
    assert first_field(HEADER, b"RECEIVED") == b" one\r\n\ttwo"
    assert first_field(HEADER, b"Absent") is None
    assert unfold(b" one\r\n\ttwo\n three") == b" one\ttwo three"


@pytest.mark.parametrize(
    "names, exclude, expected",
    [
        ([b"subject"], False, b"Subject : x\r\n\r\n"),
        ([b"RECEIVED"], False, b"Received: one\r\n\ttwo\r\nreceived: three\r\n\r\n"),
        ([b"none"], False, b"\r\n"),
        ([b"received", b"X-EMPTY"], True, b"Subject : x\r\n\r\n"),
    ],
)
def test_header_fields(names, exclude, expected):
    assert header_fields(HEADER, names, exclude) == expected


@pytest.mark.parametrize(
    "header, expected",
    [
        (b"A: b\n\n", b"A: b\n\n"),
        (b"A: b", b"A: b"),
        (b"A: b\r\n", b"A: b\r\n"),
        (b"", b""),
        (b"\r\n", b"\r\n"),
        (b"\n", b"\n"),
    ],
)
def test_header_fields_keep_the_blank_line_of_the_message(header, expected):
    assert header_fields(header, [b"a"]) == expected


@given(messages)
@settings(deadline=None)
def test_any_octets_have_fields(raw):
    header = raw[: header_end(raw)]
    fields = list(iter_fields(header))
    assert {name.lower() for name, _ in fields} == set(field_map(header))
    for name, value in fields:
        assert name + b":" in header.replace(b" :", b":").replace(b"\t:", b":")
        assert value in header
        decode_words(value).encode()
    both = header_fields(header, [b"subject"]) + header_fields(header, [b"subject"], exclude=True)
    assert all(octet in header for octet in both)


WORDS = [
    (b"plain", "plain"),
    (b"a\r\n b", "a b"),
    (b"=?utf-8?q?=C3=BC_x?=", "ü x"),
    (b"=?UTF-8?B?w7w=?= y", "ü y"),
    (b"=?utf-8?b?w7w?=", "ü"),
    (b"=?iso-8859-1*en?Q?=FC?=", "ü"),
    (b"a =?utf-8?q?b?= c =?utf-8?q?d?=", "a b c d"),
    (b"=?utf-8?q?a?= =?utf-8?q?b?=\r\n =?koi8-r?q?=C1?=", "abа"),
    (b"=?utf-8?b?4oI=?= =?utf-8?b?rA==?=", "€"),
    (b"=?utf-8?q?a?=x=?utf-8?q?b?=", "axb"),
    (b'"=?utf-8?q?a?="', '"a"'),
    (b"=?utf-8?q?what??=", "what?"),
    (b"=?utf-8?q?two words?=", "two words"),
    (b"=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b"),
    (b"=?utf-8?q?", "=?utf-8?q?"),
    (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
    (b"=?= =?a?= ?=", "=?= =?a?= ?="),
    (b"=?nonsense?q?=C3=BC?=", "ü"),
    (b"=?utf-8?q??=", ""),
    ("ü".encode(), "ü"),
    (b"\xfc", "ü"),
    (b"=?gb2312?b?1tDOxA==?=", "中文"),
    (b"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
    (b"=?idna?q?xn--a?= =?punycode?q?a-?=", "xn--aa-"),
]


@pytest.mark.parametrize("value, text", WORDS)
def test_decode_words(value, text):
    assert decode_words(value) == text


@given(
    st.binary()
    | st.lists(
        st.sampled_from([b"=?", b"?=", b"utf-8", b"?q?", b"?B?", b"a", b" ", b"=", b"\xff", b"utf-7", b"+2AA-"])
    ).map(b"".join)
)
@settings(deadline=None)
def test_any_value_is_text(value):
    decode_words(value).encode()


@given(
    st.binary(max_size=200),
    st.sampled_from(
        ["utf-8", "utf-7", "utf-16", "hz", "big5", "zlib", "rot13", "idna", "nonsense", "", "\0", "a" * 99]
    ),
)
@settings(deadline=None)
def test_any_charset_gives_text(data, charset):
    assert b"\0" not in decode_charset(data, charset).encode()


@pytest.mark.parametrize(
    "data, charset, text",
    [
        ("ü".encode(), None, "ü"),
        (b"\xfc", None, "ü"),
        (b"\xfc", "us-ascii", "ü"),
        (b"gr\xfc\xdfe", "utf-8", "grüße"),
        ("日本語".encode()[:-1], "utf-8", "日本\ufffd"),
        ("日本語".encode() + b"\xff", "utf-8", "日本語\ufffd"),
        (b"\x93x\x94", "iso-8859-1", "“x”"),
        ("ü".encode(), "koi8-u", "ц╪"),
        (b"\xef\xbb\xbfx", "utf-8", "x"),
        (b"a\x00b\x00", "utf-16-le", "ab"),
        (b"a\x00b", None, "a\ufffdb"),
        (b"\xcf\xf0", "CP-1251", "Пр"),
        (b"\x82\xa0", "x-sjis", "あ"),
    ],
)
def test_decode_charset(data, charset, text):
    assert decode_charset(data, charset) == text


@pytest.mark.parametrize(
    "value, params",
    [
        (b"a/b; X=y; x=z", {b"x": b"y"}),
        (b'a/b; x="y;z" ; w = v', {b"x": b"y;z", b"w": b"v"}),
        (b"a/b ; x=y (comment; c=d)", {b"x": b"y"}),
        (b'a/b; x="(no comment)"', {b"x": b"(no comment)"}),
        (b"a/b;;; =x; y; z=", {b"z": b""}),
        (b"a/b x=y", {b"x": b"y"}),
        (b"a/b; x*0=1; x*1=2", {b"x": b"12"}),
        (b"a/b; x*=utf-8''%20", {b"x*": b"utf-8''%20"}),
        (b"a/b; x*0*=utf-8''a; x*1=b%", {b"x*": b"utf-8''ab%25"}),
        (b"a/b; x=1; x*0=2", {b"x": b"1"}),
    ],
)
def test_parameters(value, params):
    declared = parse_content_type(value)
    assert declared is not None and declared[2] == params
