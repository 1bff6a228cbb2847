"""Group commit: results after commit only, failures alone, announcements after commit."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.db import DatabaseError

from accounts.models import User
from mailservers.models import DeliveryEvent, Mailbox, MailboxMessage, Message, MessageData, Usage
from mailservers.store.bodies import file_path
from mailservers.store.changes import hub
from mailservers.store.content import prepare, read_header, read_message
from mailservers.store.copying import copy, move
from mailservers.store.engine import store
from mailservers.store.errors import (
    InvalidMailboxName,
    MailboxExists,
    MailboxProtected,
    NoSuchMailbox,
    StoreUnavailable,
)
from mailservers.store.flags import FlagChange, store_flags
from mailservers.store.mailboxes import create_mailbox, delete_mailbox, rename_mailbox, subscribe
from mailservers.store.placing import Append, Delivery, Placement, append, deliver
from mailservers.store.queries import changes_since, fetch_rows, list_mailboxes, mailbox_by_name, uids
from mailservers.store.removing import expunge
from mailservers.store.soundness import find_faults, left_over_bodies
from mailservers.store.transaction import Change, Event, Transaction
from tests.conftest import mailbox_id

HELLO = b"From: a@b.test\r\nSubject: hello\r\n\r\nHello\r\n"


def put(user: User, raw: bytes = HELLO, count: int = 1, name: str = "INBOX", flags: int = 0) -> list[int]:
    marked = [(prepare(raw), flags, (), None)] * count
    return [placed.uid for placed in store.call_sync(append, Append(user.pk, mailbox_id(user, name), marked))]


def test_any_bytes_come_back_unchanged(anna: User) -> None:
    for raw in (b"", b"\0", b"\r\n", b"no header", b"a: b\n\nbare\nlines\r", bytes(range(256)) * 3, HELLO):
        put(anna, raw)
        pk = MailboxMessage.objects.order_by("-uid").values_list("message_id", flat=True)[0]
        assert read_message(pk) == raw
        assert raw.startswith(read_header(pk) or b"")


def test_one_content_is_kept_once(anna: User, ben: User) -> None:
    message = prepare(HELLO)
    both = tuple(Placement(mailbox_id(user)) for user in (anna, ben))
    placed = store.call_sync(deliver, Delivery(message, both))
    put(anna)
    assert [p.uid for p in placed] == [1, 1]
    assert (Message.objects.count(), MailboxMessage.objects.count()) == (1, 3)


def test_a_large_body_lies_in_a_file_and_goes_with_its_last_place(anna: User, settings) -> None:
    settings.UNDELETE_DAYS = 0
    import random

    raw = HELLO + random.Random(1).randbytes(300_000)
    uid = put(anna, raw)[0]
    put(anna, raw)  # the second file is dropped
    name = MessageData.objects.get().file
    assert file_path(name).is_file() and left_over_bodies() == []
    assert read_message(Message.objects.get().pk) == raw
    inbox = mailbox_id(anna)
    store.call_sync(expunge, anna.pk, inbox, [uid], deleted_only=False)
    assert file_path(name).is_file()
    store.call_sync(expunge, anna.pk, inbox, [uid + 1], deleted_only=False)
    assert not file_path(name).exists() and Message.objects.count() == 0


async def test_a_batch_is_one_transaction_and_failures_stand_alone(anna: User) -> None:
    inbox = await asyncio.to_thread(mailbox_id, anna)
    message = prepare(HELLO)
    gate = threading.Event()

    def hold(tx: Transaction) -> None:
        gate.wait(10)

    def fail(tx: Transaction) -> None:
        MailboxMessage.objects.all().delete()
        tx.events.append(Event("x", "refused"))
        raise KeyError("a bug")

    calls = [asyncio.ensure_future(store.call(hold))]
    await asyncio.sleep(0)
    good = Append(anna.pk, inbox, [(message, 0, (), None)])
    stranger = Append(anna.pk + 999, inbox, [(message, 0, (), None)])
    calls += [asyncio.ensure_future(store.call(append, item)) for item in (good, stranger, good)]
    calls.append(asyncio.ensure_future(store.call(fail)))
    await asyncio.sleep(0.05)
    gate.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(r) for r in results] == [type(None), list, NoSuchMailbox, list, KeyError]
    assert [r[0].uid for r in (results[1], results[3])] == [1, 2]
    assert await DeliveryEvent.objects.acount() == 0


def test_a_transaction_that_cannot_commit_leaves_no_trace(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_it(tx: Transaction) -> None:
        raise DatabaseError("disk I/O error")

    with pytest.raises(StoreUnavailable):
        store.call_sync(break_it)
    assert put(anna) == [1]


async def test_subscribers_hear_of_a_change_after_it_is_there(anna: User) -> None:
    inbox = await asyncio.to_thread(mailbox_id, anna)
    heard: asyncio.Queue[Change] = asyncio.Queue()
    hub.attach()
    hub.watch_mailbox(anna.pk, inbox, heard.put_nowait)
    try:
        await asyncio.to_thread(put, anna)
        change = await asyncio.wait_for(heard.get(), 10)
        seen = await store.read(changes_since, inbox, change.modseq - 1)
        assert seen is not None and [row.uid for row in seen.rows] == [1]
    finally:
        hub.unwatch_mailbox(anna.pk, inbox, heard.put_nowait)
        await hub.detach()


def test_flags_modseqs_and_counters(anna: User) -> None:
    put(anna, count=3)
    inbox = mailbox_id(anna)
    start = mailbox_by_name(anna.pk, "inbox").highest_modseq
    first = store.call_sync(store_flags, anna.pk, inbox, [1, 2, 9], FlagChange.ADD, 1, ["$Label1", "$label1"])
    assert [(row.uid, row.flags, row.keywords) for row in first.rows] == [(1, 1, "$Label1"), (2, 1, "$Label1")]
    again = store.call_sync(store_flags, anna.pk, inbox, [1], FlagChange.ADD, 1, ["$LABEL1"])
    assert again.modseq == first.modseq == start + 1  # nothing changed, so nothing is announced
    late = store.call_sync(store_flags, anna.pk, inbox, [1, 3], FlagChange.REPLACE, 8, unchanged_since=start)
    assert (late.modified, [row.uid for row in late.rows]) == ([1], [3])
    box = mailbox_by_name(anna.pk, "INBOX")
    assert (box.messages, box.unseen, box.deleted) == (3, 1, 1)


def test_copy_move_and_expunge(anna: User) -> None:
    put(anna, count=3, flags=1)
    inbox, archive = mailbox_id(anna), mailbox_id(anna, "Archive")
    copied = store.call_sync(copy, anna.pk, inbox, [3, 1, 7], archive)
    assert (copied.source_uids, copied.target_uids) == ([1, 3], [1, 2])
    moved = store.call_sync(move, anna.pk, inbox, [2], archive)
    assert (moved.source_uids, moved.target_uids, list(uids(inbox))) == ([2], [3], [1, 3])
    before = mailbox_by_name(anna.pk, "INBOX").highest_modseq
    store.call_sync(store_flags, anna.pk, inbox, [3], FlagChange.ADD, 8)
    modseq, gone = store.call_sync(expunge, anna.pk, inbox)
    assert gone == [3]
    since = changes_since(inbox, before)
    assert since is not None and (since.rows, since.expunged, since.highest_modseq) == ([], [3], modseq)
    assert put(anna) == [4]  # a UID is never used again


def test_another_owner_does_not_exist(anna: User, ben: User) -> None:
    put(anna)
    inbox, theirs = mailbox_id(anna), mailbox_id(ben)
    for operation, args in (
        (expunge, (inbox,)),
        (store_flags, (inbox, [1], FlagChange.ADD, 1)),
        (copy, (inbox, [1], theirs)),
        (move, (theirs, [1], inbox)),
        (delete_mailbox, ("Projects",)),
    ):
        with pytest.raises(NoSuchMailbox):
            store.call_sync(operation, ben.pk, *args)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", InvalidMailboxName),
        ("a//b", InvalidMailboxName),
        ("/a", InvalidMailboxName),
        ("a\x00b", InvalidMailboxName),
        ("a*", InvalidMailboxName),
        ("x" * 501, InvalidMailboxName),
        ("inbox", MailboxExists),
        ("Sent", MailboxExists),
    ],
)
def test_names_that_cannot_be_made(anna: User, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        store.call_sync(create_mailbox, anna.pk, name)


def test_mailboxes_are_made_renamed_and_deleted(anna: User) -> None:
    store.call_sync(create_mailbox, anna.pk, "Projects/Boat/Sails")
    put(anna, name="Projects/Boat/Sails")
    store.call_sync(rename_mailbox, anna.pk, "Projects/Boat", "Done/Boat")
    names = [box.name for box in list_mailboxes(anna.pk)]
    assert {"Projects", "Done", "Done/Boat", "Done/Boat/Sails"} <= set(names) and "Projects/Boat" not in names
    with pytest.raises(MailboxProtected):
        store.call_sync(delete_mailbox, anna.pk, "Done/Boat")
    with pytest.raises(MailboxProtected):
        store.call_sync(delete_mailbox, anna.pk, "INBOX")
    with pytest.raises(InvalidMailboxName):
        store.call_sync(rename_mailbox, anna.pk, "Done", "Done/Deeper")
    validity = mailbox_by_name(anna.pk, "Done/Boat/Sails").uid_validity
    store.call_sync(delete_mailbox, anna.pk, "Done/Boat/Sails")
    assert MailboxMessage.objects.count() == 0
    store.call_sync(create_mailbox, anna.pk, "Done/Boat/Sails")
    assert mailbox_by_name(anna.pk, "Done/Boat/Sails").uid_validity > validity
    store.call_sync(subscribe, anna.pk, "Nowhere", False)
    with pytest.raises(NoSuchMailbox):
        store.call_sync(subscribe, anna.pk, "Nowhere")


def test_renaming_inbox_moves_its_messages(anna: User) -> None:
    """RFC 9051 6.3.6."""
    put(anna, count=2)
    store.call_sync(rename_mailbox, anna.pk, "INBOX", "Old")
    assert list(uids(mailbox_id(anna))) == []
    assert list(uids(mailbox_id(anna, "Old"))) == [1, 2]


def test_rows_are_fetched_for_runs_and_for_single_uids(anna: User) -> None:
    put(anna, count=6)
    inbox = mailbox_id(anna)
    for wanted in ([1, 2, 3], [1, 3, 5], [2, 900, 5000], [], [4]):
        rows = fetch_rows(inbox, wanted, ("uid", "message__size"))
        assert [row[0] for row in rows] == [uid for uid in wanted if uid <= 6]


@pytest.mark.parametrize(
    "damage",
    [
        lambda: Mailbox.objects.filter(name="INBOX").update(unseen=7),
        lambda: Mailbox.objects.filter(name="INBOX").update(uid_next=1),
        lambda: Mailbox.objects.filter(name="INBOX").update(highest_modseq=1),
        lambda: MailboxMessage.objects.filter(uid=1).delete(),
    ],
)
def test_check_finds_what_is_broken(transactional_db: None, make_user, damage) -> None:
    user = make_user("anna@harbour.test")
    put(user, count=2)
    assert list(find_faults()) == []
    damage()
    assert list(find_faults())
    Mailbox.objects.all().delete()
    Message.objects.all().delete()
    Usage.objects.all().delete()
