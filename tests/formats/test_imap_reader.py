"""The command reader: chunking never matters, limits hold, nothing escapes."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailservers.formats.imap import reader as reader_module
from mailservers.formats.imap.reader import (
    BEFORE_LOGIN,
    Command,
    CommandReader,
    Continue,
    Fatal,
    Limits,
    Portion,
    Rejected,
    after_login,
)

# A loaded machine is no failure.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SMALL = Limits(64, 16, 32, 40, 400)


def events(data: bytes, limits: Limits = SMALL, step: int | None = None) -> list:
    reader = CommandReader(limits)
    found = []
    for start in range(0, len(data), step or max(1, len(data))):
        reader.feed(data[start : start + (step or len(data))])
        while (event := reader.next_event()) is not None:
            found.append(event)
            if isinstance(event, Fatal):
                return found
    return found


TABLE = [
    (b"a NOOP\r\n", [Command(b"a", "NOOP", (b"",))]),
    (b"a noop\n", [Command(b"a", "NOOP", (b"",))]),
    (b"a uid fetch 1 FLAGS\r\n", [Command(b"a", "UID FETCH", (b" 1 FLAGS",))]),
    (b"a UID\r\n", [Command(b"a", "UID", (b"",))]),
    (b"a]} NOOP\r\n", [Command(b"a]}", "NOOP", (b"",))]),
    (b"a+ NOOP\r\n", [Rejected(None, "BAD", None, "Invalid tag")]),
    (b"\r\n", [Rejected(None, "BAD", None, "Invalid tag")]),
    (b"a\r\n", [Rejected(b"a", "BAD", None, "Missing command")]),
    (b"a \r\n", [Rejected(b"a", "BAD", None, "Missing command")]),
    (b"a \x00\r\nb NOOP\r\n", [Rejected(b"a", "BAD", None, "Missing command"), Command(b"b", "NOOP", (b"",))]),
    (b"a LOGIN {1}\r\nx {2}\r\nyz\r\n",
     [Continue(), Continue(), Command(b"a", "LOGIN", (b" ", b"x", b" ", b"yz", b""))]),
    (b"a LOGIN {1+}\r\nx {0+}\r\n\r\n", [Command(b"a", "LOGIN", (b" ", b"x", b" ", b"", b""))]),
    (b"a APPEND x ~{3+}\r\n\r\n\0 {1+}\r\n.\r\n", [Command(b"a", "APPEND", (b" x ~", b"\r\n\0", b" ", b".", b""))]),
    (b"a LOGIN {17}\r\nb NOOP\r\n",
     [Rejected(b"a", "BAD", "TOOBIG", "Literal too large"), Command(b"b", "NOOP", (b"",))]),
    (b"a LOGIN {17+}\r\n" + b"x" * 17 + b" {3+}\r\nb y\r\nb NOOP\r\n",
     [Rejected(b"a", "BAD", "TOOBIG", "Literal too large"), Command(b"b", "NOOP", (b"",))]),
    (b"a APPEND x {41}\r\n", [Rejected(b"a", "NO", "TOOBIG", "Message too large")]),
    (b"a APPEND x {40}\r\n", [Continue()]),
    (b"a APPEND x {20+}\r\n" + b"y" * 20 + b" {41}\r\n", [Rejected(b"a", "NO", "TOOBIG", "Message too large")]),
    (b"a APPEND x {40+}\r\n" + b"y" * 40 + b" {33}\r\n", [Rejected(b"a", "NO", "TOOBIG", "Too much in literals")]),
    (b"a REPLACE 1 {40}\r\n", [Rejected(b"a", "BAD", "TOOBIG", "Literal too large")]),
    (b"a REPLACE 1 x ~{40}\r\n", [Continue()]),
    (b"a UID REPLACE 1 x {41}\r\n", [Rejected(b"a", "NO", "TOOBIG", "Message too large")]),
    (b"a UID REPLACE 1 x CATENATE (TEXT {40}\r\n", [Continue()]),
    (b"a APPEND {40}\r\n", [Rejected(b"a", "BAD", "TOOBIG", "Literal too large")]),
    (b"a X {16+}\r\n" + b"y" * 16 + b" {16+}\r\n" + b"y" * 16 + b" {1}\r\n",
     [Rejected(b"a", "BAD", "TOOBIG", "Too much in literals")]),
    (b"a X {99999999999999999999999}\r\n", [Rejected(b"a", "BAD", "TOOBIG", "Literal too large")]),
    (b"a X {99999999999+}\r\nb NOOP\r\n", [Fatal("TOOBIG", "Too much data")]),
    (b"a " + b"X" * 63 + b"\r\nb NOOP\r\n",
     [Rejected(b"a", "BAD", None, "Command line too long"), Command(b"b", "NOOP", (b"",))]),
    (b"a " + b"X" * 62 + b"\r\n", [Command(b"a", "X" * 62, (b"",))]),
    (b"a X" + b" " * 90 + b"{4+}\r\n\r\nb \r\nb NOOP\r\n",
     [Rejected(b"a", "BAD", None, "Command line too long"), Command(b"b", "NOOP", (b"",))]),
    (b"a " + b"X" * 500 + b"\r\n", [Fatal("TOOBIG", "Too much data")]),
    (b"\0" * 100 + b"\r\n", [Rejected(None, "BAD", None, "Command line too long")]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), TABLE)
@pytest.mark.parametrize("step", [None, 1, 3])
def test_table(data, expected, step):
    assert events(data, step=step) == expected


pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [b"a ", b"b", b" ", b"NOOP", b"APPEND x ", b"LOGIN ", b"UID ", b"\r\n", b"\n", b"\r", b"{3}\r\n",
             b"{3+}\r\n", b"~{20+}\r\n", b"{41+}\r\n", b"{0}\r\n", b"{", b"}", b"{16+}\r\n", b'"', b"x" * 70, b"\0"]
        ),
        st.binary(max_size=20),
    ),
    max_size=30,
).map(b"".join)  # fmt: skip


@UNHURRIED
@given(pieces, st.integers(1, 40))
def test_chunking_never_matters(data, step):
    whole = events(data)
    assert events(data, step=1) == whole
    assert events(data, step=step) == whole


@UNHURRIED
@given(pieces)
def test_memory_is_bounded(data):
    reader = CommandReader(SMALL)
    for octet in data:
        reader.feed(bytes([octet]))
        while (event := reader.next_event()) is not None and not isinstance(event, Fatal):
            pass
        kept = reader.buffered_octets + sum(map(len, reader._parts)) + len(reader._literal or b"")
        assert kept <= SMALL.line_octets + SMALL.literals_octets + SMALL.append_octets + 2


STREAMING = Limits(64, 16, 32, 40, 400, 8)


def placed(data: bytes, step: int) -> list:
    """Events, where whoever takes portions gives them back whole: as if all had been kept."""
    reader, found, taken = CommandReader(STREAMING), [], b""
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
        while (event := reader.next_event()) is not None:
            if isinstance(event, Portion):
                taken += event.octets
                assert len(event.octets) < 7 + step
                if event.is_last:
                    reader.place(taken)
                    taken = b""
                continue
            assert not taken or not isinstance(event, Command)
            found.append(event)
            if isinstance(event, Fatal):
                return found
    return found


@pytest.mark.parametrize(("data", "expected"), TABLE)
@pytest.mark.parametrize("step", [1, 5, 1000])
def test_portions_make_the_same_commands(data, expected, step, monkeypatch):
    monkeypatch.setattr(reader_module, "_PORTION_OCTETS", 7)
    assert placed(data, step) == events(data, step=step)


def test_only_messages_over_the_limit_come_in_portions():
    reader = CommandReader(STREAMING)
    reader.feed(b"a X {9+}\r\n123456789\r\nb APPEND x {8+}\r\n12345678 {0+}\r\n {3+}\r\n123\r\n")
    assert reader.next_event() == Command(b"a", "X", (b" ", b"123456789", b""))
    assert reader.next_event() == Portion(b"123", True)
    reader.place(b"another")
    assert reader.next_event() == Command(b"b", "APPEND", (b" x ", b"12345678", b" ", b"", b" ", b"another", b""))


@pytest.mark.parametrize("cut", range(20))
def test_a_message_over_the_limit_is_never_kept(cut):
    reader = CommandReader(STREAMING)
    data, portions = b"b APPEND x {12+}\r\nHello World!\r\n", []
    for piece in (data[:cut], data[cut : cut + 12], data[cut + 12 :]):
        reader.feed(piece)
        while isinstance(event := reader.next_event(), Portion):
            portions.append(event.octets)
            reader.place(b"")
    assert event == Command(b"b", "APPEND", (b" x ", b"", b""))
    assert portions == [b"Hello World!"]


def test_what_cannot_be_taken_is_read_to_its_end(monkeypatch):
    monkeypatch.setattr(reader_module, "_PORTION_OCTETS", 7)
    reader = CommandReader(STREAMING)
    reader.feed(b"a APPEND x {20+}\r\n1234567")
    assert reader.next_event() == Portion(b"1234567", False)
    reader.refuse("NO", "UNAVAILABLE", "No room")
    assert reader.next_event() is None
    reader.feed(b"b NOOP\r\n12345 {3+}\r\nc X\r\nd NOOP\r\n")
    assert reader.next_event() == Rejected(b"a", "NO", "UNAVAILABLE", "No room")
    assert reader.next_event() == Command(b"d", "NOOP", (b"",))


def test_limits_change_between_pipelined_commands():
    reader = CommandReader(SMALL)
    reader.feed(b"a LOGIN x y\r\nb NOOP" + b" " * 80 + b"\r\n")
    assert reader.next_event() == Command(b"a", "LOGIN", (b" x y",))
    reader.limits = after_login(1000)
    assert reader.next_event() == Command(b"b", "NOOP", (b" " * 80,))


def test_bare_lines_and_clear():
    reader = CommandReader(BEFORE_LOGIN)
    reader.feed(b"a IDLE\r\nDO")
    assert isinstance(reader.next_event(), Command)
    assert reader.next_line() is None
    reader.feed(b"NE\r\nb NOOP\r\n")
    assert reader.next_line() == b"DONE"
    reader.clear()
    assert reader.next_event() is None
    reader.feed(b"x" * 9000)
    assert reader.next_line() is None
    reader.feed(b"\r\nrest\r\n")
    rejected = reader.next_line()
    assert isinstance(rejected, Rejected)
    assert reader.next_line() == b"rest"


def test_large_literal_is_not_rescanned():
    """25 MiB in 64 KiB pieces takes no more than a moment."""
    reader = CommandReader(after_login(30 << 20))
    reader.feed(b"a APPEND x {%d+}\r\n" % (25 << 20))
    piece = b"\n" * (64 << 10)
    for _ in range(400):
        assert reader.next_event() is None
        reader.feed(piece)
    reader.feed(b"\r\n")
    command = reader.next_event()
    assert isinstance(command, Command)
    assert len(command.parts[1]) == 25 << 20
