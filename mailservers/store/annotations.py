"""Annotations of mailboxes and of the server (RFC 5464): small values under names like "/private/comment".

A row belongs to a mailbox, or to the server (`mailbox` null); and to a user (/private), or to all (/shared, `user`
null). Names are kept in lower case. "/private/specialuse" is no row: it is the mailbox's special use (RFC 6154 4).
Rows go with their mailbox, stay with it when it is renamed, and are copied when INBOX is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db.models import QuerySet

from mailservers.models import OUTBOX_USE, Annotation, Mailbox
from mailservers.store.errors import AnnotationTooLarge, NoSuchMailbox, SpecialUseRefused, TooManyAnnotations
from mailservers.store.transaction import Transaction

MAX_VALUE_OCTETS = 32 * 1024  # a literal may have twice as many
MAX_ANNOTATIONS = 100  # of one mailbox or of the server, private or shared
SPECIAL_USE = "/private/specialuse"
SETTABLE_USES = ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")

Key = tuple[int | None, str]  # mailbox id (None: the server), entry


def annotation_names(user_id: int, mailbox_id: int | None) -> list[str]:
    """The entries that a user sees at a mailbox, or at the server."""
    return sorted(_visible(user_id, mailbox_id).values_list("entry", flat=True))


def annotation_values(user_id: int, mailbox_id: int | None, entries: Iterable[str]) -> dict[str, bytes]:
    """The values of those of the entries that are there."""
    rows = _visible(user_id, mailbox_id).filter(entry__in=list(entries))
    return {entry: bytes(value) for entry, value in rows.values_list("entry", "value")}


def annotations_of(user_id: int, mailbox_ids: list[int], entries: Iterable[str]) -> list[tuple[int, str, bytes]]:
    """(mailbox, entry, value) of those that are there and that the user sees."""
    wanted = Annotation.objects.filter(mailbox_id__in=mailbox_ids, entry__in=list(entries))
    rows = (wanted.filter(user_id=user_id) | wanted.filter(user=None)).values_list("mailbox_id", "entry", "value")
    return [(mailbox_id, entry, bytes(value)) for mailbox_id, entry, value in rows]


def annotation_versions(user_id: int, mailbox_ids: Iterable[int]) -> dict[Key, int]:
    """When each annotation that the user sees, at the server and at these mailboxes, was last changed: what differs
    from an earlier look has changed."""
    mine = Annotation.objects.filter(user_id=user_id) | Annotation.objects.filter(user=None, mailbox=None)
    shared = Annotation.objects.filter(user=None, mailbox_id__in=list(mailbox_ids))
    columns = ("mailbox_id", "entry", "changed_us")
    return {
        (mailbox_id, entry): at
        for mailbox_id, entry, at in (*mine.values_list(*columns), *shared.values_list(*columns))
    }


def set_annotations(
    tx: Transaction, user_id: int, owner_id: int, mailbox_id: int | None, changes: Mapping[str, bytes | None]
) -> None:
    """All of them or none; None removes. `owner_id` is the mailbox's. Who may set what is the caller's to know.

    Raises `NoSuchMailbox`, `AnnotationTooLarge`, `TooManyAnnotations`, `SpecialUseRefused`."""
    if any(value is not None and len(value) > MAX_VALUE_OCTETS for value in changes.values()):
        raise AnnotationTooLarge(f"an annotation can have {MAX_VALUE_OCTETS} octets")
    # The lock orders changes, and a mailbox that goes takes no new rows.
    mine = Mailbox.objects.select_for_update().filter(pk__in=[mailbox_id], owner_id=owner_id)
    if mailbox_id is not None and mine.values_list("pk").first() is None:
        raise NoSuchMailbox("the mailbox does not exist")
    now_us = int(tx.now.timestamp() * 1_000_000)
    for entry, value in changes.items():
        if mailbox_id is not None and entry == SPECIAL_USE:
            if owner_id != user_id:
                raise SpecialUseRefused("another user's mailbox has no special use")
            _set_special_use(user_id, mailbox_id, value)
        else:
            _set(_group(user_id, mailbox_id, entry), user_id, mailbox_id, entry, value, now_us)
    tx.folders_changed(owner_id)


def _set(
    rows: QuerySet[Annotation], user_id: int, mailbox_id: int | None, entry: str, value: bytes | None, now_us: int
) -> None:
    row = rows.filter(entry=entry).first()
    if value is None:
        if row is not None:
            row.delete()
    elif row is not None:
        row.value, row.changed_us = value, max(row.changed_us + 1, now_us)
        row.save(update_fields=["value", "changed_us"])
    elif rows.count() >= MAX_ANNOTATIONS:
        raise TooManyAnnotations(f"there can be {MAX_ANNOTATIONS} annotations")
    else:
        owner = user_id if entry.startswith("/private/") else None
        Annotation.objects.create(user_id=owner, mailbox_id=mailbox_id, entry=entry, value=value, changed_us=now_us)


def _group(user_id: int, mailbox_id: int | None, entry: str) -> QuerySet[Annotation]:
    """The rows that an entry is one of: private or shared, of one mailbox or of the server."""
    rows = _at(mailbox_id)
    return rows.filter(user_id=user_id) if entry.startswith("/private/") else rows.filter(user=None)


def _at(mailbox_id: int | None) -> QuerySet[Annotation]:
    if mailbox_id is None:
        return Annotation.objects.filter(mailbox=None)
    return Annotation.objects.filter(mailbox_id=mailbox_id)


def _visible(user_id: int, mailbox_id: int | None) -> QuerySet[Annotation]:
    rows = _at(mailbox_id)
    return rows.filter(user_id=user_id) | rows.filter(user=None)


def _set_special_use(owner_id: int, mailbox_id: int, value: bytes | None) -> None:
    """As CREATE checks it: a use that we know, and that no other mailbox has."""
    wanted = (value or b"").decode("ascii", "replace").split()
    spelling = {use.lower(): use for use in SETTABLE_USES}
    if len(wanted) > 1 or any(use.lower() not in spelling for use in wanted):
        raise SpecialUseRefused("that special use is not supported")
    use = spelling[wanted[0].lower()] if wanted else ""
    own = Mailbox.objects.filter(owner_id=owner_id)
    if use and own.filter(pk=mailbox_id, name="INBOX").exists():
        raise SpecialUseRefused("INBOX has no special use")
    if own.filter(pk=mailbox_id, special_use=OUTBOX_USE).exists():
        raise SpecialUseRefused("the Outbox keeps its use")
    if use and own.filter(special_use=use).exclude(pk=mailbox_id).exists():
        raise SpecialUseRefused("another mailbox has that special use")
    own.filter(pk=mailbox_id).update(special_use=use)


def copy_annotations(source_id: int, target_id: int) -> None:
    """RFC 5464 4.1: INBOX keeps its annotations when it is renamed, and the new mailbox has them, too."""
    rows = Annotation.objects.filter(mailbox_id=source_id)
    Annotation.objects.bulk_create(
        Annotation(
            user_id=row.user_id, mailbox_id=target_id, entry=row.entry, value=row.value, changed_us=row.changed_us
        )
        for row in rows
    )
