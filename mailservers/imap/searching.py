"""SEARCH and UID SEARCH: evaluating the key tree, and the answer (RFC 9051 sections 6.4.4 and 7.3.4,
RFC 4731, RFC 5182, RFC 7162 section 3.1.5).

A key is judged three times at most, each time with more to go by and only where it is still open: from
the row (flags, dates, sizes), with the header, with the whole message. So a search by flags reads no
mail, and FROM with BODY reads the bodies of the messages that FROM leaves. All of it happens in a
reader thread, some hundred messages at a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mailservers.formats import mime
from mailservers.formats.dates import parse_date
from mailservers.formats.headers import decode_words, iter_fields, unfold
from mailservers.formats.imap import search as keys
from mailservers.formats.imap.search import Key, SearchRequest, walk
from mailservers.formats.imap.sequences import write_numbers
from mailservers.formats.text import message_texts
from mailservers.imap.object_ids import email_object_id, thread_object_id
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.session import SYSTEM_FLAG_BITS, Session
from mailservers.store.content import read_headers, read_messages
from mailservers.store.engine import store
from mailservers.store.queries import fetch_rows

ROWS = 500  # messages judged in one visit to a reader thread
HEADER_OCTETS = 4 << 20  # of headers held at once
CONTENT_ROWS = 50  # messages whose octets are read, one by one, with one query

_COLUMNS = (
    "uid",
    "flags",
    "keywords",
    "modseq",
    "internal_date",
    "message_id",
    "message__size",
    "message__parts",
    "message__header_size",
    "save_date",
    "thread_id",
    "message__sha256",
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search needs besides the messages."""

    chosen: dict[int, frozenset[int]]  # id() of each Uids and Numbers node -> its UIDs
    first_recent: int
    now: datetime


class Candidate:
    """A message while it is judged."""

    __slots__ = ("data", "fields", "header", "row", "texts")

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.row = row
        self.header: bytes | None = None
        self.data: bytes | None = None
        self.fields: list[tuple[str, str]] | None = None
        self.texts: list[str] | None = None

    def decoded_fields(self) -> list[tuple[str, str]]:
        """Header fields: lower-case name, decoded value, folded for comparison."""
        if self.fields is None:
            self.fields = [
                (name.decode("latin-1").lower(), decode_words(unfold(value)).strip().casefold())
                for name, value in iter_fields(self.header or b"")
            ]
        return self.fields

    def body_texts(self) -> list[str]:
        """The body's text parts, decoded and folded for comparison."""
        if self.texts is None:
            root = mime.load_parts(self.row[7])
            self.texts = [text.casefold() for text in message_texts(self.data or b"", root)]
        return self.texts

    def sent(self) -> date | None:
        """The day of the Date field, as its sender wrote it, without regard to the zone."""
        for name, value in self.decoded_fields():
            if name == "date":
                moment = parse_date(value.encode("utf-8", "replace"))
                return moment.date() if moment else None
        return None


async def search(session: Session, request: SearchRequest, by_uid: bool = False) -> Reply:
    """SEARCH and UID SEARCH."""
    selected = session.mailbox
    saving = request.returns is not None and "SAVE" in request.returns
    if saving:
        saved, session.saved = session.saved, array("I")  # RFC 5182 section 2.1: empty where the search fails
    else:
        saved = session.saved
    by_modseq = any(isinstance(key, keys.ModSeq) for key in walk(request.key))
    if by_modseq:
        session.condstore = True
    scope = Scope(_chosen(session, request.key, saved), selected.first_recent, datetime.now(UTC))
    found = array("I")
    highest = 0
    uids = selected.view.uids
    for start in range(0, len(uids), ROWS):
        matches = await store.read(_judge_rows, selected.mailbox_id, uids[start : start + ROWS], request.key, scope)
        for uid, modseq in matches:
            found.append(uid)
            highest = max(highest, modseq)
        await session.progress(start, len(uids))
    if saving:
        session.saved = _to_save(found, request.returns or frozenset())
    numbers = found if by_uid else array("I", map(selected.view.number_of, found))
    _respond(session, request, numbers, by_uid, highest if by_modseq else 0)
    return Reply("SEARCH completed")


def _chosen(session: Session, key: Key, saved: array[int] | None) -> dict[int, frozenset[int]]:
    """The UIDs of every message set in the key."""
    view = session.mailbox.view
    result = {}
    for node in walk(key):
        if isinstance(node, keys.Uids):
            uids = view.present(saved or ()) if node.uids.saved else view.by_uid(node.uids)
            result[id(node)] = frozenset(uids)
        elif isinstance(node, keys.Numbers):
            if session.uidonly and not node.numbers.saved:
                raise Refusal("UIDREQUIRED", "Message numbers are not in use", "BAD")
            if node.numbers.saved:
                result[id(node)] = frozenset(view.present(saved or ()))
            else:
                result[id(node)] = frozenset(view.by_number_if_any(node.numbers))
    return result


def _to_save(found: array[int], returns: frozenset[str]) -> array[int]:
    """RFC 5182 section 2.4: with MIN or MAX, and neither ALL nor COUNT, only those are saved."""
    if returns & {"MIN", "MAX"} and not returns & {"ALL", "COUNT"} and found:
        ends = {found[0]} if "MIN" in returns else set()
        return array("I", sorted(ends | ({found[-1]} if "MAX" in returns else set())))
    return found


def _respond(session: Session, request: SearchRequest, numbers: Sequence[int], by_uid: bool, highest: int) -> None:
    if request.returns is None and not session.rev2:
        modseq = b" (MODSEQ %d)" % highest if highest and numbers else b""
        session.untagged(b"SEARCH" + b"".join(b" %d" % number for number in numbers) + modseq)
        return
    returns = request.returns if request.returns is not None else frozenset({"ALL"})
    if returns == {"SAVE"}:
        return
    _respond_extended(session, returns, numbers, by_uid, highest)


def _respond_extended(
    session: Session, returns: frozenset[str], numbers: Sequence[int], by_uid: bool, highest: int
) -> None:
    """esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)"""
    items = [b'ESEARCH (TAG "%b")' % session.tag]  # no tag has a quote or backslash
    if by_uid:
        items.append(b"UID")
    if numbers:
        if "MIN" in returns:
            items.append(b"MIN %d" % numbers[0])
        if "MAX" in returns:
            items.append(b"MAX %d" % numbers[-1])
        if "ALL" in returns:
            items.append(b"ALL " + write_numbers(numbers))
    if "COUNT" in returns:
        items.append(b"COUNT %d" % len(numbers))
    if highest and numbers:
        items.append(b"MODSEQ %d" % highest)
    session.untagged(b" ".join(items))


# ------------------------------------------------------------------ in a reader thread


def _judge_rows(mailbox_id: int, uids: Sequence[int], key: Key, scope: Scope) -> list[tuple[int, int]]:
    """(UID, mod-sequence) of those messages that match, ascending."""
    verdicts: dict[int, bool] = {}
    rows = fetch_rows(mailbox_id, uids, _COLUMNS)
    open_ = _judge_all([Candidate(row) for row in rows], key, scope, verdicts)
    for group in _groups(open_):
        headers = read_headers([candidate.row[5] for candidate in group])
        for candidate in group:
            candidate.header = headers.get(candidate.row[5], b"")
        still_open = _judge_all(group, key, scope, verdicts)
        for start in range(0, len(still_open), CONTENT_ROWS):
            _judge_with_bodies(still_open[start : start + CONTENT_ROWS], key, scope, verdicts)
        for candidate in group:
            candidate.header = candidate.fields = None
    return [(row[0], row[3]) for row in rows if verdicts.get(row[0])]


def _groups(candidates: list[Candidate]) -> Iterator[list[Candidate]]:
    """Runs whose headers come to about HEADER_OCTETS."""
    group: list[Candidate] = []
    octets = 0
    for candidate in candidates:
        if group and octets + candidate.row[8] > HEADER_OCTETS:
            yield group
            group, octets = [], 0
        group.append(candidate)
        octets += candidate.row[8]
    if group:
        yield group


def _judge_with_bodies(candidates: list[Candidate], key: Key, scope: Scope, verdicts: dict[int, bool]) -> None:
    """The last look; a message that was expunged a moment ago does not match."""
    by_id: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        by_id.setdefault(candidate.row[5], []).append(candidate)
    for message_id, data in read_messages(list(by_id)):
        for candidate in by_id[message_id]:
            candidate.data = data
        _judge_all(by_id[message_id], key, scope, verdicts)
        for candidate in by_id[message_id]:
            candidate.data = candidate.texts = None


def _judge_all(candidates: list[Candidate], key: Key, scope: Scope, verdicts: dict[int, bool]) -> list[Candidate]:
    """Record the verdicts that can be given now; the candidates that stay open."""
    open_ = []
    for candidate in candidates:
        verdict = judge(candidate, key, scope)
        if verdict is None:
            open_.append(candidate)
        else:
            verdicts[candidate.row[0]] = verdict
    return open_


def judge(candidate: Candidate, key: Key, scope: Scope) -> bool | None:
    """Whether the message matches; None where that cannot be said from what has been read of it."""
    match key:
        case keys.And(inner):
            return _all(judge(candidate, one, scope) for one in inner)
        case keys.Or(first, second):
            verdict = judge(candidate, first, scope)
            return True if verdict else _any(verdict, judge(candidate, second, scope))
        case keys.Not(inner_key):
            verdict = judge(candidate, inner_key, scope)
            return None if verdict is None else not verdict
        case keys.Header() | keys.Body() | keys.Text():
            return _judge_content(candidate, key)
        case keys.DateIs(which="sent"):
            if candidate.header is None:
                return None
            return _compare(candidate.sent(), key)
        case _:
            return _judge_row(candidate.row, key, scope)


def _all(verdicts: Any) -> bool | None:
    """False if any is false; else None if any is open."""
    result: bool | None = True
    for verdict in verdicts:
        if verdict is False:
            return False
        if verdict is None:
            result = None
    return result


def _any(first: bool | None, second: bool | None) -> bool | None:
    if second:
        return True
    return None if first is None or second is None else False


def _judge_row(row: tuple[Any, ...], key: Key, scope: Scope) -> bool:
    uid, flags, keywords, modseq, internal_date, _, size, _, _, save_date, thread_id, sha256 = row
    match key:
        case keys.All():
            return True
        case keys.Flag("\\Recent"):
            return 0 < scope.first_recent <= uid
        case keys.Flag(name):
            if name.startswith("\\"):
                return bool(flags & SYSTEM_FLAG_BITS.get(name, 0))
            return name.lower() in keywords.lower().split()
        case keys.Uids() | keys.Numbers():
            return uid in scope.chosen[id(key)]
        case keys.Larger(octets):
            return size > octets
        case keys.Smaller(octets):
            return size < octets
        case keys.ModSeq(at_least):
            return modseq >= at_least
        case keys.Within(younger, seconds):
            age = scope.now - internal_date
            limit = timedelta(seconds=seconds)
            return age <= limit if younger else age >= limit
        case keys.EmailId(object_id) | keys.ThreadId(object_id):
            own = email_object_id(sha256) if isinstance(key, keys.EmailId) else thread_object_id(thread_id)
            return own == object_id.encode("ascii")
        case keys.DateIs(which):
            return _compare((save_date if which == "saved" else internal_date).date(), key)
    raise AssertionError(f"no rule for {type(key).__name__}")


def _compare(day: date | None, key: keys.DateIs) -> bool:
    if day is None:
        return False
    if key.how == "before":
        return day < key.date
    return day == key.date if key.how == "on" else day >= key.date


def _judge_content(candidate: Candidate, key: Key) -> bool | None:
    if candidate.header is None:
        return None
    match key:
        case keys.Header(field, text):
            wanted = text.casefold()
            return any(name == field and wanted in value for name, value in candidate.decoded_fields())
        case keys.Text(text):
            wanted = text.casefold()
            if any(wanted in f"{name}: {value}" for name, value in candidate.decoded_fields()):
                return True
        case keys.Body(text):
            wanted = text.casefold()
    if candidate.data is None:
        return None
    return any(wanted in text for text in candidate.body_texts())
