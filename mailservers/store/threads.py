"""Threads: every place has one, given when the message is accepted. The rule is `formats.threads`.

Numbers are per owner: a thread is named after the content that began it (a `Message` id, never used twice), and
a message keeps its number for good (RFC 8474 section 5.2). Two threads that a later message joins keep both
numbers; `whole_threads` says which belong together.

Costs two statements a batch, however many messages it holds. Whoever assigns holds the owners' `Usage` rows under
their locks (`quota.lock_accounts`), so that no two processes thread one owner's mail at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Exists, OuterRef

from mailservers.formats.threads import SUBJECT_DAYS, Threader, ThreadKeys, owner_key, thread_keys
from mailservers.models import JoinedThread, MailboxMessage, Message, ThreadKey
from mailservers.store.inserting import execute_rows
from mailservers.store.statements import fetch, marks
from mailservers.store.transaction import Transaction

CHUNK = 1000  # keys in one statement


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A message that an owner gets."""

    owner_id: int
    message_id: int  # Message.pk
    keys: ThreadKeys


def assign_threads(tx: Transaction, newcomers: Sequence[Newcomer]) -> list[int]:
    """The thread of each message, in the order given; remembers what later ones are threaded by."""
    if not newcomers:
        return []
    today = tx.now.toordinal()
    asked = {owner_key(n.owner_id, key) for n in newcomers for key in n.keys.ids}
    asked |= {owner_key(n.owner_id, n.keys.subject) for n in newcomers if n.keys.is_bare_reply and n.keys.subject}
    rows = _read_keys(asked)
    subjects = {key: thread for key, (thread, seen_on) in rows.items() if seen_on >= today - SUBJECT_DAYS}
    threader = Threader({key: thread for key, (thread, _) in rows.items()})
    threads = []
    for n in newcomers:
        subject = owner_key(n.owner_id, n.keys.subject) if n.keys.subject is not None else None
        thread = threader.place(n.owner_id, n.keys, n.message_id, subjects.get(subject) if subject else None)
        if subject is not None:  # the latest message has it
            subjects[subject] = thread
            threader.new[subject] = n.owner_id, thread
        threads.append(thread)
    _write_keys(threader.new, today)
    if threader.joins:
        _join(threader.joins)
    return threads


def assign_to_stored(tx: Transaction, owner_id: int, message_ids: Collection[int]) -> dict[int, int]:
    """Threads by message id, for contents that are stored already and come to this owner."""
    columns = ("id", "message_id", "in_reply_to", "references", "subject", "sha256")
    newcomers = []
    wanted = sorted(set(message_ids))
    for start in range(0, len(wanted), CHUNK):
        rows = Message.objects.filter(id__in=wanted[start : start + CHUNK]).order_by("id").values_list(*columns)
        for pk, message_id, in_reply_to, references, subject, sha256 in rows:
            keys = thread_keys(message_id, in_reply_to, references.split(), subject, bytes(sha256))
            newcomers.append(Newcomer(owner_id, pk, keys))
    return dict(zip((n.message_id for n in newcomers), assign_threads(tx, newcomers), strict=True))


def _read_keys(keys: Collection[int]) -> dict[int, tuple[int, int]]:
    """Thread and day by key."""
    wanted = sorted(keys)
    found: dict[int, tuple[int, int]] = {}
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        select = f"SELECT id, thread_id, seen_on FROM mailservers_threadkey WHERE id IN ({marks(len(chunk))})"
        found.update((key, (thread, seen_on)) for key, thread, seen_on in fetch(select, chunk))
    return found


_WRITE_KEYS = (
    "INSERT INTO mailservers_threadkey (id, owner_id, thread_id, seen_on) VALUES {}"
    " ON CONFLICT (id) DO UPDATE SET thread_id = excluded.thread_id, seen_on = excluded.seen_on"
)


def _write_keys(keys: Mapping[int, tuple[int, int]], today: int) -> None:
    execute_rows(_WRITE_KEYS, [(key, owner_id, thread, today) for key, (owner_id, thread) in sorted(keys.items())])


def _join(joins: Iterable[tuple[int, int, int]]) -> None:
    """Record that threads are one; the lowest number stands for all. Rare, so one by one."""
    for owner_id, first, second in joins:
        roots = {whole_threads(owner_id, [thread])[thread][0] for thread in (first, second)}
        if len(roots) == 1:
            continue
        into = min(roots)
        JoinedThread.objects.filter(owner_id=owner_id, into_id=max(roots)).update(into_id=into)
        JoinedThread.objects.create(owner_id=owner_id, thread_id=max(roots), into_id=into)


# ---------------------------------------------------------------- reading


def whole_threads(owner_id: int, thread_ids: Collection[int]) -> dict[int, list[int]]:
    """For each thread: all thread numbers of its conversation, itself among them, lowest first. Two queries."""
    joined = JoinedThread.objects.filter(owner_id=owner_id)
    roots = dict(joined.filter(thread_id__in=thread_ids).values_list("thread_id", "into_id"))
    wanted = {roots.get(thread, thread) for thread in thread_ids}
    members: dict[int, list[int]] = defaultdict(list)
    for thread, into in joined.filter(into_id__in=wanted).order_by("thread_id").values_list("thread_id", "into_id"):
        members[into].append(thread)
    return {t: [roots.get(t, t), *members[roots.get(t, t)]] for t in thread_ids}


# ---------------------------------------------------------------- keeping


_EMPTY = """
    owner_id = %s AND NOT EXISTS (SELECT 1 FROM mailservers_mailboxmessage p JOIN mailservers_mailbox b
        ON b.id = p.mailbox_id WHERE p.thread_id = {table}.thread_id AND b.owner_id = {table}.owner_id)
"""


def owners_with_empty_threads() -> list[int]:
    """For `forget_empty_threads`; looks at everything, so for a reader thread."""
    owners = ThreadKey.objects.order_by("owner_id").values_list("owner_id", flat=True).distinct()
    empty = _EMPTY.format(table="mailservers_threadkey")
    with connection.cursor() as cursor:
        found = []
        for owner_id in owners:
            cursor.execute(f"SELECT 1 FROM mailservers_threadkey WHERE {empty} LIMIT 1", [owner_id])
            if cursor.fetchone():
                found.append(owner_id)
    return found


def forget_empty_threads(tx: Transaction, owner_id: int) -> int:
    """Drop an owner's keys of threads that hold no message any more; how many. Run now and then, off the hot path:
    until then an answer to a message that was deleted still finds its thread."""
    with connection.cursor() as cursor:
        for table in ("mailservers_joinedthread", "mailservers_threadkey"):
            cursor.execute(f"DELETE FROM {table} WHERE {_EMPTY.format(table=table)}", [owner_id])
        return cursor.rowcount


def find_thread_faults(limit: int = 100) -> Iterator[str]:
    """Every broken invariant: a place without a thread, an identifier that points elsewhere, a join in two steps."""
    for pk in MailboxMessage.objects.filter(thread_id=0).values_list("pk", flat=True)[:limit]:
        yield f"place {pk}: it belongs to no thread"
    further = JoinedThread.objects.filter(owner_id=OuterRef("owner_id"), thread_id=OuterRef("into_id"))
    chained = JoinedThread.objects.filter(Exists(further))
    for owner_id, thread in chained.values_list("owner_id", "thread_id")[:limit]:
        yield f"owner {owner_id}: thread {thread} is joined to one that is joined itself"
    yield from _strays(limit)


def _strays(limit: int) -> Iterator[str]:
    columns = ("id", "mailbox__owner_id", "thread_id", "message__message_id", "message__sha256")
    places = MailboxMessage.objects.order_by("id").values_list(*columns)
    batch: list[tuple[int, int, int, str, bytes]] = []
    for row in places.iterator(chunk_size=CHUNK):
        batch.append(row)
        if len(batch) == CHUNK:
            yield from _strays_among(batch)
            batch = []
    yield from _strays_among(batch)


def _strays_among(batch: Sequence[tuple[int, int, int, str, bytes]]) -> Iterator[str]:
    own = {
        pk: owner_key(owner_id, thread_keys(message_id, "", (), "", bytes(sha256)).ids[0])
        for pk, owner_id, _, message_id, sha256 in batch
    }
    known = _read_keys(set(own.values()))
    for pk, _, thread, *_ in batch:
        pointed = known.get(own[pk], (None, 0))[0]
        if thread and pointed != thread:
            yield f"place {pk}: its thread is {thread}, but its identifier's is {pointed}"
