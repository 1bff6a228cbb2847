"""Expunging, and forgetting contents that no mailbox and no queue holds any more."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db import connection

from mailservers.models import (
    DeletedMessage,
    Expunged,
    Flag,
    MailboxMessage,
    Message,
    MessageData,
    MessageText,
    MessageVerdict,
    QueuedMessage,
    ReceivedReport,
)
from mailservers.store.content import remove_file
from mailservers.store.placing import MailboxState, lock_mailbox, save_mailboxes
from mailservers.store.transaction import Transaction

CHUNK = 500  # values in one IN (...)


def expunge(
    tx: Transaction,
    owner_id: int,
    mailbox_id: int,
    uids: Sequence[int] | None = None,
    *,
    deleted_only: bool = True,
    keep: bool = True,
) -> tuple[int, list[int]]:
    """Remove messages: those with \\Deleted, among `uids` if given. `deleted_only` False removes every one of `uids`
    (the webmail's and POP3's delete). The mailbox's modseq afterwards and the UIDs removed.

    For UNDELETE_DAYS the owner can have them back; not with `keep` False (older versions of a draft)."""
    state = lock_mailbox(owner_id, mailbox_id)
    gone = remove_places(tx, state, select_places(mailbox_id, uids, deleted_only=deleted_only), keep=keep)
    save_mailboxes(tx, [state])
    return state.modseq, gone


Place = tuple[int, int, int, int]  # uid, message id, flags, size


def select_places(mailbox_id: int, uids: Sequence[int] | None, *, deleted_only: bool = False) -> list[Place]:
    """Rows to work on, in UID order; UIDs that are not there are passed over."""
    places = MailboxMessage.objects.filter(mailbox_id=mailbox_id).order_by("uid")
    if deleted_only:  # bit test without a database-specific operator in the filter
        places = places.extra(where=["mailservers_mailboxmessage.flags & %s <> 0"], params=[Flag.DELETED.value])
    columns = ("uid", "message_id", "flags", "message__size")
    if uids is None:
        return list(places.values_list(*columns))
    rows: list[Place] = []
    wanted = sorted(set(uids))
    for start in range(0, len(wanted), CHUNK):
        rows += places.filter(uid__in=wanted[start : start + CHUNK]).values_list(*columns)
    return rows


def remove_places(tx: Transaction, state: MailboxState, places: Sequence[Place], *, keep: bool) -> list[int]:
    """Take rows out of a locked mailbox, remember their UIDs as expunged; `keep` them restorable, or forget
    contents that nothing holds any more."""
    if not places:
        return []
    modseq = state.advance()
    uids = [uid for uid, *_ in places]
    is_kept = keep and keep_places(tx, state.id, uids)
    for start in range(0, len(uids), CHUNK):
        MailboxMessage.objects.filter(mailbox_id=state.id, uid__in=uids[start : start + CHUNK]).delete()
    Expunged.objects.bulk_create(
        (Expunged(mailbox_id=state.id, uid=uid, modseq=modseq) for uid in uids), batch_size=CHUNK
    )
    for _, _, flags, size in places:
        state.count(flags, size, -1)
    if not is_kept:
        forget_messages(tx, [message_id for _, message_id, _, _ in places])
    return uids


_KEEP = """
    INSERT INTO mailservers_deletedmessage
        (owner_id, message_id, mailbox_name, flags, keywords, internal_date, deleted_at, clock_s)
    SELECT b.owner_id, p.message_id, b.name, p.flags, p.keywords, p.internal_date, %s,
        COALESCE((SELECT elapsed_s FROM mailservers_retentionclock WHERE id = 1), 0)
    FROM mailservers_mailboxmessage p JOIN mailservers_mailbox b ON b.id = p.mailbox_id
    WHERE p.mailbox_id = %s AND p.uid IN ({}) ORDER BY p.uid
"""


def keep_places(tx: Transaction, mailbox_id: int, uids: Sequence[int]) -> bool:
    """Note places that are about to go as deleted, to be restored from; False when that is turned off."""
    if settings.UNDELETE_DAYS <= 0:
        return False
    now = connection.ops.adapt_datetimefield_value(tx.now)
    with connection.cursor() as cursor:
        for start in range(0, len(uids), CHUNK):
            chunk = uids[start : start + CHUNK]
            cursor.execute(_KEEP.format(", ".join(["%s"] * len(chunk))), [now, mailbox_id, *chunk])
    return True


def forget_messages(tx: Transaction, message_ids: Sequence[int]) -> None:
    """Delete those contents that nothing refers to any more; their files go after the commit."""
    wanted = sorted(set(message_ids))
    for start in range(0, len(wanted), CHUNK):
        ids = set(wanted[start : start + CHUNK])
        ids -= set(MailboxMessage.objects.filter(message_id__in=ids).values_list("message_id", flat=True))
        ids -= set(DeletedMessage.objects.filter(message_id__in=ids).values_list("message_id", flat=True))
        ids -= set(QueuedMessage.objects.filter(message_id__in=ids).values_list("message_id", flat=True))
        if ids:
            ids -= set(ReceivedReport.objects.filter(message_id__in=ids).values_list("message_id", flat=True))
        if not ids:
            continue
        data = MessageData.objects.filter(pk__in=ids)
        for name in data.exclude(file="").values_list("file", flat=True):
            tx.after_commit.append(lambda name=name: remove_file(name))  # type: ignore[misc]
        MessageText.objects.filter(pk__in=ids).update(is_gone=True)  # store.searching takes them out of the index
        data._raw_delete(data.db)  # nothing cascades from here
        verdicts = MessageVerdict.objects.filter(pk__in=ids)
        verdicts._raw_delete(verdicts.db)
        messages = Message.objects.filter(pk__in=ids)
        messages._raw_delete(messages.db)  # checked above what refers to them
