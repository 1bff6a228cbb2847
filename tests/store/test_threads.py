"""Threads as the store keeps them: batches, owners, joins, copies, what is forgotten."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from mailservers.models import JoinedThread, MailboxMessage, ThreadKey
from mailservers.store.content import prepare
from mailservers.store.copying import copy, move
from mailservers.store.engine import store
from mailservers.store.placing import Append, Delivery, Placement, append, write_deliveries
from mailservers.store.removing import expunge
from mailservers.store.soundness import find_faults
from mailservers.store.threads import (
    assign_to_stored,
    forget_empty_threads,
    owners_with_empty_threads,
    whole_threads,
)
from mailservers.store.transaction import Transaction
from tests.conftest import mailbox_id


def letter(own: str, *references: str, subject: str = "x") -> bytes:
    lines = [f"Subject: {subject}", f"Message-ID: <{own}>" if own else "X: y"]
    if references:
        lines += ["References: " + " ".join(f"<{r}>" for r in references), f"In-Reply-To: <{references[-1]}>"]
    return "\r\n".join([*lines, "", "text", ""]).encode()


def put(user: User, *raws: bytes, name: str = "INBOX") -> list[int]:
    """The threads of messages put into a mailbox one after the other."""
    for raw in raws:
        store.call_sync(append, Append(user.pk, mailbox_id(user, name), [(prepare(raw), 0, (), None)]))
    return threads(user)[-len(raws) :]


def threads(user: User) -> list[int]:
    places = MailboxMessage.objects.filter(mailbox__owner=user).order_by("id")
    return list(places.values_list("thread_id", flat=True))


def test_answers_are_of_one_thread_in_any_folder(anna: User) -> None:
    first, sent, other = *put(anna, letter("a")), *put(anna, letter("b", "a"), name="Sent"), *put(anna, letter("z"))
    assert first == sent != other


def test_one_batch_threads_as_one_by_one(anna: User, ben: User) -> None:
    def delivery(raw: bytes) -> Delivery:
        return Delivery(prepare(raw), (Placement(mailbox_id(anna)), Placement(mailbox_id(ben))))

    raws = [letter("c", "a", "b"), letter("a"), letter("q"), letter("b", "a"), letter("", subject="Re: x")]
    tx = Transaction(now=datetime.now(UTC))
    write_deliveries(tx, [delivery(raw) for raw in raws])
    for user in (anna, ben):
        c, a, q, b, bare = threads(user)
        assert c == a == b == bare != q


def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(anna: User) -> None:
    def cost(numbers: range) -> int:
        batch = [Delivery(prepare(letter(f"m{n}", f"m{n - 1}")), (Placement(mailbox_id(anna)),)) for n in numbers]
        with CaptureQueriesContext(
            connection,
        ) as captured:
            write_deliveries(Transaction(now=datetime.now(UTC)), batch)
        return len([q for q in captured.captured_queries if "threadkey" in q["sql"]])

    assert cost(range(1)) == 2
    assert cost(range(1, 40)) == 2
    assert len(set(threads(anna))) == 1


def test_a_message_that_joins_two_threads_changes_none(anna: User) -> None:
    a, b = put(anna, letter("a"), letter("b"))
    assert a != b
    c, again, answer = put(anna, letter("c", "a", "b"), letter("b"), letter("d", "b"))
    assert (c, again, answer) == (a, b, b)
    assert whole_threads(anna.pk, [a, b]) == {a: [a, b], b: [a, b]}
    z, y = put(anna, letter("z"), letter("y", "b", "z"))
    assert y == b
    assert whole_threads(anna.pk, [z])[z] == [a, b, z]


def test_joins_in_any_order_end_with_one_root(anna: User) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    put(anna, *(letter(f"r{n}") for n in range(8)))
    pairs = [(n, n + 1) for n in range(7)]
    dice.shuffle(pairs)
    put(anna, *(letter(f"j{n}", f"r{n}", f"r{m}") for n, m in pairs))
    everything = sorted(set(threads(anna)))
    assert all(group == everything for group in whole_threads(anna.pk, everything).values())
    assert len(everything) == 8


def test_a_bare_reply_joins_the_latest_of_its_subject(anna: User) -> None:
    old, new, reply = put(
        anna, letter("a", subject="Invoice"), letter("b", subject="invoice"), letter("", subject="Re: Invoice")
    )
    assert old != new == reply
    assert put(anna, letter("c", subject="Invoice"))[0] not in (old, new)


def test_an_old_subject_is_no_thread(anna: User) -> None:
    old = put(anna, letter("a", subject="Invoice"))[0]
    later = Transaction(now=datetime.now(UTC) + timedelta(days=70))
    write_deliveries(later, [Delivery(prepare(letter("", subject="Re: Invoice")), (Placement(mailbox_id(anna)),))])
    assert threads(anna)[-1] != old


def test_copies_keep_their_thread_and_equal_contents_have_one(anna: User) -> None:
    bare = letter("", subject="alone")
    thread = put(anna, bare)[0]
    store.call_sync(copy, anna.pk, mailbox_id(anna), [1], mailbox_id(anna, "Archive"))
    store.call_sync(move, anna.pk, mailbox_id(anna), [1], mailbox_id(anna, "Junk"))
    assert set(threads(anna)) == {thread} == set(put(anna, bare))


def test_what_is_stored_can_be_threaded_for_another_owner(anna: User, ben: User) -> None:
    a, b = put(anna, letter("a"), letter("b", "a"))
    ids = list(MailboxMessage.objects.order_by("id").values_list("message_id", flat=True))
    found = store.call_sync(assign_to_stored, ben.pk, ids)
    assert len(set(found.values())) == 1
    assert a == b
    assert put(ben, letter("c", "b")) == [found[ids[0]]]


def test_threads_without_messages_are_forgotten_in_time(anna: User) -> None:
    kept, gone = put(anna, letter("a", subject="a"), letter("b", subject="b"))
    store.call_sync(expunge, anna.pk, mailbox_id(anna), [2], deleted_only=False)
    assert put(anna, letter("c", "b"), name="Sent") == [gone]  # its question is deleted, its thread is not
    assert owners_with_empty_threads() == []
    store.call_sync(expunge, anna.pk, mailbox_id(anna, "Sent"), [1], deleted_only=False)
    assert owners_with_empty_threads() == [anna.pk]
    assert store.call_sync(forget_empty_threads, anna.pk) == 4  # b, its subject; c, its subject
    assert set(ThreadKey.objects.values_list("thread_id", flat=True)) == {kept}


def test_the_check_finds_dangling_threads(anna: User) -> None:
    a, b = put(anna, letter("a"), letter("b"))
    MailboxMessage.objects.filter(thread_id=a).update(thread_id=0)
    MailboxMessage.objects.filter(thread_id=b).update(thread_id=a)
    for thread, into in ((5, 4), (4, 3)):
        JoinedThread.objects.create(owner=anna, thread_id=thread, into_id=into)
    faults = [fault for fault in find_faults() if "thread" in fault]
    assert len(faults) == 3, faults
    JoinedThread.objects.all().delete()
    MailboxMessage.objects.filter(thread_id=a).update(thread_id=b)
    MailboxMessage.objects.filter(thread_id=0).update(thread_id=a)


def test_mail_from_before_threads_gets_them(anna: User) -> None:
    from importlib import import_module

    from django.apps import apps

    before = put(anna, letter("a"), letter("b"), letter("c", "a"), letter("d", "a", "b"), letter("", subject="Re: x"))
    MailboxMessage.objects.update(thread_id=0)
    ThreadKey.objects.all().delete()
    JoinedThread.objects.all().delete()
    import_module("mailservers.migrations.0003_threads").thread_what_is_there(apps, connection.schema_editor())
    assert threads(anna) == before
    assert JoinedThread.objects.count() == 1
