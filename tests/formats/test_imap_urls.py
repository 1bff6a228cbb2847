"""URLs of messages (RFC 5092), as CATENATE takes them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.imap.fetch import parse_section
from mailservers.formats.imap.urls import BadUrl, MessageUrl, parse_authorized_url, parse_message_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (b"/Drafts;UIDVALIDITY=385759045/;UID=20", MessageUrl("Drafts", 385759045, 20)),
        (b"/Drafts/;UID=3002", MessageUrl("Drafts", None, 3002)),
        (b"/Drafts/;uid=3002/", MessageUrl("Drafts", None, 3002)),
        (
            b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER",
            MessageUrl("Drafts", 385759045, 20, parse_section(b"HEADER")),
        ),
        (b"/INBOX/;UID=1/;section=1.5.9", MessageUrl("INBOX", None, 1, parse_section(b"1.5.9"))),
        (b"/a/;UID=1/;Section=2.MIME", MessageUrl("a", None, 1, parse_section(b"2.MIME"))),
        (
            b"/a/;UID=1/;SECTION=HEADER.FIELDS%20(To%20Cc)/;PARTIAL=3.5",
            MessageUrl("a", None, 1, parse_section(b"HEADER.FIELDS (To Cc)"), 3, 5),
        ),
        (b"/a/;UID=1/;PARTIAL=3", MessageUrl("a", None, 1, None, 3)),
        (b"/Work/B%C3%BCro%20%26%20Co/;UID=7", MessageUrl("Work/B\u00fcro & Co", None, 7)),
        (b"/;UID=7", MessageUrl("", None, 7)),
        (b";UID=7/;SECTION=TEXT", MessageUrl("", None, 7, parse_section(b"TEXT"))),
        (b"Other/;UID=7", MessageUrl("Work/Other", None, 7)),
    ],
)
def test_urls(url, expected):
    assert parse_message_url(url, "Work/Here") == expected


@pytest.mark.parametrize(
    "url",
    [
        b"", b"/", b"/Drafts", b"/Drafts;UID=1", b"/Drafts/;UID=0", b"/Drafts/;UID=01", b"/Drafts/;UID=4294967296",
        b"/Drafts/;UID=1/;SECTION=3.", b"/Drafts/;UID=1/;SECTION=MIME", b"/Drafts/;UID=1/;SECTION=%0d",
        b"/Drafts/;UID=1/;PARTIAL=1.0", b"/Drafts/;UID=1;URLAUTH=anonymous:INTERNAL:9", b"imap://host/Drafts/;UID=1",
        b"//host/Drafts/;UID=1", b"/%ff/;UID=1", b"/Dra fts/;UID=1", b"/Drafts?TO%20x/;UID=1", b"/D%2/;UID=1",
        b"/Drafts;UIDVALIDITY=0/;UID=1", b"/Drafts;UIDVALIDITY=9999999999/;UID=1", b"/caf\xc3\xa9/;UID=1",
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_message(url):
    with pytest.raises(BadUrl):
        parse_message_url(url)


@given(
    st.lists(
        st.sampled_from(
            [
                b"/",
                b";UID=",
                b"1",
                b"Drafts",
                b";SECTION=",
                b"HEADER",
                b";UIDVALIDITY=",
                b"%41",
                b".2",
                b"imap://u@h/",
                b";URLAUTH=user+",
                b":internal:",
            ]
        ),
        max_size=9,
    ).map(b"".join)
    | st.binary(max_size=20)
)
def test_only_the_documented_error_escapes(url):
    for parse in (lambda text: parse_message_url(text, "a/b"), lambda text: parse_authorized_url(text).message):
        with suppress(BadUrl):
            assert parse(url).uid
