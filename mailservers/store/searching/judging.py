"""Whether a message matches: the exact rule of every key (RFC 9051 section 6.4.4).

A key is judged three times at most, each time with more to go by and only where it is still open: from the row
(flags, dates, sizes), with the searchable header, with the searchable body.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from mailservers.formats import search_keys as keys
from mailservers.formats.dates import parse_date
from mailservers.formats.search_absence import tokens_of
from mailservers.formats.search_keys import Key
from mailservers.formats.searchable import file_names, needle
from mailservers.store.searching.narrowing import FLAG_BITS, Scope


class Row(NamedTuple):
    """What a place says of its message. `Judge.columns` in the same order."""

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


_DATE_COLUMNS = "p.internal_date, p.save_date"
_CONTENT_COLUMNS = "m.size, m.has_attachment, m.sha256"


class Candidate:
    """A message while it is judged."""

    __slots__ = ("body", "header", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.header: bytes | None = None
        self.body: bytes | None = None


Rule = Callable[[Candidate], bool | None]  # None: it cannot be said from what has been read of the message


class Judge:
    """One search's key, made into one function, and what it has to read to know.

    `fields`: the header fields it looks at, as `searchable_header` takes them (None: all of them). `body_tokens`: a
    body that holds none of them is as good as an empty one (None: that cannot be said); `header_tokens`: so for
    the header."""

    def __init__(self, key: Key, scope: Scope) -> None:
        self._scope = scope
        self._rule = self._compile(key)
        nodes = list(keys.walk(key))
        looks_everywhere = any(isinstance(node, keys.Text) for node in nodes)
        fields = {needle(node.field) for node in nodes if isinstance(node, keys.Header)}
        if any(isinstance(node, keys.DateIs) and node.which == "sent" for node in nodes):
            fields.add(b"date")
        self.reads_header = looks_everywhere or bool(fields)
        self.fields = None if looks_everywhere else frozenset(fields)
        self.body_tokens = tokens_of(
            needle(node.text) for node in nodes if isinstance(node, keys.Body | keys.Text | keys.FileName)
        )
        self.header_tokens = self.body_tokens if looks_everywhere and not fields else None
        self._reads_dates = any(isinstance(node, keys.DateIs | keys.Within) for node in nodes)
        self._reads_contents = any(
            isinstance(node, keys.Larger | keys.Smaller | keys.Email | keys.HasAttachment) for node in nodes
        )

    def __call__(self, candidate: Candidate) -> bool | None:
        """None where it cannot be said from what has been read of the message."""
        return self._rule(candidate)

    @property
    def columns(self) -> str:
        """Of a place `p` and its content `m`, for a `Row`; NULL for what is not looked at."""
        dates = _DATE_COLUMNS if self._reads_dates else "NULL, NULL"
        contents = _CONTENT_COLUMNS if self._reads_contents else "NULL, NULL, NULL"
        return (
            f"p.id, p.mailbox_id, p.uid, p.modseq, p.flags, p.keywords, {dates}, p.message_id, p.thread_id, {contents}"
        )

    def _compile(self, key: Key) -> Rule:
        match key:
            case keys.And(inner):
                return _all([self._compile(one) for one in inner])
            case keys.Or(first, second):
                return _either(self._compile(first), self._compile(second))
            case keys.Not(inner_key):
                return _opposite(self._compile(inner_key))
            case keys.Header(field, text):
                return _in_field(needle(field), needle(text))
            case keys.Body(text):
                return _in_body(needle(text))
            case keys.Text(text):
                return _anywhere(needle(text))
            case keys.FileName(text):
                return _in_file_names(needle(text))
            case keys.DateIs(which="sent"):
                return lambda c: None if c.header is None else _compare(_sent(c.header), key)
            case _:
                by_row = self._by_row(key)
                return lambda c: by_row(c.row)

    def _by_row(self, key: Key) -> Callable[[Row], bool]:  # noqa: C901 - one table of keys
        scope = self._scope
        match key:
            case keys.All():
                return lambda row: True
            case keys.Flag("\\Recent"):
                return lambda row: 0 < scope.first_recent <= row.uid
            case keys.Flag(name) if name.startswith("\\"):
                bit = FLAG_BITS.get(name, 0)
                return lambda row: bool(row.flags & bit)
            case keys.Flag(name):
                keyword = name.lower()
                return lambda row: keyword in row.keywords.lower().split()
            case keys.Uids() | keys.Numbers():
                chosen = frozenset(scope.chosen[id(key)])
                return lambda row: row.uid in chosen
            case keys.Larger(octets):
                return lambda row: row.size > octets
            case keys.Smaller(octets):
                return lambda row: row.size < octets
            case keys.ModSeq(at_least):
                return lambda row: row.modseq >= at_least
            case keys.Within(younger, seconds):
                limit = timedelta(seconds=seconds)
                if younger:
                    return lambda row: scope.now - row.internal_date <= limit
                return lambda row: scope.now - row.internal_date >= limit
            case keys.DateIs("internal"):
                return lambda row: _compare(row.internal_date.astimezone(UTC).date(), key)
            case keys.DateIs():
                return lambda row: _compare(row.save_date.astimezone(UTC).date(), key)
            case keys.Thread(thread_ids):
                return lambda row: row.thread_id in thread_ids
            case keys.Email(digest):
                return lambda row: bytes(row.sha256).startswith(digest)
            case keys.HasAttachment():
                return lambda row: row.has_attachment
            case keys.InMailbox(mailbox_ids):
                return lambda row: row.mailbox_id in mailbox_ids
        raise AssertionError(f"no rule for {type(key).__name__}")


def _all(rules: list[Rule]) -> Rule:
    """False if any is false; else None if any is open."""

    def rule(candidate: Candidate) -> bool | None:
        result: bool | None = True
        for one in rules:
            verdict = one(candidate)
            if verdict is False:
                return False
            if verdict is None:
                result = None
        return result

    return rule


def _either(first: Rule, second: Rule) -> Rule:
    def rule(candidate: Candidate) -> bool | None:
        verdict = first(candidate)
        if verdict:
            return True
        other = second(candidate)
        if other:
            return True
        return None if verdict is None or other is None else False

    return rule


def _opposite(inner: Rule) -> Rule:
    def rule(candidate: Candidate) -> bool | None:
        verdict = inner(candidate)
        return None if verdict is None else not verdict

    return rule


def _in_body(wanted: bytes) -> Rule:
    return lambda c: None if c.body is None else wanted in c.body


def _in_file_names(wanted: bytes) -> Rule:
    return lambda c: None if c.body is None else wanted in file_names(c.body)


def _anywhere(wanted: bytes) -> Rule:
    is_of_one_line = b"\n" not in wanted

    def rule(candidate: Candidate) -> bool | None:
        header, body = candidate.header, candidate.body
        if is_of_one_line and header is not None and wanted in header:
            return True
        return None if body is None else wanted in body

    return rule


def _in_field(field: bytes, wanted: bytes) -> Rule:
    """Whether one of the fields of that name holds the text; "" is in every field that is there."""
    start = b"\n" + field + b": "
    if b":" in field or b"\n" in field:  # no field can be called that
        return lambda c: False

    def rule(candidate: Candidate) -> bool | None:
        header = candidate.header
        if header is None:
            return None
        at = header.find(start)
        while at >= 0:
            value_at = at + len(start)
            end = header.find(b"\n", value_at)
            if header.find(wanted, value_at, end if end >= 0 else len(header)) >= 0:
                return True
            at = header.find(start, value_at)
        return False

    return rule


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
