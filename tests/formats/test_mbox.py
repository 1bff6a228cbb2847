"""mbox: any octets come back, whatever they are; and files of other programs are read."""

from __future__ import annotations

import io
import mailbox
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.mbox import MboxEntry, candidates, date_of, read_entries, with_crlf, write_entry

DATE = datetime(2026, 3, 2, 12, 5, 9, tzinfo=UTC)
HARD = st.lists(
    st.sampled_from(
        [b"From ", b">From ", b">>From x", b"\n", b"\r\n", b"\r", b"\0", b"a", b"", b"Subject: x", b"\xff", b"\n\n"]
    ),
    max_size=12,
).map(b"".join)


@given(st.lists(HARD | st.binary(max_size=60), max_size=5))
def test_any_messages_come_back(messages: list[bytes]) -> None:
    file = io.BytesIO(b"".join(write_entry(message, DATE) for message in messages))
    entries = list(read_entries(file))
    assert len(entries) == len(messages)
    for entry, message in zip(entries, messages, strict=True):
        assert message in set(candidates(entry))
        assert date_of(entry) == DATE


@given(st.lists(st.text("aFrom >", max_size=9), min_size=1, max_size=9))
def test_mail_as_it_is_on_the_wire_needs_no_digest(lines: list[str]) -> None:
    message = "".join(f"{line}\r\n" for line in lines).encode()
    [entry] = read_entries(io.BytesIO(write_entry(message, DATE)))
    assert next(candidates(entry)) == message


@given(st.lists(st.sampled_from([b"From x\n", b">From x\r\n", b"a\n", b"\n", b"From \r\n"]), max_size=9))
def test_whatever_the_file_is_reading_ends(lines: list[bytes]) -> None:
    for entry in read_entries(lines):
        assert list(candidates(entry)) and entry.separator.startswith(b"From ")


def test_other_programs_read_it(tmp_path: Path) -> None:
    path = tmp_path / "x.mbox"
    texts = ["Subject: one\r\n\r\nFrom here\r\n>From there\r\n", "Subject: two\r\n\r\nlast\r\n"]
    path.write_bytes(b"".join(write_entry(text.encode(), DATE) for text in texts))
    assert [message["subject"] for message in mailbox.mbox(path)] == ["one", "two"]
    assert b"\r" not in path.read_bytes()


def test_and_theirs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.mbox"
    box = mailbox.mbox(path)
    for n in range(3):
        box.add(f"Subject: {n}\n\nText\n")
    box.flush()
    with open(path, "rb") as file:
        found = [next(candidates(entry)) for entry in read_entries(file)]
    assert found == [f"Subject: {n}\r\n\r\nText\r\n".encode() for n in range(3)]


@pytest.mark.parametrize(
    ("line", "date"),
    [
        (b"From a@b.test Mon Mar  2 12:05:09 2026\n", DATE),
        (b"From a@b.test Mon Mar 2 12:05:09 2026 remote from x\n", DATE),
        (b"From a@b.test Mon Mar  2 12:05:09 +0100 2026\n", DATE),
        (b"From - Mon Mar 02 12:05:09 2026\r\n", DATE),
        (b"From a@b.test Mon Foo  2 12:05:09 2026\n", None),
        (b"From a@b.test Mon Mar 32 12:05:09 2026\n", None),
        (b"From \n", None),
    ],
)
def test_dates_of_separators(line: bytes, date: datetime | None) -> None:
    assert date_of(MboxEntry(line, b"")) == date


@pytest.mark.parametrize(("text", "crlf"), [(b"a\nb\n", b"a\r\nb\r\n"), (b"a\r\nb\n", b"a\r\nb\n"), (b"", b"")])
def test_line_ends(text: bytes, crlf: bytes) -> None:
    assert with_crlf(text) == crlf
