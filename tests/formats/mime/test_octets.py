"""Octets seen through a window are the same octets."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats import octets
from mailservers.formats.octets import Windowed, search
from mailservers.formats.summary import summarise
from tests.formats.mime.mime_soup import messages


class Held(Windowed):
    def __init__(self, raw: bytes) -> None:
        super().__init__(len(raw))
        self.raw = raw

    def read(self, start: int, end: int) -> bytes:
        assert 0 <= start <= end <= len(self.raw)
        return self.raw[start:end]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(octets, "WINDOW", 7)


@given(st.lists(st.sampled_from(b"ab\r\n"), max_size=60).map(bytes), st.integers(0, 70), st.integers(0, 70))
def test_finds_and_counts_as_bytes_do(raw: bytes, start: int, end: int) -> None:
    held = Held(raw)
    for wanted in (b"a", b"\r\n", b"ab\n", b"\n\r\n"):
        assert held.find(wanted, start, end) == raw.find(wanted, start, end)
        assert held.startswith((wanted, b"b"), start) == raw.startswith((wanted, b"b"), start)
    assert held.count(b"a", start, end) == raw.count(b"a", start, end)
    assert held[start:end] == raw[start:end]
    pattern = re.compile(rb"\n\r?\n")
    assert search(pattern, held, start, 3) == search(pattern, raw, start, 3)


@given(messages)
def test_the_summary_is_the_same(raw: bytes) -> None:
    known = summarise(raw)
    assert summarise(Held(raw), known.sha256) == known
