"""Content decoded in pieces is what it is when decoded whole."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailservers.formats import transfer_stream
from mailservers.formats.transfer import decode_transfer
from mailservers.formats.transfer_stream import cut, decoded

_base64ish = st.lists(st.sampled_from([b"QUJD", b"QQ==", b"QUI=", b"\r\n", b"=", b"A", b"/", b"-", b"  "]), max_size=20)
_quoted = st.lists(
    st.sampled_from([b"=41", b"=", b"\r\n", b"\n", b"=\r\n", b"a", b" ", b"\r", b"=4", b"="]), max_size=20
)


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted(min(c, len(data)) for c in cuts)
    return [data[a:b] for a, b in zip([0, *marks], [*marks, len(data)], strict=True)]


@given(_base64ish.map(b"".join) | st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
@example(b"QQ==QUJD", [3])
@example(b"A=B=C=D=", [2, 4])
@example(b"QUJDQ", [])
@example(b"QUI", [1])
def test_base64(data: bytes, cuts: list[int]) -> None:
    assert b"".join(decoded(_pieces(data, cuts), b"base64")) == decode_transfer(data, b"base64")


@given(_quoted.map(b"".join) | st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_quoted_printable(data: bytes, cuts: list[int]) -> None:
    whole = decode_transfer(data, b"quoted-printable")
    assert b"".join(decoded(_pieces(data, cuts), b"quoted-printable")) == whole


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8), st.integers(0, 70), st.integers(1, 70))
def test_others_are_as_they_are_and_can_be_cut(data: bytes, cuts: list[int], offset: int, count: int) -> None:
    pieces = _pieces(data, cuts)
    assert b"".join(decoded(pieces, b"8bit")) == b"".join(decoded(pieces, b"x-what")) == data
    assert b"".join(cut(pieces, offset, count)) == data[offset : offset + count]


def test_a_line_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_stream, "_LONGEST_LINE", 100)
    data = b"=41bcd" * 500
    for step in (7, 64, 99):
        pieces = [data[n : n + step] for n in range(0, len(data), step)]
        out = list(decoded(pieces, b"quoted-printable"))
        assert b"".join(out) == b"Abcd" * 500 and max(map(len, out)) <= 100 + step


def test_long_base64() -> None:
    content = bytes(range(256)) * 5000
    wire = base64.encodebytes(content)
    pieces = [wire[n : n + 65536] for n in range(0, len(wire), 65536)]
    assert b"".join(decoded(pieces, b"base64")) == content
