"""FETCH and UID FETCH (RFC 9051 section 6.4.5).

What is cheap stays cheap: ENVELOPE and BODYSTRUCTURE were made when the message was accepted and are
sent as they are stored; header fields are read without the bodies; a message's octets are read and cut
in a reader thread, in groups of about CONTENT_OCTETS, and each group is on its way to the client before
the next is read. Large messages are sent window by window (`large_messages`).
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from mailservers.formats import mime
from mailservers.formats.dates import format_internal_date
from mailservers.formats.envelope import bodystructure
from mailservers.formats.imap.fetch import (
    Attribute,
    BinarySection,
    BinarySize,
    BodySection,
    FetchItem,
    FetchRequest,
    Partial,
)
from mailservers.formats.imap.sequences import SequenceSet, ranges_of
from mailservers.formats.imap.writer import literal, string
from mailservers.imap.large_messages import LARGE_OCTETS, large_items, open_messages
from mailservers.imap.messages import chosen_uids
from mailservers.imap.object_ids import email_object_id, thread_object_id
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.resync import tell_vanished
from mailservers.imap.selected import Selected, flags_text
from mailservers.imap.session import Session
from mailservers.models import Flag
from mailservers.store.content import read_halves, read_headers, read_messages, reading_content
from mailservers.store.engine import store
from mailservers.store.errors import ContentDamaged
from mailservers.store.flags import FlagChange, FlagRow, store_flags
from mailservers.store.queries import fetch_rows, is_there
from mailservers.store.stored import StoredMessage
from mailservers.store.tracing.opening import Opener, openings

log = logging.getLogger(__name__)

ROWS = 500  # messages read at once
PREVIEW_CHARACTERS = 200  # RFC 8970 section 3.3
CONTENT_OCTETS = 1 << 20  # of messages read at once; a larger one comes alone

Octets = bytes | tuple[bytes, ...]  # an item, or its pieces: large ones are put together once, in the socket's buffer
Row = tuple[Any, ...]  # uid, flags, keywords, modseq, then the plan's columns
_UID, _FLAGS, _KEYWORDS, _MODSEQ = range(4)
_MARKS = ("uid", "flags", "keywords", "modseq")
_COLUMNS = {
    "INTERNALDATE": "internal_date",
    "RFC822.SIZE": "message__size",
    "ENVELOPE": "message__envelope",
    "BODYSTRUCTURE": "message__bodystructure",
    "EMAILID": "message__sha256",
    "THREADID": "thread_id",
    "SAVEDATE": "save_date",
    "PREVIEW": "message__preview",
}
Convert = Callable[[Any], bytes]
_FORMATS: dict[str, tuple[bytes, Convert | None]] = {  # the item, and what makes its value of the column's, if needed
    "INTERNALDATE": (b'INTERNALDATE "%b"', format_internal_date),
    "RFC822.SIZE": (b"RFC822.SIZE %d", None),
    "ENVELOPE": (b"ENVELOPE %b", None),
    "BODYSTRUCTURE": (b"BODYSTRUCTURE %b", None),
    "EMAILID": (b"EMAILID (%b)", email_object_id),
    "THREADID": (b"THREADID %b", lambda value: _thread_value(thread_object_id(value))),
    "SAVEDATE": (b'SAVEDATE "%b"', format_internal_date),
    "PREVIEW": (b"PREVIEW %b", lambda value: string(value[:PREVIEW_CHARACTERS].encode("utf-8"))),
}


def _thread_value(object_id: bytes | None) -> bytes:
    return b"NIL" if object_id is None else b"(%b)" % object_id


@dataclass(frozen=True, slots=True)
class Content:
    """The items of a FETCH that need a message's octets, and where their columns are in a row."""

    items: tuple[FetchItem, ...]
    id_at: int
    size_at: int
    parts_at: int
    headers_only: bool
    whole_only: bool  # BODY[] and nothing else: the octets go out as they are stored
    in_pieces: bool  # the client asks for parts of a section: it will come again for the next

    def is_large(self, row: Row) -> bool:
        """Is it too large to be read at once?"""
        over = min(LARGE_OCTETS, settings.STREAM_OVER) if self.in_pieces else settings.STREAM_OVER
        return not self.headers_only and row[self.size_at] > over


class Plan:
    """How one FETCH is answered: which columns are read, and how each becomes an item of the response."""

    def __init__(self, request: FetchRequest, by_uid: bool) -> None:
        items = list(request.items)
        names = {item.name for item in items if isinstance(item, Attribute)}
        self.with_uid = by_uid or "UID" in names
        self.with_flags = "FLAGS" in names
        self.with_modseq = "MODSEQ" in names or request.changed_since is not None
        self.columns = list(_MARKS)
        self.values: list[tuple[int, Convert | None]] = []  # of the items of `template`, in its order
        formats = []
        for name in sorted(names & _COLUMNS.keys()):
            item, convert = _FORMATS[name]
            formats.append(item)
            self.values.append((self._column(_COLUMNS[name]), convert))
        self.template = b" ".join(formats)  # of the items that are columns
        wanted = tuple(item for item in items if not isinstance(item, Attribute) or item.name == "BODY")
        self.content = self._content(wanted) if wanted else None
        self.reads_text = any(_is_text(item) for item in wanted)
        self.sets_seen = any(isinstance(item, BodySection | BinarySection) and not item.peek for item in wanted)

    def _column(self, name: str) -> int:
        if name not in self.columns:
            self.columns.append(name)
        return self.columns.index(name)

    def _content(self, items: tuple[FetchItem, ...]) -> Content:
        headers_only = all(
            isinstance(item, BodySection) and not item.part and item.what.startswith("HEADER") for item in items
        )
        return Content(
            items,
            self._column("message_id"),
            self._column("message__header_size" if headers_only else "message__size"),
            -1 if headers_only else self._column("message__parts"),
            headers_only,
            all(isinstance(item, BodySection) and _is_whole(item) for item in items),
            any(isinstance(item, BodySection | BinarySection) and item.partial for item in items),
        )

    def line(self, uidonly: bool) -> bytes:
        """The format of a whole response: number or UID, then the values of all items but those of the content."""
        items = [(self.with_uid, b"UID %d"), (self.with_flags, b"FLAGS (%b)"), (self.with_modseq, b"MODSEQ (%d)")]
        formats = [item for wanted, item in items if wanted] + ([self.template] if self.template else [])
        return (b"* %d UIDFETCH (" if uidonly else b"* %d FETCH (") + b" ".join(formats) + b")\r\n"

    def columns_text(self, row: Row) -> bytes:
        """The items that a row's columns are, one after the other."""
        return self.template % tuple([row[at] if convert is None else convert(row[at]) for at, convert in self.values])


def _is_whole(item: BodySection) -> bool:
    return not item.part and not item.what and item.partial is None


def _is_text(item: FetchItem) -> bool:
    """Does it hand out what the message says, more than its header?"""
    if isinstance(item, BodySection):
        return not item.what.startswith("HEADER") and item.what != "MIME"
    return isinstance(item, BinarySection)


async def fetch(session: Session, request: FetchRequest, by_uid: bool = False) -> Reply:
    """FETCH and UID FETCH."""
    selected = session.mailbox
    uids = chosen_uids(session, request.messages, by_uid)
    if request.partial is not None:
        if not by_uid:
            raise Refusal("CLIENTBUG", "PARTIAL is for UID FETCH", "BAD")
        uids = request.partial.of(uids)
    plan = Plan(request, by_uid and not session.uidonly)
    if request.vanished and not (by_uid and session.qresync):
        raise Refusal("CLIENTBUG", "VANISHED is for UID FETCH after ENABLE QRESYNC", "BAD")
    if plan.with_modseq:
        session.enable_condstore()
    if request.vanished and request.changed_since is not None:
        ranges = ranges_of(uids) if request.messages.saved else request.messages.resolve(selected.uid_next - 1)
        await tell_vanished(session, request.changed_since, ranges)
    found, unknown_encoding = await _answer(session, plan, uids, request.changed_since)
    if unknown_encoding:
        raise Refusal("UNKNOWN-CTE", "A part's transfer encoding is unknown")
    if found < len(uids) and not by_uid and request.changed_since is None:
        return Reply("Some of the messages no longer exist", b"EXPUNGEISSUED")
    return Reply("FETCH completed")


async def fetch_new(session: Session, items: tuple[FetchItem, ...], uids: Sequence[int]) -> None:
    """FETCH responses that nobody asked for: of messages that have come (RFC 5465 section 5.2). Being told of a message
    is not reading it: \\Seen is not set."""
    peeking = tuple(
        replace(item, peek=True) if isinstance(item, BodySection | BinarySection) else item for item in items
    )
    plan = Plan(FetchRequest(SequenceSet(()), peeking), not session.uidonly)
    await _answer(session, plan, array("I", uids), None)


async def _answer(session: Session, plan: Plan, uids: array[int], changed_since: int | None) -> tuple[int, bool]:
    """The responses for messages of the view: how many were found, and whether a part could not be decoded."""
    selected = session.mailbox
    unknown_encoding = False
    found = 0
    for start in range(0, len(uids), ROWS):
        chunk = uids[start : start + ROWS]
        rows, values = await store.read(_read, selected.mailbox_id, chunk, plan, changed_since)
        found += len(rows)
        marked = await _mark_seen(selected, rows) if plan.sets_seen and selected.sets_seen else {}
        if plan.content is None:
            _respond_to_all(session, plan, rows)
            await session.flush()
            continue
        if plan.reads_text:
            _note_opened(session, [row[plan.content.id_at] for row in rows])
        while rows:
            if plan.content.is_large(rows[0]):
                unknown_encoding |= await _respond_in_chunks(
                    session, plan, plan.content, rows[0], marked.get(rows[0][_UID])
                )
                rows = rows[1:]
                values = await store.read(_contents, selected.mailbox_id, plan.content, rows) if rows else []
                continue
            for row, contents in zip(rows, values, strict=False):
                unknown_encoding |= _respond(session, plan, row, marked.get(row[_UID]), contents)
            await session.flush()
            rows = rows[len(values) :]
            values = await store.read(_contents, selected.mailbox_id, plan.content, rows) if rows else []
    return found, unknown_encoding


def _note_opened(session: Session, message_ids: Sequence[int]) -> None:
    if session.identity is not None:
        opener = Opener(session.identity.login, "IMAP", session.client_name, session.sink.peer_address)
        openings.note(session.mailbox.mailbox_id, message_ids, opener)


async def _mark_seen(selected: Selected, rows: Sequence[Row]) -> dict[int, FlagRow]:
    """Set \\Seen where it is not; the new marks by UID."""
    unseen = array("I", (row[_UID] for row in rows if not row[_FLAGS] & Flag.SEEN))
    if not unseen:
        return {}
    result = await store.call(
        store_flags, selected.owner_id, selected.mailbox_id, unseen, FlagChange.ADD, Flag.SEEN.value
    )
    selected.stored(result)
    return {row.uid: row for row in result.rows}


def _respond_to_all(session: Session, plan: Plan, rows: Sequence[Row]) -> None:
    """Queue the FETCH responses of rows whose columns say it all: one formatting for each, and none for its parts."""
    selected = session.mailbox
    template = plan.line(session.uidonly)
    numbers = selected.view.numbers_of([row[_UID] for row in rows])
    marks: dict[tuple[int, str, bool], bytes] = {}
    for number, row in zip(numbers, rows, strict=True):
        if not number:
            continue
        uid, flags, keywords, modseq = row[:4]
        line: list[Any] = [uid if session.uidonly else number]
        if plan.with_uid:
            line.append(uid)
        if plan.with_flags:
            mark = flags, keywords, selected.is_recent(uid)
            if mark not in marks:
                session.learn_keywords(keywords)
                marks[mark] = flags_text(*mark)
            line.append(marks[mark])
        if plan.with_modseq:
            line.append(modseq)
        for at, convert in plan.values:
            line.append(row[at] if convert is None else convert(row[at]))
        session.raw(template % tuple(line))


def _respond(session: Session, plan: Plan, row: Row, marked: FlagRow | None, contents: Sequence[Octets | None]) -> bool:
    """Queue one FETCH response; True where a part could not be decoded."""
    number = session.mailbox.view.number_of(row[_UID])
    if not number:
        return False
    items = _marks_and_columns(session, plan, row, marked)
    session.message_data(number, row[_UID], items, [value for value in contents if value is not None])
    return any(value is None for value in contents)


async def _respond_in_chunks(session: Session, plan: Plan, content: Content, row: Row, marked: FlagRow | None) -> bool:
    """Send one FETCH response with items of a large message, which is never whole in memory; True where a part could
    not be decoded."""
    number = session.mailbox.view.number_of(row[_UID])
    if not number:
        return False
    message = await store.read(_open, session.mailbox.mailbox_id, row[_UID], row[content.id_at])
    if message is None:
        return _respond(session, plan, row, marked, list(_write_items(content, row, None)))
    items = await asyncio.to_thread(large_items, content.items, message, row[content.parts_at])
    first = b" ".join(_marks_and_columns(session, plan, row, marked))
    session.raw(session.message_start(number, row[_UID]) + first)
    is_first = not first
    for item in items:
        if item is None:
            continue
        session.raw(b"" if is_first else b" ")
        is_first = False
        if isinstance(item, bytes):
            session.raw(item)
            continue
        session.raw(item.announcement)
        chunks = item.open()
        while chunk := await _next_chunk(chunks, message):
            session.raw(chunk)
            await session.flush()
    session.raw(b")\r\n")
    await session.flush()
    open_messages.give_back(message)
    return None in items


async def _next_chunk(chunks: Iterator[bytes], message: StoredMessage) -> bytes:
    """In the middle of a literal nothing can be said: when it cannot be read, the connection ends."""
    try:
        return await store.read(next, chunks, b"")
    except Exception:
        log.exception("message %d cannot be read to its end", message.message_id)
        raise ConnectionResetError from None


def _marks_and_columns(session: Session, plan: Plan, row: Row, marked: FlagRow | None) -> list[bytes]:
    selected = session.mailbox
    uid = row[_UID]
    # RFC 7162 section 3.2.4: marks that this FETCH made are told as all others are.
    items = [b"UID %d" % uid] if plan.with_uid or (marked is not None and session.tells_uids) else []
    flags, keywords, modseq = (
        (row[_FLAGS], row[_KEYWORDS], row[_MODSEQ])
        if marked is None
        else (marked.flags, marked.keywords, marked.modseq)
    )
    if plan.with_flags or marked is not None:
        if keywords:
            session.learn_keywords(keywords)
        items.append(b"FLAGS (%b)" % flags_text(flags, keywords, selected.is_recent(uid)))
    if plan.with_modseq or (marked is not None and session.condstore):
        items.append(b"MODSEQ (%d)" % modseq)
    if plan.values:
        items.append(plan.columns_text(row))
    return items


# ------------------------------------------------------------------ in a reader thread


def _read(
    mailbox_id: int, uids: Sequence[int], plan: Plan, changed_since: int | None
) -> tuple[list[Row], list[list[Octets | None]]]:
    """The rows of some messages, and the content items of the first of them."""
    rows = fetch_rows(mailbox_id, uids, plan.columns, changed_since, dates_as_held=True)
    if plan.content is None:
        return rows, [[]] * len(rows)
    return rows, _contents(mailbox_id, plan.content, rows)


def _contents(mailbox_id: int, content: Content, rows: Sequence[Row]) -> list[list[Octets | None]]:
    """The content items of as many rows as make up CONTENT_OCTETS, one at least. Raises `ContentDamaged`."""
    octets = taken = 0
    for row in rows:
        if taken and octets + row[content.size_at] > CONTENT_OCTETS:
            break
        octets += row[content.size_at]
        taken += 1
    group = rows[:taken]
    if taken == 1 and content.is_large(group[0]):
        return [[]]  # it is read as it is sent
    ids = [row[content.id_at] for row in group]
    if content.whole_only:
        with reading_content():
            halves = {pk: (header, body) for pk, header, body in read_halves(ids)}
        _require_content(mailbox_id, content, group, halves)
        return [[_whole(item, halves.get(row[content.id_at])) for item in content.items] for row in group]
    with reading_content():
        data = read_headers(ids) if content.headers_only else dict(read_messages(ids))
    _require_content(mailbox_id, content, group, data)
    return [list(_write_items(content, row, data.get(row[content.id_at]))) for row in group]


def _require_content(mailbox_id: int, content: Content, rows: Sequence[Row], found: Container[int]) -> None:
    """Only messages that were expunged a moment ago may be without octets."""
    for row in rows:
        if row[content.id_at] not in found and is_there(mailbox_id, row[_UID]):
            raise ContentDamaged("the content of a message is missing; the administrator can restore it")


def _open(mailbox_id: int, uid: int, message_id: int) -> StoredMessage | None:
    """None where the message was expunged a moment ago. Raises `ContentDamaged`."""
    with reading_content():
        message = open_messages.take(message_id)
    if message is None and is_there(mailbox_id, uid):
        raise ContentDamaged("the content of a message is missing; the administrator can restore it")
    return message


def _whole(item: FetchItem, halves: tuple[bytes, bytes] | None) -> Octets:
    assert isinstance(item, BodySection)
    if halves is None:
        return item.label + b" NIL"
    header, body = halves
    return item.label + b" {%d}\r\n" % (len(header) + len(body)), header, body


def _write_items(content: Content, row: Row, data: bytes | None) -> Iterator[bytes | None]:
    """Each content item's octets; None for one that cannot be decoded. ``data`` is None where the message
    was expunged a moment ago: its sections are NIL (RFC 2180 section 4.1.3)."""
    root = None
    if data is not None and not content.headers_only:
        root = mime.load_parts(row[content.parts_at])
    for item in content.items:
        if isinstance(item, BodySection):
            yield item.label + b" " + _nstring(data if data is None else _section(data, root, item))
        elif isinstance(item, Attribute):
            yield b"BODY NIL" if root is None or data is None else b"BODY " + bodystructure(data, root, False)
        else:
            yield _binary(data, root, item)


def _section(data: bytes, root: mime.Part | None, item: BodySection) -> bytes | None:
    header_only = item.what.startswith("HEADER")
    if root is None:
        value: bytes | None = data  # the header was all that was read
    else:
        value = mime.section(data, root, item.part, "HEADER" if header_only else item.what)
    if value is not None and item.fields:
        value = mime.header_fields(value, item.fields, item.what.endswith(".NOT"))
    return _cut(value, item.partial)


def _binary(data: bytes | None, root: mime.Part | None, item: FetchItem) -> bytes | None:
    """BINARY and BINARY.SIZE (RFC 3516 section 4.2); None where the transfer encoding is unknown."""
    assert isinstance(item, BinarySection | BinarySize)
    part = mime.find_part(root, item.part) if root is not None else None
    value: bytes | None = None
    if part is not None and data is not None:
        try:
            value = mime.decode_strict(data, part) if item.part else data
        except mime.UnknownEncoding:
            return None
    if isinstance(item, BinarySize):
        return item.label + b" %d" % len(value or b"")
    value = _cut(value, item.partial)
    if value is not None and b"\0" in value:
        return item.label + b" ~" + literal(value)
    return item.label + b" " + _nstring(value)


def _cut(value: bytes | None, partial: Partial | None) -> bytes | None:
    """partial: from an offset, at most so many octets."""
    if value is None or partial is None:
        return value
    offset, count = partial
    return value[offset : offset + count]


def _nstring(value: bytes | None) -> bytes:
    """NIL, or a literal.

    Deviation: a NUL in a stored message is sent as it is (RFC 9051 section 4.3 has no way to say it outside
    BINARY): messages are given back octet for octet.
    """
    return b"NIL" if value is None else literal(value)
