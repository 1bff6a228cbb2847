"""Mending what `soundness` and `deep` find, where the truth is still there. Each step is one transaction.

Counters are counted anew from what is there; UIDNEXT and HIGHESTMODSEQ only ever rise; contents that nothing refers to
are forgotten; damaged octets are replaced by whole ones from a backup, proved by their digest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Q, Sum

from accounts.models import Domain
from mailservers.models import (
    DomainUsage,
    Expunged,
    Mailbox,
    MailboxMessage,
    Message,
    MessageData,
    QueuedMessage,
    Usage,
)
from mailservers.store.bodies import are_bodies_held, remove_body
from mailservers.store.content import NewMessage, prepare
from mailservers.store.engine import store
from mailservers.store.placing import lock_mailboxes
from mailservers.store.quota import count_domain, lock_accounts
from mailservers.store.removing import forget_messages
from mailservers.store.soundness import remove_left_over_bodies
from mailservers.store.transaction import Transaction

Fetch = Callable[[bytes], bytes | None]  # a message's octets by SHA-256


def mend() -> list[str]:
    """All that needs no backup; what was done, as sentences."""
    done = []
    for what, operation in (
        ("mailbox was counted anew", _recount_mailboxes),
        ("user's usage was counted anew", _recount_usage),
        ("UID that is in use was taken from the expunged ones", _forget_false_expunges),
        ("queue entry without recipients was removed", _remove_empty_queue_entries),
        ("content that nothing refers to was removed", _remove_orphans),
    ):
        count = store.call_sync(operation)
        if count:
            done.append(f"{count} × {what}")
    count = 0 if are_bodies_held() else remove_left_over_bodies()
    return done + ([f"{count} × left-over file was removed"] if count else [])


def refill(message_id: int, sha256: bytes, fetch: Fetch) -> bool:
    """Replace a message's octets by those of a backup; False when it has none."""
    octets = fetch(sha256)
    if octets is None:
        return False
    message = prepare(octets)
    return message.summary.sha256 == sha256 and store.call_sync(_replace, message_id, message)


def _replace(tx: Transaction, message_id: int, message: NewMessage) -> bool:
    if not Message.objects.filter(pk=message_id).exists():
        remove_body(message.file)
        return False
    old = MessageData.objects.filter(pk=message_id).values_list("file", flat=True).first()
    if old:
        tx.after_commit.append(partial(remove_body, old))
    MessageData.objects.update_or_create(
        pk=message_id, defaults={"header": message.header, "body": message.body, "file": message.file}
    )
    return True


def _recount_mailboxes(tx: Transaction) -> int:
    lock_mailboxes(Mailbox.objects.values_list("pk", flat=True))
    counted: dict[int, Any] = {
        row["mailbox"]: row
        for row in MailboxMessage.objects.values("mailbox").annotate(
            messages=Count("id"), size=Sum("message__size"), uid=Max("uid"), modseq=Max("modseq")
        )
    }
    gone: dict[int, Any] = {
        row["mailbox"]: row for row in Expunged.objects.values("mailbox").annotate(uid=Max("uid"), m=Max("modseq"))
    }
    unseen, deleted = _marked("flags & 1 = 0"), _marked("flags & 8 <> 0")
    changed = 0
    for box in Mailbox.objects.order_by("pk"):
        row, lost = counted.get(box.pk, {}), gone.get(box.pk, {})
        truth = {
            "messages": row.get("messages", 0),
            "size": row.get("size") or 0,
            "unseen": unseen.get(box.pk, 0),
            "deleted": deleted.get(box.pk, 0),
            "uid_next": max(box.uid_next, row.get("uid", 0) + 1, lost.get("uid", 0) + 1),
            "highest_modseq": max(box.highest_modseq, row.get("modseq", 0), lost.get("m", 0)),
        }
        if any(getattr(box, name) != value for name, value in truth.items()):
            Mailbox.objects.filter(pk=box.pk).update(**truth)
            tx.changed(box.owner_id, box.pk, truth["highest_modseq"])
            changed += 1
    return changed


def _marked(condition: str) -> dict[int, int]:
    places = MailboxMessage.objects.extra(where=[f"mailservers_mailboxmessage.{condition}"])
    return {row["mailbox"]: row["n"] for row in places.values("mailbox").annotate(n=Count("id"))}


def _recount_usage(tx: Transaction) -> int:
    owners = set(Mailbox.objects.values_list("owner_id", flat=True)) | set(Usage.objects.values_list("pk", flat=True))
    accounts = lock_accounts(owners)
    sums = {
        row["owner"]: (row["o"], row["m"])
        for row in Mailbox.objects.values("owner").annotate(o=Sum("size"), m=Sum("messages"))
    }
    changed = 0
    for owner_id, account in accounts.items():
        octets, messages = sums.get(owner_id, (0, 0))
        if (account.own.octets, account.own.messages) != (octets, messages):
            Usage.objects.filter(pk=owner_id).update(octets=octets, messages=messages)
            changed += 1
    limited = Domain.objects.filter(Q(quota_octets__gt=0) | Q(quota_messages__gt=0)).select_for_update()
    for domain_id in sorted(limited.values_list("pk", flat=True)):
        before = DomainUsage.objects.filter(pk=domain_id).values_list("octets", "messages").first()
        changed += before != count_domain(domain_id)
    return changed


def _forget_false_expunges(tx: Transaction) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM mailservers_expunged WHERE EXISTS (SELECT 1 FROM mailservers_mailboxmessage m"
            " WHERE m.mailbox_id = mailservers_expunged.mailbox_id AND m.uid = mailservers_expunged.uid)"
        )
        return cursor.rowcount


def _remove_empty_queue_entries(tx: Transaction) -> int:
    empty = list(QueuedMessage.objects.filter(recipients=None).values_list("pk", "message_id"))
    QueuedMessage.objects.filter(pk__in=[pk for pk, _ in empty]).delete()
    forget_messages(tx, [message_id for _, message_id in empty])
    return len(empty)


def _remove_orphans(tx: Transaction) -> int:
    orphans = list(
        Message.objects.filter(places=None, queued=None, deleted=None, reports=None).values_list("pk", flat=True)
    )
    forget_messages(tx, orphans)
    return len(orphans)
