"""What searches look through, and what counts as equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.mime import scan
from mailservers.formats.searchable import file_names, fold, needle, searchable


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ABC", "abc"),
        ("Grüße", "GRÜSSE"),
        ("u\u0308ber", "Über"),  # decomposed and composed
        ("ＡＢＣ", "abc"),  # full width
        ("ﬁn", "FIN"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("İ", "i̇"),
    ],
)
def test_equal(first: str, second: str) -> None:
    assert fold(first) == fold(second)


def test_not_equal() -> None:
    assert needle("gru") not in needle("grüße")
    assert needle("a b") not in needle("ab")


@given(st.text(max_size=50))
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.binary(max_size=300))
def test_any_octets_have_a_text(raw: bytes) -> None:
    text = searchable(raw, scan(raw))
    assert text.body.count(b"\x1e") == 1
    assert b"\0" not in text.header + text.body
    (text.header + text.body).decode()


def test_a_message() -> None:
    raw = (
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\tx\r\nX-A:b\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>Some <b>Mark</b>up</p>\x1e\x1f\r\n"
        b'--b\r\nContent-Type: application/pdf; name="Plan B.pdf"\r\n\r\nnot read\r\n--b--\r\n'
    )
    text = searchable(raw, scan(raw))
    assert text.header.startswith("\nsubject: grüsse x\nx-a: b\ncontent-type: ".encode())
    assert file_names(text.body) == b"\nplan b.pdf"
    assert b"some markup" in text.body
    assert b"not read" not in text.body
