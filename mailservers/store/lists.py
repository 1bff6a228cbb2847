"""What message lists and the reader show: pages by key, single messages. Read-only, scoped to an owner.

A list is in falling order of (internal date, place id) and is paged by that key, never by offset: the condition
`internal_date <= x` next to the exact one lets the index `place_date` find the first row of a page at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet

from mailservers.models import Flag, MailboxMessage, Message
from mailservers.store.access import access_by_id
from mailservers.store.removing import CHUNK
from mailservers.store.threads import whole_threads

PAGE = 50  # rows
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


def open_message(user_id: int, mailbox_id: int, uid: int) -> OpenMessage | None:
    """A message of the user's own or in a mailbox that they may read; None when it is not (or no longer) there."""
    places = MailboxMessage.objects.filter(mailbox_id=mailbox_id, uid=uid)
    rows = places.values_list(*_ROW_COLUMNS, *_OPEN_COLUMNS)
    found = rows.filter(mailbox__owner_id=user_id).first()
    if found is None:
        access = access_by_id(user_id, mailbox_id)
        found = rows.first() if access is not None and "r" in access.rights else None
    if found is None:
        return None
    row, rest = found[: len(_ROW_COLUMNS)], found[len(_ROW_COLUMNS) :]
    *texts, parts = rest
    return OpenMessage(ListRow(*row), *texts, bytes(parts))  # type: ignore[call-arg]


def conversation(owner_id: int, place_id: int, limit: int) -> list[ListRow]:
    """The messages of the thread that one of the owner's own belongs to, each content once, the newest `limit` of them,
    the oldest first. Empty for another's message."""
    own = MailboxMessage.objects.filter(mailbox__owner_id=owner_id)
    thread_id = own.filter(pk=place_id).values_list("thread_id", flat=True).first()
    if thread_id is None:
        return []
    threads = whole_threads(owner_id, [thread_id])[thread_id]
    rows = _rows(own.filter(thread_id__in=threads).order_by("-internal_date", "-id")[: 2 * limit])
    rows.sort(key=lambda row: row.place_id == place_id)  # of copies the one that is open stands for all
    once = {row.message_id: row for row in rows}
    return sorted(once.values(), key=lambda row: (row.internal_date, row.place_id))[-limit:]


def largest(owner_id: int, limit: int) -> list[ListRow]:
    """The owner's largest messages, the largest first."""
    places = MailboxMessage.objects.filter(mailbox__owner_id=owner_id)
    return _rows(places.order_by("-message__size", "-id")[:limit])


def places_of_message_id(owner_id: int, message_id_field: str) -> list[tuple[int, int]]:
    """(mailbox id, UID) of each copy of the message with this Message-ID."""
    if not message_id_field:
        return []
    messages = Message.objects.filter(message_id=message_id_field).values_list("id", flat=True)[:100]
    places = MailboxMessage.objects.filter(message_id__in=list(messages), mailbox__owner_id=owner_id)
    return list(places.values_list("mailbox_id", "uid")[:100])


def rows_in_order(place_ids: Sequence[int]) -> list[ListRow]:
    """The rows of these places, in this order; those gone are missing."""
    found = {row.place_id: row for row in _rows(MailboxMessage.objects.filter(pk__in=place_ids))}
    return [found[pk] for pk in place_ids if pk in found]
