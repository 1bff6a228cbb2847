"""Proving the store's invariants: what `manage.py check` prints and every store test ends with.

Each fault is one sentence that names the row. Reads only; on a live server rows written meanwhile may show up as
faults that a second look does not confirm, so `find_faults` runs in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.db import connection, transaction
from django.db.models import Count, F, Max, Q, Sum

from mailservers.models import (
    OUTBOX_USE,
    DomainUsage,
    Expunged,
    Mailbox,
    MailboxMessage,
    Message,
    MessageData,
    QueuedMessage,
    Usage,
)
from mailservers.store.bodies import bodies
from mailservers.store.searching.texts import find_text_faults
from mailservers.store.threads import find_thread_faults

LEFT_OVER_AFTER_S = 3600.0  # a younger file that no message names may belong to a transaction still under way
_SEEN = "mailservers_mailboxmessage.flags & 1"
_DELETED = "mailservers_mailboxmessage.flags & 8"


def find_faults() -> Iterator[str]:
    """Every broken invariant, as a sentence."""
    with transaction.atomic():
        yield from _counters()
        yield from _usage()
        yield from _numbers()
        yield from _orphans()
        yield from _outbox()
        yield from _files()
        yield from find_thread_faults()
        yield from find_text_faults()


def _counters() -> Iterator[str]:
    counted = {
        row["mailbox"]: row
        for row in MailboxMessage.objects.values("mailbox").annotate(
            messages=Count("id"), size=Sum("message__size"), uid=Max("uid"), modseq=Max("modseq")
        )
    }
    unseen = _count_where(f"{_SEEN} = 0")
    deleted = _count_where(f"{_DELETED} <> 0")
    empty = {"messages": 0, "size": 0, "uid": 0, "modseq": 0}
    for box in Mailbox.objects.iterator():
        row = counted.get(box.pk, empty)
        truth = (row["messages"], row["size"], unseen.get(box.pk, 0), deleted.get(box.pk, 0))
        kept = (box.messages, box.size, box.unseen, box.deleted)
        if truth != kept:
            yield f"mailbox {box.pk}: counters (messages, octets, unseen, deleted) are {kept}, counted {truth}"
        if row["uid"] >= box.uid_next:
            yield f"mailbox {box.pk}: UID {row['uid']} is in use but UIDNEXT is {box.uid_next}"
        if row["modseq"] > box.highest_modseq:
            yield f"mailbox {box.pk}: a message has modseq {row['modseq']} over {box.highest_modseq}"


def _usage() -> Iterator[str]:
    held = {
        row["owner"]: (row["o"], row["m"])
        for row in Mailbox.objects.values("owner").annotate(o=Sum("size"), m=Sum("messages"))
    }
    kept = {pk: (octets, messages) for pk, octets, messages in Usage.objects.values_list("pk", "octets", "messages")}
    for owner_id in sorted(held.keys() | kept.keys()):
        truth, usage = held.get(owner_id, (0, 0)), kept.get(owner_id, (0, 0))
        if truth != usage:
            yield f"user {owner_id}: usage (octets, messages) is {usage}, the mailboxes hold {truth}"
    domains = Usage.objects.values("owner__domain").annotate(o=Sum("octets"), m=Sum("messages"))
    sums = {row["owner__domain"]: (row["o"], row["m"]) for row in domains}
    for domain_id, octets, messages in DomainUsage.objects.values_list("pk", "octets", "messages"):
        truth = sums.get(domain_id, (0, 0))
        if (octets, messages) != truth:
            yield f"domain {domain_id}: usage (octets, messages) is {(octets, messages)}, its users hold {truth}"


def _count_where(condition: str) -> dict[int, int]:
    places = MailboxMessage.objects.extra(where=[condition]).values("mailbox").annotate(n=Count("id"))
    return {row["mailbox"]: row["n"] for row in places}


def _numbers() -> Iterator[str]:
    for row in Expunged.objects.filter(modseq__gt=F("mailbox__highest_modseq")).select_related("mailbox")[:100]:
        yield f"mailbox {row.mailbox_id}: expunged UID {row.uid} has modseq {row.modseq} over the mailbox's"
    for row in Expunged.objects.filter(uid__gte=F("mailbox__uid_next"))[:100]:
        yield f"mailbox {row.mailbox_id}: expunged UID {row.uid} was never given out"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.mailbox_id, e.uid FROM mailservers_expunged e JOIN mailservers_mailboxmessage m"
            " ON m.mailbox_id = e.mailbox_id AND m.uid = e.uid LIMIT 100"
        )
        for mailbox_id, uid in cursor.fetchall():
            yield f"mailbox {mailbox_id}: UID {uid} was expunged and is there again"


def _orphans() -> Iterator[str]:
    for pk in Message.objects.filter(places=None, queued=None, deleted=None, reports=None).values_list("pk", flat=True)[
        :100
    ]:
        yield f"message {pk}: nothing refers to it"
    for pk in Message.objects.filter(data=None).values_list("pk", flat=True)[:100]:
        yield f"message {pk}: its octets are missing"
    for pk in QueuedMessage.objects.filter(recipients=None).values_list("pk", flat=True)[:100]:
        yield f"queued message {pk}: it has no recipients"


def _outbox() -> Iterator[str]:
    """What is in an Outbox waits to be sent, and the other way round."""
    waiting = set(QueuedMessage.objects.exclude(outbox=None).values_list("outbox_id", "outbox_uid"))
    places = set(MailboxMessage.objects.filter(mailbox__special_use=OUTBOX_USE).values_list("mailbox_id", "uid"))
    for mailbox_id, uid in sorted(waiting - places):
        yield f"mailbox {mailbox_id}: UID {uid} waits to be sent, but is not in the Outbox"
    for mailbox_id, uid in sorted(places - waiting):
        yield f"mailbox {mailbox_id}: UID {uid} is in the Outbox, but does not wait to be sent"


def _files() -> Iterator[str]:
    named = set(MessageData.objects.exclude(file="").values_list("file", flat=True))
    there = {name for name, _ in bodies().all_bodies()} if named else set()
    for name in sorted(named - there):
        yield f"file {name}: a message names it, but it is missing"
    for pk in MessageData.objects.filter(~Q(file=""), ~Q(body=b"")).values_list("pk", flat=True)[:100]:
        yield f"message {pk}: its body is in the database and in a file"


def left_over_bodies(older_than_s: float = 0.0) -> list[str]:
    """Bodies that no message names: harmless, left by a crash or a refusal between body and commit."""
    before = time.time() - older_than_s
    old = [name for name, written_at in bodies().all_bodies() if written_at <= before]
    named = set(MessageData.objects.exclude(file="").values_list("file", flat=True))
    return [name for name in old if name not in named]


def remove_left_over_bodies() -> int:
    """How many."""
    names = left_over_bodies(LEFT_OVER_AFTER_S)
    for name in names:
        bodies().delete(name)
    return len(names)
