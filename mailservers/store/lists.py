"""What message lists and the reader show: pages by key, single messages, search. Read-only, scoped to an owner.

A list is in falling order of (internal date, place id) and is paged by that key, never by offset: the condition
`internal_date <= x` next to the exact one lets the index `place_date` find the first row of a page at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from mailservers.formats.mime import load_parts
from mailservers.formats.text import message_texts
from mailservers.models import Flag, Mailbox, MailboxMessage, Message
from mailservers.store.content import read_messages
from mailservers.store.removing import CHUNK

PAGE = 50  # rows
SEARCH_LIMIT = 200  # results
SCANNED_MESSAGES = 300  # the newest ones in scope, whose whole text is searched
SCANNED_OCTETS = 2 * 1024 * 1024  # a larger message is not scanned
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Key:
    """Where a row stands in its list; written `microseconds-id` in addresses."""

    internal_date: datetime
    place_id: int

    def __str__(self) -> str:
        return f"{(self.internal_date - _EPOCH) // timedelta(microseconds=1)}-{self.place_id}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """Raises ValueError."""
        microseconds, _, place_id = text.partition("-")
        try:
            return cls(_EPOCH + timedelta(microseconds=int(microseconds)), int(place_id))
        except OverflowError:
            raise ValueError("no date") from None


@dataclass(frozen=True, slots=True)
class ListRow:
    """One line of a message list."""

    place_id: int
    mailbox_id: int
    uid: int
    modseq: int
    flags: int
    keywords: str
    internal_date: datetime
    message_id: int
    size: int
    subject: str
    from_name: str
    from_address: str
    to: str
    preview: str
    has_attachment: bool

    @property
    def key(self) -> Key:
        return Key(self.internal_date, self.place_id)

    @property
    def is_seen(self) -> bool:
        return bool(self.flags & Flag.SEEN)

    @property
    def is_flagged(self) -> bool:
        return bool(self.flags & Flag.FLAGGED)

    @property
    def is_answered(self) -> bool:
        return bool(self.flags & Flag.ANSWERED)

    @property
    def is_draft(self) -> bool:
        return bool(self.flags & Flag.DRAFT)

    @property
    def is_forwarded(self) -> bool:
        return "$forwarded" in self.keywords.lower().split()


_ROW_COLUMNS = (
    "id",
    "mailbox_id",
    "uid",
    "modseq",
    "flags",
    "keywords",
    "internal_date",
    "message_id",
    "message__size",
    "message__subject",
    "message__from_name",
    "message__from_address",
    "message__to",
    "message__preview",
    "message__has_attachment",
)


@dataclass(frozen=True, slots=True)
class Marks:
    """Only rows with these marks; None does not ask."""

    seen: bool | None = None
    flagged: bool | None = None

    def fits(self, row: ListRow) -> bool:
        return self.seen in (None, row.is_seen) and self.flagged in (None, row.is_flagged)


NO_MARKS = Marks()


def page(mailbox_id: int, before: Key | None = None, marks: Marks = NO_MARKS, limit: int = PAGE) -> list[ListRow]:
    """The newest rows of a mailbox, or those after `before` in the list; one query. The caller owns the mailbox."""
    places = _with_marks(MailboxMessage.objects.filter(mailbox_id=mailbox_id), marks)
    if before is not None:
        places = places.filter(internal_date__lte=before.internal_date).filter(
            Q(internal_date__lt=before.internal_date) | Q(internal_date=before.internal_date, id__lt=before.place_id)
        )
    return _rows(places.order_by("-internal_date", "-id")[:limit])


def rows_of(mailbox_id: int, uids: Sequence[int]) -> list[ListRow]:
    """The rows with these UIDs, newest first."""
    places = MailboxMessage.objects.filter(mailbox_id=mailbox_id, uid__in=uids[:CHUNK])
    return _rows(places.order_by("-internal_date", "-id"))


def _with_marks(places: QuerySet[MailboxMessage], marks: Marks) -> QuerySet[MailboxMessage]:
    for wanted, bit in ((marks.seen, Flag.SEEN), (marks.flagged, Flag.FLAGGED)):
        if wanted is not None:
            places = places.extra(
                where=[f"mailservers_mailboxmessage.flags & %s {'<>' if wanted else '='} 0"], params=[bit.value]
            )
    return places


def _rows(places: QuerySet[MailboxMessage]) -> list[ListRow]:
    return [ListRow(*row) for row in places.values_list(*_ROW_COLUMNS)]


# ---------------------------------------------------------------- one message


@dataclass(frozen=True, slots=True)
class OpenMessage:
    """A message with what the reader needs besides its octets."""

    row: ListRow
    cc: str
    date: datetime | None
    message_id_field: str
    in_reply_to: str
    references: str
    parts: bytes


_OPEN_COLUMNS = (
    "message__cc",
    "message__date",
    "message__message_id",
    "message__in_reply_to",
    "message__references",
    "message__parts",
)


def open_message(owner_id: int, mailbox_id: int, uid: int) -> OpenMessage | None:
    """A message of this owner; None when it is not (or no longer) there."""
    places = MailboxMessage.objects.filter(mailbox_id=mailbox_id, mailbox__owner_id=owner_id, uid=uid)
    found = places.values_list(*_ROW_COLUMNS, *_OPEN_COLUMNS).first()
    if found is None:
        return None
    row, rest = found[: len(_ROW_COLUMNS)], found[len(_ROW_COLUMNS) :]
    *texts, parts = rest
    return OpenMessage(ListRow(*row), *texts, bytes(parts))  # type: ignore[call-arg]


def places_of_message_id(owner_id: int, message_id_field: str) -> list[tuple[int, int]]:
    """(mailbox id, UID) of each copy of the message with this Message-ID."""
    if not message_id_field:
        return []
    messages = Message.objects.filter(message_id=message_id_field).values_list("id", flat=True)[:100]
    places = MailboxMessage.objects.filter(message_id__in=list(messages), mailbox__owner_id=owner_id)
    return list(places.values_list("mailbox_id", "uid")[:100])


# ---------------------------------------------------------------- search


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """All of them must match. `words` are looked for in addresses, subject, preview and text."""

    words: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    marks: Marks = NO_MARKS
    has_attachment: bool = False
    since: date | None = None
    before: date | None = None

    def __bool__(self) -> bool:
        return self != SearchTerms()


@dataclass(frozen=True, slots=True)
class Found:
    """`is_cut`: there are more matches than SEARCH_LIMIT. `scanned`: messages whose whole text was searched;
    `scope`: messages that could have been."""

    rows: list[ListRow]
    is_cut: bool
    scanned: int
    scope: int


def search(owner_id: int, terms: SearchTerms, mailbox_ids: Iterable[int] | None = None) -> Found:
    """Newest matches first, in all of the owner's mailboxes or some of them."""
    scope = Mailbox.objects.filter(owner_id=owner_id)
    if mailbox_ids is not None:
        scope = scope.filter(id__in=list(mailbox_ids))
    boxes = dict(scope.values_list("id", "messages"))
    places = _with_marks(MailboxMessage.objects.filter(mailbox_id__in=list(boxes)), terms.marks)
    places = places.filter(_operators(terms)).order_by("-internal_date", "-id")
    by_columns = places.filter(*(_anywhere(word) for word in terms.words))
    rows = _rows(by_columns[: SEARCH_LIMIT + 1])
    scanned = 0
    if terms.words and len(rows) <= SEARCH_LIMIT:
        more, scanned = _scan(places, terms.words, {row.place_id for row in rows})
        rows = sorted([*rows, *more], key=lambda row: (row.internal_date, row.place_id), reverse=True)
    return Found(rows[:SEARCH_LIMIT], len(rows) > SEARCH_LIMIT, scanned, sum(boxes.values()))


def _operators(terms: SearchTerms) -> Q:
    condition = Q()
    for text in terms.senders:
        condition &= _contains("message__from_name", text) | _contains("message__from_address", text)
    for text in terms.recipients:
        condition &= _contains("message__to", text) | _contains("message__cc", text)
    for text in terms.subjects:
        condition &= _contains("message__subject", text)
    if terms.has_attachment:
        condition &= Q(message__has_attachment=True)
    if terms.since:
        condition &= Q(internal_date__gte=datetime.combine(terms.since, time(), UTC))
    if terms.before:
        condition &= Q(internal_date__lt=datetime.combine(terms.before, time(), UTC))
    return condition


_WORD_COLUMNS = (
    "message__subject",
    "message__from_name",
    "message__from_address",
    "message__to",
    "message__cc",
    "message__preview",
)


def _anywhere(word: str) -> Q:
    condition = Q()
    for column in _WORD_COLUMNS:
        condition |= _contains(column, word)
    return condition


def _contains(column: str, text: str) -> Q:
    """Without regard to case; SQLite folds only ASCII, so other text is looked for in its usual spellings."""
    condition = Q(**{f"{column}__icontains": text})
    if not text.isascii():
        for spelling in {text.lower(), text.upper(), text.title(), text.capitalize()} - {text}:
            condition |= Q(**{f"{column}__contains": spelling})
    return condition


def _scan(places: QuerySet[MailboxMessage], words: Sequence[str], known: set[int]) -> tuple[list[ListRow], int]:
    """Rows among the newest ones whose whole text has the words; how many messages were looked through."""
    newest = places.filter(message__size__lte=SCANNED_OCTETS)[:SCANNED_MESSAGES]
    rows = [row for row in _rows(newest) if row.place_id not in known]
    trees: dict[int, Any] = dict(
        Message.objects.filter(id__in={row.message_id for row in rows}).values_list("id", "parts")
    )
    folded = [word.casefold() for word in words]
    fits: set[int] = set()
    for message_id, raw in read_messages(list(trees)):
        row = next(row for row in rows if row.message_id == message_id)
        listed = "\n".join((row.subject, row.from_name, row.from_address, row.to))
        text = "\n".join((listed, *message_texts(raw, load_parts(bytes(trees[message_id]))))).casefold()
        if all(word in text for word in folded):
            fits.add(message_id)
    return [row for row in rows if row.message_id in fits], len(rows) + len(known)
