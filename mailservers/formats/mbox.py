"""mbox files in the "mboxrd" form: a separator line, the message with its From lines quoted, an empty line.

    From MAILER-DAEMON Thu Jan  1 00:00:00 1970
    Subject: hello

    >From here on it is text

Quoting is reversible: every line that begins with "From " after any number of ">" gets one ">" more. Lines end in LF,
as Unix programs expect: a message whose lines all end in CRLF is written so, and comes back with CRLF. What such a
file cannot tell (whether the last line was ended, bare CR and LF) is settled by a digest: `candidates` are all messages
that would have been written like this.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from .octets import Octets, chunks
from .outgoing import whole_lines

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_ASCTIME = re.compile(rb"(\w{3}) +(\w{3}) +(\d{1,2}) +(\d{1,2}):(\d{2})(?::(\d{2}))?(?: +[A-Z+0-9-]+)? +(\d{4})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class MboxEntry:
    """One message as it lies in the file: the separator line, and what follows up to the next, still quoted.
    `is_cut`: there was more than the limit; only its beginning is here."""

    separator: bytes
    quoted: bytes
    is_cut: bool = False


def write_entry(message: bytes, date: datetime) -> bytes:
    """A message with its separator, to be appended to an mbox file."""
    return b"".join(entry_pieces(message, date))


def entry_pieces(message: Octets, date: datetime) -> Iterator[bytes]:
    """The same for a message of any length; it is read twice."""
    yield b"From MAILER-DAEMON %b\n" % _asctime(date)
    is_clean = _has_crlf_only(message)
    before = b"\n"
    for lines in whole_lines(chunks(message)):
        text = lines.replace(b"\r\n", b"\n") if is_clean else lines
        start = 0 if before.endswith(b"\n") else text.find(b"\n") + 1 or len(text)  # behind a line that goes on
        yield text[:start] + _FROM.sub(rb">\1", text[start:]) if b"From " in text else text
        before = text
    yield b"\n" if before.endswith(b"\n") else b"\n\n"


def _has_crlf_only(message: Octets) -> bool:
    """Whether every CR and every LF is of a CRLF."""
    return all(
        lines.count(b"\n") == lines.count(b"\r") == lines.count(b"\r\n") for lines in whole_lines(chunks(message))
    )


def read_entries(lines: Iterable[bytes], limit: int = sys.maxsize) -> Iterator[MboxEntry]:
    """The entries of a file, given line by line (each with its end; a long line may come in pieces). What comes before
    the first is passed over. At most `limit` octets of an entry are held."""
    separator: bytes | None = None
    waiting: list[bytes] = []
    held, is_beginning = 0, True
    for line in lines:
        if is_beginning and line.startswith(b"From "):
            if separator is not None:
                yield MboxEntry(separator, b"".join(waiting), held > limit)
            separator, waiting, held = line, [], 0
        elif separator is not None:
            held += len(line)
            if held <= limit:
                waiting.append(line)
        is_beginning = line.endswith(b"\n")
    if separator is not None:
        yield MboxEntry(separator, b"".join(waiting), held > limit)


def candidates(entry: MboxEntry) -> Iterator[bytes]:
    """Every message that `write_entry` could have made this of; the likeliest first."""
    if b"\r\n" not in entry.separator[-2:]:
        text = _QUOTED_FROM.sub(rb"\1", entry.quoted)
    else:  # written by a program that ends all lines in CRLF
        text = _QUOTED_FROM.sub(rb"\1", entry.quoted.replace(b"\r\n", b"\n"))
    once = text.removesuffix(b"\n")
    for body in (once, once.removesuffix(b"\n"), text):
        yield with_crlf(body)
        yield body


def with_crlf(message: bytes) -> bytes:
    """Bare LF become CRLF where no line ends in CRLF yet: how Unix programs keep mail. Else it is left as it is."""
    return message.replace(b"\n", b"\r\n") if b"\r\n" not in message else message


def date_of(entry: MboxEntry) -> datetime | None:
    """When the message came, by its separator (in UTC); None where that says nothing."""
    found = _ASCTIME.search(entry.separator)
    if found is None:
        return None
    try:
        month = _MONTHS.index(found[2].decode("ascii", "replace")) + 1
        return datetime(
            int(found[7]), month, int(found[3]), int(found[4]), int(found[5]), int(found[6] or 0), tzinfo=UTC
        )
    except ValueError:
        return None


def _asctime(date: datetime) -> bytes:
    """Not by the locale."""
    d = date.astimezone(UTC)
    clock = f"{d.hour:02}:{d.minute:02}:{d.second:02}"
    return f"{_DAYS[d.weekday()]} {_MONTHS[d.month - 1]} {d.day:2} {clock} {d.year:04}".encode()
