"""POP3 grammar: lines, commands, messages as sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats import pop3
from mailservers.formats.pop3 import (
    MAX_LINE,
    LineReader,
    Pop3SyntaxError,
    SaslRequest,
    cut_body,
    parse_command,
    to_wire,
    wire_size,
)

# ---------------------------------------------------------------- lines


def read_all(reader: LineReader) -> list[bytes | str]:
    got: list[bytes | str] = []
    while True:
        try:
            line = reader.next_line()
        except Pop3SyntaxError as error:
            got.append(str(error))
            continue
        if line is None:
            return got
        got.append(line)


def lines_of(*pieces: bytes) -> list[bytes | str]:
    reader, got = LineReader(), []
    for piece in pieces:
        reader.feed(piece)
        got += read_all(reader)
    return got


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"STAT", []),
        (b"STAT\r", []),
        (b"STAT\r\n", [b"STAT"]),
        (b"STAT\nNOOP\r\n", [b"STAT", b"NOOP"]),
        (b"\r\n\n", [b"", b""]),
        (b"a\r\r\n", [b"a\r"]),
        (b"a\rb\r\n", [b"a\rb"]),
        (b"a\0b\r\n", [b"a\0b"]),
        (b"x" * (MAX_LINE - 2) + b"\r\nNOOP\r\n", [b"x" * (MAX_LINE - 2), b"NOOP"]),
        (b"x" * (MAX_LINE - 1) + b"\r\nNOOP\r\n", ["Line too long", b"NOOP"]),
        (b"x" * 1_000_000, ["Line too long"]),
        (b"x" * 1_000_000 + b"\r\nNOOP\r\n", ["Line too long", b"NOOP"]),
    ],
)
def test_lines(data: bytes, lines: list[bytes | str]) -> None:
    assert lines_of(data) == lines
    if len(data) < 10_000:
        assert lines_of(*(data[i : i + 1] for i in range(len(data)))) == lines


@given(
    st.lists(st.sampled_from([b"STAT", b"\r\n", b"\n", b"\r", b"x" * 1500, b"\0", b" "]), max_size=40),
    st.lists(st.integers(1, 3000), max_size=20),
)
def test_any_chunking_gives_the_same_lines(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    chunks, start = [], 0
    for cut in cuts:
        chunks.append(data[start : start + cut])
        start += cut
    chunks.append(data[start:])
    assert lines_of(*chunks) == lines_of(data)


def test_a_line_without_end_costs_no_memory() -> None:
    reader = LineReader()
    for _ in range(100):
        reader.feed(b"x" * 65536)
        read_all(reader)
        assert reader.buffered_octets < MAX_LINE


def test_a_reader_that_never_runs_empty_does_not_grow() -> None:
    reader = LineReader()
    reader.feed(b"NOOP\r\n")
    for _ in range(5000):
        reader.feed(b"NOOP\r\n")
        assert reader.next_line() == b"NOOP"
    assert len(reader._buffer) <= 12


def test_clear_forgets_everything() -> None:
    reader = LineReader()
    reader.feed(b"STLS\r\nUSER x\r\nPA")
    assert reader.next_line() == b"STLS"
    reader.clear()
    reader.feed(b"SS y\r\n")
    assert read_all(reader) == [b"SS y"]


# ---------------------------------------------------------------- commands

PARSERS = {
    "none": pop3.no_argument,
    "number": pop3.message_number,
    "optional": pop3.optional_message_number,
    "top": pop3.number_and_lines,
    "login": pop3.login_name,
    "password": pop3.password,
    "sasl": pop3.sasl_request,
}
BAD = Pop3SyntaxError


@pytest.mark.parametrize(
    ("kind", "line", "value"),
    [
        ("none", b"STAT", None),
        ("none", b"stat", None),
        ("none", b"STAT  ", None),
        ("none", b"STAT 1", BAD),
        ("none", b" STAT", BAD),
        ("none", b"", BAD),
        ("none", b"STATS", BAD),
        ("none", b"ST\xc4T", BAD),
        ("none", b"STAT\0", BAD),
        ("none", b"STAT\r", BAD),
        ("none", b"STAT" + b" " * 300, BAD),
        ("number", b"RETR 1", 1),
        ("number", b"RETR  01 ", 1),
        ("number", b"RETR 0", 0),
        ("number", b"RETR 99999999999999999999", 99999999999999999999),
        ("number", b"RETR", BAD),
        ("number", b"RETR ", BAD),
        ("number", b"RETR -1", BAD),
        ("number", b"RETR +1", BAD),
        ("number", b"RETR 1_0", BAD),
        ("number", b"RETR 1.0", BAD),
        ("number", b"RETR one", BAD),
        ("number", b"RETR \xd9\xa1", BAD),
        ("number", b"RETR 1 2", BAD),
        ("optional", b"LIST", None),
        ("optional", b"LIST 7", 7),
        ("optional", b"LIST 1 2", BAD),
        ("top", b"TOP 1 0", (1, 0)),
        ("top", b"TOP 1 10", (1, 10)),
        ("top", b"TOP 1", BAD),
        ("top", b"TOP 1 -1", BAD),
        ("top", b"TOP 1 2 3", BAD),
        ("login", b"USER anna@harbour.test", "anna@harbour.test"),
        ("login", b"USER  anna ", "anna"),
        ("login", "USER åse@ø.test".encode(), "åse@ø.test"),
        ("login", b"USER \xff", BAD),
        ("login", b"USER", BAD),
        ("login", b"USER  ", BAD),
        ("login", b"USER " + b"a" * 500, "a" * 500),
        ("login", b"USER " + b"a" * 506, BAD),
        ("password", b"PASS secret", "secret"),
        ("password", b"PASS two words ", "two words "),
        ("password", b"PASS  leading", " leading"),
        ("password", b"PASS ", ""),
        ("password", b"PASS", BAD),
        ("password", b"PASS \xff", BAD),
        ("sasl", b"AUTH plain", SaslRequest("PLAIN", None)),
        ("sasl", b"AUTH PLAIN =", SaslRequest("PLAIN", b"")),
        ("sasl", b"AUTH PLAIN AGEAYg==", SaslRequest("PLAIN", b"\0a\0b")),
        ("sasl", b"AUTH PLAIN *", BAD),
        ("sasl", b"AUTH PLAIN !", BAD),
        ("sasl", b"AUTH PLAIN AGEAYg", BAD),
        ("sasl", b"AUTH", BAD),
        ("sasl", b"AUTH PLAIN a b", BAD),
        ("sasl", b"AUTH \xff", BAD),
    ],
)
def test_commands(kind: str, line: bytes, value: object) -> None:
    if value is BAD:
        with pytest.raises(Pop3SyntaxError):
            PARSERS[kind](parse_command(line))
    else:
        assert PARSERS[kind](parse_command(line)) == value


def test_command_length() -> None:
    """RFC 2449 section 4: 255 octets with the CRLF must be taken."""
    assert pop3.message_number(parse_command(b"RETR " + b"1".zfill(248))) == 1
    with pytest.raises(Pop3SyntaxError):
        pop3.message_number(parse_command(b"RETR " + b"1".zfill(249)))


@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=40) | st.sampled_from([b"RETR 1", b"TOP 1 1"]))
def test_only_the_one_error_escapes(kind: str, line: bytes) -> None:
    try:
        PARSERS[kind](parse_command(line))
    except Pop3SyntaxError as error:
        assert str(error).isascii() and "\n" not in str(error)


@given(st.binary(max_size=60))
def test_sasl_never_fails_otherwise(response: bytes) -> None:
    for parse in (pop3.sasl_response,):
        try:
            parse(response)
        except Pop3SyntaxError:
            pass


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("raw", "wire"),
    [
        (b"", b""),
        (b"a", b"a\r\n"),
        (b"a\r\n", b"a\r\n"),
        (b"a\n", b"a\r\n"),
        (b"a\nb\r\nc\n", b"a\r\nb\r\nc\r\n"),
        (b"a\r", b"a\r\r\n"),
        (b"a\r\r\nb\r\n", b"a\r\r\nb\r\n"),
        (b"a\rb\r\n", b"a\rb\r\n"),
        (b".", b"..\r\n"),
        (b".\r\n", b"..\r\n"),
        (b"..\r\n", b"...\r\n"),
        (b"a\n.\nb\n", b"a\r\n..\r\nb\r\n"),
        (b"a\r\n.\r\n.x\r\n", b"a\r\n..\r\n..x\r\n"),
        (b"\n\n", b"\r\n\r\n"),
        (b"a\0b\xff\r\n", b"a\0b\xff\r\n"),
    ],
)
def test_messages_on_the_wire(raw: bytes, wire: bytes) -> None:
    assert to_wire(raw) == wire


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"..", b"a", b" ", b"\xff", b"\0"]), max_size=30).map(
        b"".join
    )
)
def test_what_a_client_gets(raw: bytes) -> None:
    wire = to_wire(raw)
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    assert wire == b"" or wire.endswith(b"\r\n")
    lines = wire.split(b"\r\n")[:-1]
    assert not any(b"\n" in line for line in lines)
    unstuffed = b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines)
    assert len(unstuffed) == wire_size(raw)
    assert unstuffed.replace(b"\r\n", b"\n").removesuffix(b"\n") == raw.replace(b"\r\n", b"\n").removesuffix(b"\n")


@pytest.mark.parametrize(
    ("lines", "cut"),
    [
        (0, b"A: b\r\n\r\n"),
        (1, b"A: b\r\n\r\none\r\n"),
        (2, b"A: b\r\n\r\none\r\ntwo\n"),
        (3, b"A: b\r\n\r\none\r\ntwo\nthree"),
        (10**30, b"A: b\r\n\r\none\r\ntwo\nthree"),
    ],
)
def test_top(lines: int, cut: bytes) -> None:
    assert cut_body(b"A: b\r\n\r\none\r\ntwo\nthree", 8, lines) == cut
