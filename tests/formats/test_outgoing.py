"""Line ends and dots: what goes out can be read back by a strict receiver, and holds nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.outgoing import data_blocks, domain_on_wire, to_wire
from mailservers.formats.smtp_data import DataReader


@pytest.mark.parametrize(
    ("raw", "wire"),
    [
        (b"A: b\r\n\r\nx\r\n", b"A: b\r\n\r\nx\r\n"),
        (b"A: b\n\nx\n", b"A: b\r\n\r\nx\r\n"),
        (b"A: b\r\n\r\nx", b"A: b\r\n\r\nx\r\n"),
        (b"A: b\rc\r\n\r\nx\ry\r\n", b"A: b c\r\n\r\nx\r\ny\r\n"),
        (b"A: b\r\r\nC: d\r\n\r\nx\r\n", b"A: b\r\nC: d\r\n\r\nx\r\n"),
        (b"A: b\r\n\r\nx\n.\r\ny\r\n", b"A: b\r\n\r\nx\r\n.\r\ny\r\n"),
        (b"Return-Path: <a@b>\r\nA: b\r\n\r\n", b"A: b\r\n\r\n"),
        (b"Return-Path:\r\n <a@b>\r\nA: b\r\n\r\n", b"A: b\r\n\r\n"),
        (b"A: b\r\nReturn-Path: <a@b>\r\n\r\n", b"A: b\r\nReturn-Path: <a@b>\r\n\r\n"),
        (b"", b""),
    ],
)
def test_to_wire(raw: bytes, wire: bytes) -> None:
    assert to_wire(raw) == wire


@given(st.binary(max_size=300) | st.from_regex(rb"[\r\n. a:]{0,300}"), st.integers(1, 40))
def test_what_goes_out_is_what_comes_in(raw: bytes, block_octets: int) -> None:
    wire = to_wire(raw)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", wire)
    assert to_wire(wire) == wire or b"eturn-" in raw.lower()
    sent = b"".join(data_blocks(wire, block_octets))
    received = DataReader(10_000).feed(sent + b"RSET\r\n")
    assert received is not None
    assert (received.content, received.rest, received.has_bare_line_end) == (wire, b"RSET\r\n", False)


@pytest.mark.parametrize(
    ("domain", "wire"),
    [("Remote.Test.", "remote.test"), ("foo_bar.test", "foo_bar.test"), ("exämple.test", "xn--exmple-cua.test")],
)
def test_domain_on_wire(domain: str, wire: str) -> None:
    assert domain_on_wire(domain) == wire
