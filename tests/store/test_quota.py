"""Quotas: exact under concurrency, counted where mail is put in and taken out, and a warning at the set level."""

from __future__ import annotations

import asyncio
import concurrent.futures

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Domain, User
from accounts.services import remove_user
from mailservers.models import DomainUsage, Mailbox, MailboxMessage, Message, Usage
from mailservers.store.content import prepare
from mailservers.store.copying import copy, move
from mailservers.store.engine import Store, store
from mailservers.store.errors import OverQuota
from mailservers.store.mailboxes import create_mailbox, delete_mailbox
from mailservers.store.placing import Append, Delivery, Placement, append, deliver, write_deliveries
from mailservers.store.quota import lacking_room, room_of
from mailservers.store.removing import expunge
from mailservers.store.soundness import find_faults
from mailservers.store.transaction import Transaction
from tests.conftest import mailbox_id

HELLO = b"From: a@b.test\r\nSubject: hello\r\n\r\nHello\r\n"
SIZE = len(HELLO)


def limit(user: User, octets: int = 0, messages: int = 0) -> None:
    User.objects.filter(pk=user.pk).update(quota_octets=octets, quota_messages=messages)


def put(user: User, count: int = 1, name: str = "INBOX", raw: bytes = HELLO) -> None:
    store.call_sync(append, Append(user.pk, mailbox_id(user, name), [(prepare(raw), 0, (), None)] * count))


def usage(user: User) -> tuple[int, int]:
    return Usage.objects.values_list("octets", "messages").get(pk=user.pk)


def settle() -> None:
    """What `store.post` handed over before is done when this returns."""
    store.call_sync(lambda tx: None)


@pytest.mark.parametrize("limits", [{"octets": 10 * SIZE + 7}, {"messages": 10}, {"octets": 99 * SIZE, "messages": 10}])
async def test_fifty_writers_at_once_overshoot_by_nothing(anna: User, ben: User, limits: dict, settings) -> None:
    settings.QUOTA_WARNING_PERCENT = 0
    await asyncio.to_thread(limit, anna, **limits)
    inbox, theirs = await asyncio.to_thread(mailbox_id, anna), await asyncio.to_thread(mailbox_id, ben)
    both = (Placement(theirs), Placement(inbox))
    message = prepare(HELLO)
    calls = [
        store.call(deliver, Delivery(message, both))
        if n % 2
        else store.call(append, Append(anna.pk, inbox, [(message, 0, (), None)]))
        for n in range(50)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(r, Exception) for r in results) == 10
    assert {type(r) for r in results if isinstance(r, Exception)} == {OverQuota}
    assert await asyncio.to_thread(usage, anna) == (10 * SIZE, 10)
    delivered = sum(not isinstance(r, Exception) for r in results[1::2])
    assert (await asyncio.to_thread(usage, ben))[1] == delivered  # all recipients or none


@pytest.mark.parametrize("limited", ["users", "domain"])
def test_several_processes_overshoot_by_nothing(make_user, limited: str, settings) -> None:
    """Each store here is what a process has: a writing thread with a connection of its own."""
    settings.QUOTA_WARNING_PERCENT = 0
    users = [make_user(f"u{n}@harbour.test") for n in range(3)]
    inboxes = [mailbox_id(user) for user in users]
    if limited == "users":
        for user in users:
            limit(user, octets=7 * SIZE + 3)
    else:
        Domain.objects.update(quota_octets=10 * SIZE + 3)
    message = prepare(HELLO)
    stores = [Store() for _ in range(4)]

    def write(n: int) -> bool:
        boxes = {inboxes[n % 3], inboxes[n // 3 % 3]}  # one or two, in any order
        try:
            stores[n % 4].call_sync(deliver, Delivery(message, tuple(map(Placement, boxes))))
        except OverQuota:
            return False
        return True

    try:
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            done = list(pool.map(write, range(150)))
    finally:
        for each in stores:
            each.close()
    held = [usage(user)[1] for user in users]
    assert any(done) and not all(done)
    assert max(held) <= 7 if limited == "users" else sum(held) in (9, 10)  # two may not have fitted where one did


def test_a_domain_is_limited_as_a_whole(anna: User, ben: User) -> None:
    Domain.objects.update(quota_octets=3 * SIZE)
    put(anna, 2)
    with pytest.raises(OverQuota):
        put(ben, 2)
    put(ben)
    with pytest.raises(OverQuota):
        put(anna)
    store.call_sync(expunge, anna.pk, mailbox_id(anna), [1], deleted_only=False)
    assert DomainUsage.objects.values_list("octets", "messages").get() == (2 * SIZE, 2)
    remove_user(anna.pk, actor="tests")
    assert DomainUsage.objects.values_list("octets", "messages").get() == (SIZE, 1)


def test_one_delivery_to_several_users_of_a_domain_needs_room_for_all(anna: User, ben: User) -> None:
    Domain.objects.update(quota_messages=3)
    put(anna, 2)
    both = tuple(Placement(mailbox_id(user)) for user in (anna, ben))
    with pytest.raises(OverQuota):
        store.call_sync(deliver, Delivery(prepare(HELLO), both))
    assert usage(ben) == (0, 0)


def test_what_counts_and_what_does_not(anna: User) -> None:
    limit(anna, octets=3 * SIZE)
    inbox, archive = mailbox_id(anna), mailbox_id(anna, "Archive")
    put(anna, 2)
    store.call_sync(copy, anna.pk, inbox, [1], archive)
    assert usage(anna) == (3 * SIZE, 3)
    with pytest.raises(OverQuota):
        store.call_sync(copy, anna.pk, inbox, [1, 2], archive)
    store.call_sync(move, anna.pk, inbox, [1, 2], archive)  # adds nothing
    assert usage(anna) == (3 * SIZE, 3)
    store.call_sync(create_mailbox, anna.pk, "Old")
    store.call_sync(move, anna.pk, archive, [1, 2], mailbox_id(anna, "Old"))
    store.call_sync(delete_mailbox, anna.pk, "Old")
    assert usage(anna) == (SIZE, 1)


def test_a_lowered_quota_keeps_what_is_there(anna: User) -> None:
    put(anna, 3)
    limit(anna, octets=1)
    room = room_of(anna.pk)
    assert room is not None and room.lacks_room(0) and lacking_room([anna.pk], 0)
    with pytest.raises(OverQuota):
        put(anna)
    store.call_sync(expunge, anna.pk, mailbox_id(anna), [1, 2, 3], deleted_only=False)
    assert usage(anna) == (0, 0)


def test_the_owner_is_warned_once_until_usage_has_fallen(anna: User, settings) -> None:
    settings.QUOTA_WARNING_PERCENT = 90
    limit(anna, messages=20)
    inbox = mailbox_id(anna)

    def warnings() -> int:
        settle()
        return MailboxMessage.objects.filter(mailbox_id=inbox, message__subject__contains="% full").count()

    put(anna, 17)
    assert warnings() == 0
    put(anna)
    assert warnings() == 1
    assert Message.objects.get(subject__contains="% full").subject == "Your mailbox is 90 % full"
    store.call_sync(expunge, anna.pk, inbox, [1], deleted_only=False)  # 18 of 20: still at the level
    put(anna)
    assert warnings() == 1
    store.call_sync(expunge, anna.pk, inbox, [2, 3, 4], deleted_only=False)
    put(anna)
    assert warnings() == 1
    put(anna)
    assert warnings() == 2


def test_the_warning_never_overshoots(anna: User) -> None:
    limit(anna, octets=10 * SIZE)
    put(anna, 9)
    settle()
    assert usage(anna) == (9 * SIZE, 9) and not Usage.objects.get(pk=anna.pk).is_warned


@pytest.mark.parametrize(
    "damage",
    [
        lambda: Usage.objects.filter(octets__gt=0).update(octets=7),
        lambda: Usage.objects.filter(octets__gt=0).update(messages=7),
        lambda: DomainUsage.objects.update(octets=7),
    ],
)
def test_check_finds_wrong_usage(transactional_db: None, make_user, damage) -> None:
    user = make_user("anna@harbour.test")
    Domain.objects.update(quota_octets=10**6)
    put(user, 2)
    assert list(find_faults()) == []
    damage()
    assert list(find_faults())
    Usage.objects.update(octets=Mailbox.objects.aggregate(n=Sum("size"))["n"], messages=2)
    Usage.objects.exclude(owner=user).update(octets=0, messages=0)
    DomainUsage.objects.all().delete()


def test_counting_costs_the_same_number_of_queries_for_a_whole_batch(make_user) -> None:
    inboxes = [mailbox_id(make_user(f"u{n}@harbour.test")) for n in range(6)]
    message = prepare(HELLO)

    def run(boxes: list[int]) -> None:
        write_deliveries(Transaction(timezone.now()), [Delivery(message, (Placement(box),)) for box in boxes])

    run(inboxes[:1])
    counts = []
    for boxes in (inboxes[:1], inboxes):
        with CaptureQueriesContext(connection) as queries:
            run(boxes)
        counts.append(len(queries))
    assert counts[0] == counts[1]
