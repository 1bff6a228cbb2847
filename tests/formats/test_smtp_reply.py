"""Replies: truth table, chunking, and nothing ever raised."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailservers.formats.smtp_reply import MAX_LINE_OCTETS, MAX_LINES, Reply, ReplyReader, parse_extensions


def read(*chunks: bytes) -> tuple[list[Reply], str]:
    reader = ReplyReader()
    return [reply for chunk in chunks for reply in reader.feed(chunk)], reader.error


@pytest.mark.parametrize(
    ("octets", "code", "lines", "enhanced"),
    [
        (b"250 ok\r\n", 250, ("ok",), ""),
        (b"250\r\n", 250, ("",), ""),
        (b"250 \r\n", 250, ("",), ""),
        (b"250 ok\n", 250, ("ok",), ""),
        (b"550-5.1.1 one\r\n550 5.1.1 two\r\n", 550, ("5.1.1 one", "5.1.1 two"), "5.1.1"),
        (b"250-\r\n250 x\r\n", 250, ("", "x"), ""),
        (b"450 5.1.1 wrong class\r\n", 450, ("5.1.1 wrong class",), ""),
        (b"250 2.0.0\r\n", 250, ("2.0.0",), "2.0.0"),
        (b"250 2.0.0x\r\n", 250, ("2.0.0x",), ""),
        ("550 5.1.1 bébé\r\n".encode(), 550, ("5.1.1 bébé",), "5.1.1"),
        (b"550 caf\xe9\r\n", 550, ("café",), ""),
        (b"550 a\x00b\x1b[31m\rc\r\n", 550, ("a?b?[31m?c",), ""),
    ],
)
def test_replies(octets: bytes, code: int, lines: tuple[str, ...], enhanced: str) -> None:
    (reply,), error = read(octets)
    assert (reply.code, reply.lines, reply.enhanced_status, error) == (code, lines, enhanced, "")


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n", b"\r\n", b"25 x\r\n", b"2500 x\r\n", b"150 x\r\n", b"650 x\r\n", b"250x\r\n",
        b"250-a\r\n251 b\r\n", b"250-a\r\nb\r\n", b"250 " + b"x" * MAX_LINE_OCTETS, b"250-x\r\n" * (MAX_LINES + 1),
        b"250 " + b"x" * MAX_LINE_OCTETS + b"\r\n",
    ],
)  # fmt: skip
def test_what_is_no_reply(octets: bytes) -> None:
    replies, error = read(b"220 first\r\n" + octets + b"250 never read\r\n")
    assert [reply.code for reply in replies] == [220]
    assert error


def test_text_is_word_for_word() -> None:
    (reply,), _ = read(b"550-5.1.1 one\r\n550-\r\n550 5.1.1 two\r\n")
    assert reply.text == "550-5.1.1 one\n550-\n550 5.1.1 two"


def test_extensions() -> None:
    (reply,), _ = read(b"250-mx hello\r\n250-size 1000\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n")
    assert parse_extensions(reply) == {"SIZE": "1000", "PIPELINING": "", "AUTH": "PLAIN LOGIN"}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.from_regex(rb"([2-5][0-9]{2}[ -][a-z\r\n]{0,5}\r?\n){1,6}"), st.data())
def test_any_chunking_gives_the_same(octets: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
    edges = [0, *cuts, len(octets)]
    chunks = [octets[a:b] for a, b in itertools.pairwise(edges)]
    assert read(*chunks) == read(octets)


def test_a_dripped_reply_costs_linear_time() -> None:
    reader = ReplyReader()
    for _ in range(4000):
        assert reader.feed(b"2") == []
    assert not reader.error
    assert reader.feed(b"2" * 100) == [] and reader.error
