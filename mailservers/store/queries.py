"""Reading mail tables: short queries that return tuples and small frozen values, never model instances.

Call them through `store.read(query, ...)` on the event loop, or directly from a web view or a command. Every
query takes the owner; another owner's mailbox does not exist. Large answers are read in chunks by the caller.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import DateTimeField, Sum

from mailservers.models import Expunged, Mailbox, MailboxMessage, Message, Subscription
from mailservers.store.errors import NoSuchMailbox
from mailservers.store.flags import FlagRow
from mailservers.store.mailboxes import normal_name
from mailservers.store.removing import CHUNK
from mailservers.store.statements import fetch, marks


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox with its counters: STATUS and folder lists cost one such row a mailbox."""

    id: int
    owner_id: int
    name: str
    uid_validity: int
    uid_next: int
    highest_modseq: int
    special_use: str
    is_subscribed: bool
    messages: int
    unseen: int
    deleted: int
    size: int
    recent_uid: int
    keywords: str


mailbox_columns = tuple(MailboxRow.__dataclass_fields__)


def list_mailboxes(owner_id: int) -> list[MailboxRow]:
    """All mailboxes of a user, by name."""
    rows = Mailbox.objects.filter(owner_id=owner_id).order_by("name").values_list(*mailbox_columns)
    return [MailboxRow(*row) for row in rows]


def orphan_subscriptions(owner_id: int) -> list[str]:
    """Subscribed names without a mailbox."""
    names = Subscription.objects.filter(owner_id=owner_id).order_by("name")
    return list(names.values_list("name", flat=True))


def mailbox_by_name(owner_id: int, name: str) -> MailboxRow:
    """Raises `NoSuchMailbox`, `InvalidMailboxName`."""
    return _one(find_mailbox(owner_id, normal_name(name)))


def mailbox_by_id(owner_id: int, mailbox_id: int) -> MailboxRow:
    """Raises `NoSuchMailbox`."""
    return _one(_mailbox("owner_id = %s AND id = %s", owner_id, mailbox_id))


def find_mailbox(owner_id: int, name: str) -> MailboxRow | None:
    """By its normal name; None when there is none."""
    return _mailbox("owner_id = %s AND name = %s", owner_id, name)


def mailbox_by_use(owner_id: int, special_use: str) -> MailboxRow | None:
    """The mailbox for "\\\\Sent", "\\\\Drafts", "\\\\Trash", "\\\\Junk", "\\\\Archive"; None if there is none."""
    row = Mailbox.objects.filter(owner_id=owner_id, special_use=special_use).order_by("pk")
    first = row.values_list(*mailbox_columns).first()
    return None if first is None else MailboxRow(*first)


def _mailbox(where: str, *values: object) -> MailboxRow | None:
    """Building this with the ORM costs ten times what the database does, and every SELECT and STATUS asks it."""
    rows = fetch(f"SELECT {', '.join(mailbox_columns)} FROM mailservers_mailbox WHERE {where}", values)
    return MailboxRow(*rows[0]) if rows else None


def _one(row: MailboxRow | None) -> MailboxRow:
    if row is None:
        raise NoSuchMailbox("the mailbox does not exist")
    return row


def uids(mailbox_id: int, after: int = 0) -> array[int]:
    """The UIDs of a mailbox in order (4 octets each), those over `after`.

    For SELECT: read the `MailboxRow` first and take its highest_modseq as seen; what happens between the two
    reads then comes with the next `changes_since`."""
    select = "SELECT uid FROM mailservers_mailboxmessage WHERE mailbox_id = %s AND uid > %s ORDER BY uid"
    return array("I", [uid for (uid,) in fetch(select, (mailbox_id, after))])


def is_there(mailbox_id: int, uid: int) -> bool:
    return MailboxMessage.objects.filter(mailbox_id=mailbox_id, uid=uid).exists()


def first_unseen(mailbox_id: int) -> int | None:
    """The lowest UID without \\\\Seen."""
    select = "SELECT uid FROM mailservers_mailboxmessage WHERE mailbox_id = %s AND flags & 1 = 0 ORDER BY uid LIMIT 1"
    rows = fetch(select, (mailbox_id,))
    return rows[0][0] if rows else None


def deleted_octets(mailbox_id: int) -> int:
    """What an EXPUNGE would free (RFC 9208 section 4.1.4). Ask only where the mailbox counts deleted messages."""
    places = MailboxMessage.objects.filter(mailbox_id=mailbox_id)
    places = places.extra(where=["mailservers_mailboxmessage.flags & 8 <> 0"])
    return places.aggregate(octets=Sum("message__size"))["octets"] or 0


@dataclass(frozen=True, slots=True)
class ChangesSince:
    """What happened in a mailbox after a modseq. `rows`: new messages and new marks, by UID. `forgotten`: `expunged`
    lacks those that are not remembered any more; what is no longer there tells."""

    highest_modseq: int
    uid_next: int
    rows: list[FlagRow]
    expunged: list[int]
    forgotten: bool = False


def changes_since(mailbox_id: int, modseq: int) -> ChangesSince | None:
    """None when the mailbox is gone. What commits during the reading may come again with the next call."""
    select = "SELECT highest_modseq, uid_next, forgotten_modseq FROM mailservers_mailbox WHERE id = %s"
    head = next(iter(fetch(select, (mailbox_id,))), None)
    if head is None:
        return None
    if head[0] <= modseq:
        return ChangesSince(head[0], head[1], [], [])
    places = MailboxMessage.objects.filter(mailbox_id=mailbox_id, modseq__gt=modseq).order_by("uid")
    gone = Expunged.objects.filter(mailbox_id=mailbox_id, modseq__gt=modseq).order_by("uid")
    rows = [FlagRow(*row) for row in places.values_list("uid", "modseq", "flags", "keywords")]
    return ChangesSince(head[0], head[1], rows, list(gone.values_list("uid", flat=True)), modseq < head[2])


def marks_since(mailbox_id: int, modseq: int) -> list[FlagRow]:
    """The marks that came or changed after `modseq`."""
    places = MailboxMessage.objects.filter(mailbox_id=mailbox_id, modseq__gt=modseq)
    return [FlagRow(*row) for row in places.values_list("uid", "modseq", "flags", "keywords")]


def expunged_since(mailbox_id: int, modseq: int) -> list[int] | None:
    """UIDs expunged after `modseq` (QRESYNC's VANISHED); None where not all of them are remembered any more."""
    forgotten = Mailbox.objects.filter(pk=mailbox_id).values_list("forgotten_modseq", flat=True).first()
    if modseq < (forgotten or 0):
        return None
    gone = Expunged.objects.filter(mailbox_id=mailbox_id, modseq__gt=modseq).order_by("uid")
    return list(gone.values_list("uid", flat=True))


def fetch_rows(
    mailbox_id: int,
    wanted: Sequence[int],
    columns: Iterable[str],
    changed_since: int | None = None,
    *,
    dates_as_held: bool = False,
) -> list[tuple[Any, ...]]:
    """Rows of `columns` (of MailboxMessage, or `message__…`) in UID order, for UIDs sorted in rising order.

    A run without gaps costs one range query. Ask for chunks of about 500. `dates_as_held`: SQLite's are left the text
    that they are, in UTC."""
    if not wanted:
        return []
    names = tuple(columns)
    asked = names if "uid" in names else (*names, "uid")
    select, dates = _selection(asked, connections[DEFAULT_DB_ALIAS].vendor)
    since = "" if changed_since is None else f" AND p.modseq > {int(changed_since)}"
    if wanted[-1] - wanted[0] < 2 * len(wanted):
        between = (mailbox_id, wanted[0], wanted[-1])
        rows = fetch(f"{select} AND p.uid BETWEEN %s AND %s{since} ORDER BY p.uid", between)
        if wanted[-1] - wanted[0] + 1 != len(wanted):
            chosen, at = set(wanted), asked.index("uid")
            rows = [row for row in rows if row[at] in chosen]
    else:
        rows = []
        for start in range(0, len(wanted), CHUNK):
            some = wanted[start : start + CHUNK]
            rows += fetch(f"{select} AND p.uid IN ({marks(len(some))}){since} ORDER BY p.uid", (mailbox_id, *some))
    for at in () if dates_as_held else dates:
        rows = [(*row[:at], _moment(row[at]), *row[at + 1 :]) for row in rows]
    return rows if asked is names else [row[:-1] for row in rows]


@lru_cache(maxsize=64)
def _selection(columns: tuple[str, ...], vendor: str) -> tuple[str, tuple[int, ...]]:
    """The statement up to its mailbox, and which columns are dates that the database gives as text.

    Building it with the ORM, and rows through the ORM, cost three times what the rows themselves do."""
    names: list[str] = []
    dates: list[int] = []
    for at, column in enumerate(columns):
        table, model = ("m", Message) if column.startswith("message__") else ("p", MailboxMessage)
        field = next(f for f in model._meta.concrete_fields if f.attname == column.removeprefix("message__"))
        name = f'{table}."{field.column}"'
        if vendor == "sqlite" and isinstance(field, DateTimeField):
            name = f"CAST({name} AS TEXT)"  # as it is declared, Django would have it parsed by a regular expression
            dates.append(at)
        names.append(name)
    join = " JOIN mailservers_message m ON m.id = p.message_id" if any("m." in name for name in names) else ""
    return f"SELECT {', '.join(names)} FROM mailservers_mailboxmessage p{join} WHERE p.mailbox_id = %s", tuple(dates)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
