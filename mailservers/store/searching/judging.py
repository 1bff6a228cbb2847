"""Whether a message matches: the exact rule of every key (RFC 9051 section 6.4.4).

A key is judged three times at most, each time with more to go by and only where it is still open: from the row
(flags, dates, sizes), with the searchable header, with the searchable body.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from mailservers.formats import search_keys as keys
from mailservers.formats.dates import parse_date
from mailservers.formats.search_keys import Key
from mailservers.formats.searchable import file_names, needle
from mailservers.store.searching.narrowing import FLAG_BITS, Scope


class Row(NamedTuple):
    """What a place says of its message. `ROW_COLUMNS` in the same order."""

    place_id: int
    mailbox_id: int
    uid: int
    modseq: int
    flags: int
    keywords: str
    internal_date: datetime
    save_date: datetime
    message_id: int
    thread_id: int
    size: int
    has_attachment: bool
    sha256: bytes


ROW_COLUMNS = (
    "p.id, p.mailbox_id, p.uid, p.modseq, p.flags, p.keywords, p.internal_date, p.save_date, p.message_id,"
    " p.thread_id, m.size, m.has_attachment, m.sha256"
)


class Candidate:
    """A message while it is judged."""

    __slots__ = ("body", "header", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.header: bytes | None = None
        self.body: bytes | None = None


class Judge:
    """One search's key with its needles ready."""

    def __init__(self, key: Key, scope: Scope) -> None:
        self.key = key
        self.scope = scope
        self.chosen = {node: frozenset(uids) for node, uids in scope.chosen.items()}
        self.needles = {
            id(node): needle(node.text)
            for node in keys.walk(key)
            if isinstance(node, keys.Header | keys.Body | keys.Text | keys.FileName)
        }

    def __call__(self, candidate: Candidate) -> bool | None:
        """None where it cannot be said from what has been read of the message."""
        return self._judge(candidate, self.key)

    def _judge(self, candidate: Candidate, key: Key) -> bool | None:
        match key:
            case keys.And(inner):
                return self._all(candidate, inner)
            case keys.Or(first, second):
                verdict = self._judge(candidate, first)
                return True if verdict else _any(verdict, self._judge(candidate, second))
            case keys.Not(inner_key):
                verdict = self._judge(candidate, inner_key)
                return None if verdict is None else not verdict
            case keys.Header() | keys.Body() | keys.Text() | keys.FileName():
                return self._judge_text(candidate, key)
            case keys.DateIs(which="sent"):
                return None if candidate.header is None else _compare(_sent(candidate.header), key)
            case _:
                return self._judge_row(candidate.row, key)

    def _all(self, candidate: Candidate, inner: tuple[Key, ...]) -> bool | None:
        """False if any is false; else None if any is open."""
        result: bool | None = True
        for key in inner:
            verdict = self._judge(candidate, key)
            if verdict is False:
                return False
            if verdict is None:
                result = None
        return result

    def _judge_row(self, row: Row, key: Key) -> bool:  # noqa: C901 - one table of keys
        match key:
            case keys.All():
                return True
            case keys.Flag("\\Recent"):
                return 0 < self.scope.first_recent <= row.uid
            case keys.Flag(name):
                if name.startswith("\\"):
                    return bool(row.flags & FLAG_BITS.get(name, 0))
                return name.lower() in row.keywords.lower().split()
            case keys.Uids() | keys.Numbers():
                return row.uid in self.chosen[id(key)]
            case keys.Larger(octets):
                return row.size > octets
            case keys.Smaller(octets):
                return row.size < octets
            case keys.ModSeq(at_least):
                return row.modseq >= at_least
            case keys.Within(younger, seconds):
                age = self.scope.now - row.internal_date
                limit = timedelta(seconds=seconds)
                return age <= limit if younger else age >= limit
            case keys.DateIs(which):
                moment = row.internal_date if which == "internal" else row.save_date
                return _compare(moment.astimezone(UTC).date(), key)
            case keys.Thread(thread_ids):
                return row.thread_id in thread_ids
            case keys.Email(digest):
                return bytes(row.sha256).startswith(digest)
            case keys.HasAttachment():
                return row.has_attachment
            case keys.InMailbox(mailbox_ids):
                return row.mailbox_id in mailbox_ids
        raise AssertionError(f"no rule for {type(key).__name__}")

    def _judge_text(self, candidate: Candidate, key: Key) -> bool | None:
        wanted = self.needles[id(key)]
        header, body = candidate.header, candidate.body
        match key:
            case keys.Header(field):
                return None if header is None else _in_field(header, needle(field), wanted)
            case keys.Text():
                if header is not None and wanted in header and b"\n" not in wanted:
                    return True
            case keys.FileName():
                return None if body is None else wanted in file_names(body)
        return None if body is None else wanted in body


def _any(first: bool | None, second: bool | None) -> bool | None:
    if second:
        return True
    return None if first is None or second is None else False


def _in_field(header: bytes, field: bytes, wanted: bytes) -> bool:
    """Whether one of the fields of that name holds the text; "" is in every field that is there."""
    start = b"\n" + field + b": "
    at = header.find(start)
    while at >= 0:
        value_at = at + len(start)
        end = header.find(b"\n", value_at)
        if header.find(wanted, value_at, end if end >= 0 else len(header)) >= 0:
            return True
        at = header.find(start, value_at)
    return False


def _sent(header: bytes) -> date | None:
    """The day of the Date field, as its sender wrote it, without regard to the zone."""
    at = header.find(b"\ndate: ")
    if at < 0:
        return None
    moment = parse_date(header[at + 7 :].partition(b"\n")[0])
    return moment.date() if moment else None


def _compare(day: date | None, key: Any) -> bool:
    if day is None:
        return False
    if key.how == "before":
        return day < key.date
    return day == key.date if key.how == "on" else day >= key.date
