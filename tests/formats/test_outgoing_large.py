"""Large messages go out as small ones do: what is made in pieces is what is made of the whole."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailservers.formats import octets
from mailservers.formats.dkim import Covered
from mailservers.formats.downgrade import line_pieces, seven_bit_pieces, without_8bit, without_binary
from mailservers.formats.mbox import candidates, entry_pieces, read_entries, write_entry
from mailservers.formats.octets import Windowed
from mailservers.formats.outgoing import data_blocks, stuffed, to_wire, whole_lines, wire_pieces

from .test_downgrade import LETTER

DATE = datetime(2024, 2, 29, 12, tzinfo=UTC)
MESSAGES = st.binary(max_size=300) | st.from_regex(rb"(A: b|From|[\r\n. a:\0=\xe9-]|--x|\r\n){0,80}", fullmatch=True)


class InMemory(Windowed):
    def __init__(self, whole: bytes) -> None:
        super().__init__(len(whole))
        self._whole = whole

    def read(self, start: int, end: int) -> bytes:
        return self._whole[start:end]


@pytest.fixture(autouse=True, scope="module")
def narrow() -> Iterator[None]:
    """Windows of a few octets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(octets, "WINDOW", 7)
        yield


@given(MESSAGES)
@example(b"A: b\r\n\r\rc\n\r\nx\ry\r\n.\0\r\n")
@example(b"Return-Path: <a@b>\r\n\r\nx\r")
@example(b"no field\r\nx\ry")
def test_wire(raw: bytes) -> None:
    assert b"".join(wire_pieces(InMemory(raw))) == to_wire(raw)


@given(MESSAGES, st.integers(1, 40))
def test_dots(raw: bytes, size: int) -> None:
    wire = to_wire(raw)
    pieces = (wire[at : at + size] for at in range(0, len(wire), size))
    assert b"".join(stuffed(pieces)) == b"".join(data_blocks(wire))


@given(MESSAGES)
@example(LETTER)
def test_downgrade(raw: bytes) -> None:
    wire = to_wire(raw)
    assert b"".join(seven_bit_pieces(InMemory(wire))) == without_8bit(wire)
    assert b"".join(line_pieces(InMemory(raw))) == without_binary(raw)


@given(MESSAGES)
def test_what_a_signature_covers(raw: bytes) -> None:
    wire = to_wire(raw)
    whole, windowed = Covered(wire), Covered(InMemory(wire))
    assert whole.signed(b"X", "", lambda data: data) == windowed.signed(b"X", "", lambda data: data)


@given(MESSAGES | st.from_regex(rb"(>?From |x|\n|\r\n){0,40}", fullmatch=True))
def test_an_mbox_entry(raw: bytes) -> None:
    assert b"".join(entry_pieces(InMemory(raw), DATE)) == write_entry(raw, DATE)
    (entry,) = read_entries(io.BytesIO(write_entry(raw, DATE)))
    assert raw in candidates(entry)


def test_a_line_without_end_is_cut() -> None:
    pieces = [b"x" * 700_000, b"x" * 700_000 + b"\r", b"\ny\n", b"z"]
    lines = list(whole_lines(iter(pieces)))
    assert b"".join(lines) == b"".join(pieces)
    assert [len(line) for line in lines] == [1_400_000, 4, 1]
