"""Deleted mail: what is kept, how it comes back, and when it is truly gone, whatever the clocks say."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from accounts.models import User
from accounts.services import remove_user
from mailservers.models import DeletedMessage, Mailbox, MailboxMessage, Message, MessageData, RetentionClock, Usage
from mailservers.store.bodies import file_path
from mailservers.store.content import prepare, read_message
from mailservers.store.copying import move
from mailservers.store.engine import store
from mailservers.store.errors import OverQuota
from mailservers.store.mailboxes import delete_mailbox
from mailservers.store.placing import Append, append
from mailservers.store.queries import list_mailboxes
from mailservers.store.removing import expunge
from mailservers.store.replacing import replace
from mailservers.store.retention import DAY_S, LOOK_EVERY_S, advance_clock, sweep_deleted
from mailservers.store.undeleting import deleted_page, purge, restore
from mailservers.sweeping import DeletedMail
from tests.conftest import mailbox_id

HELLO = b"From: a@b.test\r\nSubject: hello\r\n\r\nHello\r\n"


def put(user: User, raw: bytes = HELLO, name: str = "INBOX", flags: int = 0, keywords: tuple[str, ...] = ()) -> int:
    item = Append(user.pk, mailbox_id(user, name), [(prepare(raw), flags, keywords, None)])
    return store.call_sync(append, item)[0].uid


def delete(user: User, *uids: int, name: str = "INBOX") -> None:
    store.call_sync(expunge, user.pk, mailbox_id(user, name), list(uids), deleted_only=False)


def kept(user: User) -> list[int]:
    return [row.id for row in deleted_page(user.pk)]


def run_for(seconds: int) -> None:
    """A server runs for so long: it looks at the clock as often as one does."""
    beat = store.call_sync(advance_clock, None, 0)
    while seconds:
        beat = store.call_sync(advance_clock, beat, min(seconds, DAY_S))
        seconds -= min(seconds, DAY_S)


def sweep() -> int:
    return store.call_sync(sweep_deleted)


def test_a_deleted_message_comes_back_as_it_was(anna: User) -> None:
    raw = HELLO + random.Random(1).randbytes(300_000)
    uid = put(anna, raw, flags=1 | 4 | 8, keywords=("$Label1",))
    date = MailboxMessage.objects.get(uid=uid).internal_date
    store.call_sync(expunge, anna.pk, mailbox_id(anna))
    assert Usage.objects.get(pk=anna.pk).octets == 0 and MailboxMessage.objects.count() == 0
    [row] = deleted_page(anna.pk)
    assert (row.mailbox_name, row.subject, row.size) == ("INBOX", "hello", len(raw))
    assert store.call_sync(restore, anna.pk, [row.id]) == 1
    place = MailboxMessage.objects.get()
    assert (place.uid, place.flags, place.keywords, place.internal_date) == (2, 1 | 4, "$Label1", date)
    assert read_message(place.message_id) == raw and kept(anna) == []


def test_what_is_kept_and_what_is_not(anna: User) -> None:
    for name, way in (
        ("INBOX", lambda uid: delete(anna, uid)),
        ("Archive", lambda uid: store.call_sync(delete_mailbox, anna.pk, "Archive")),
    ):
        uid = put(anna, name=name)
        way(uid)
        assert deleted_page(anna.pk)[0].mailbox_name == name
    uid = put(anna, name="Drafts")
    newer = Append(anna.pk, mailbox_id(anna, "Drafts"), [(prepare(HELLO + b"more"), 0, (), None)])
    store.call_sync(replace, anna.pk, mailbox_id(anna, "Drafts"), uid, newer)
    store.call_sync(move, anna.pk, mailbox_id(anna, "Drafts"), [uid + 1], mailbox_id(anna))
    assert len(kept(anna)) == 2


def test_a_mailbox_that_is_gone_is_made_again(anna: User) -> None:
    put(anna, name="Archive")
    put(anna, name="Trash")
    store.call_sync(delete_mailbox, anna.pk, "Archive")
    delete(anna, 1, name="Trash")
    assert store.call_sync(restore, anna.pk, kept(anna)) == 2
    held = {box.name: box.messages for box in list_mailboxes(anna.pk) if box.messages}
    assert held == {"Archive": 1, "INBOX": 1}  # what was thrown away goes to the inbox, not back into the Trash
    put(anna, name="Sent")
    delete(anna, 1, name="Sent")
    store.call_sync(restore, anna.pk, kept(anna), "Found/again")
    assert Mailbox.objects.get(name="Found/again").messages == 1


def test_restoring_needs_room_and_is_all_or_nothing(anna: User) -> None:
    delete(anna, *[put(anna) for _ in range(3)])
    User.objects.filter(pk=anna.pk).update(quota_messages=2)
    with pytest.raises(OverQuota):
        store.call_sync(restore, anna.pk, kept(anna))
    assert len(kept(anna)) == 3
    assert store.call_sync(restore, anna.pk, kept(anna)[:2]) == 2


def test_another_owner_does_not_exist(anna: User, ben: User) -> None:
    delete(anna, put(anna))
    ids = kept(anna)
    assert store.call_sync(restore, ben.pk, ids) == store.call_sync(purge, ben.pk, ids) == 0
    assert store.call_sync(purge, ben.pk) == 0 and kept(anna) == ids and kept(ben) == []


@pytest.mark.parametrize("way", ["purge", "expire", "turn off", "remove user"])
def test_then_it_is_truly_gone(anna: User, way: str, settings) -> None:
    delete(anna, put(anna, HELLO + random.Random(1).randbytes(300_000)))
    path = file_path(MessageData.objects.get().file)
    assert path.is_file()
    if way == "purge":
        assert store.call_sync(purge, anna.pk) == 1
    elif way == "remove user":
        remove_user(anna.pk, actor="tests")
    else:
        if way == "expire":
            run_for(14 * DAY_S + 2 * LOOK_EVERY_S)
        else:
            settings.UNDELETE_DAYS = 0
        assert sweep() == 1
    assert not path.exists() and Message.objects.count() == DeletedMessage.objects.count() == 0


def test_content_that_others_hold_stays(anna: User, ben: User) -> None:
    delete(anna, put(anna))
    put(ben)
    store.call_sync(purge, anna.pk)
    assert Message.objects.count() == 1


def test_it_is_kept_for_its_days_of_running_time(anna: User, settings) -> None:
    settings.UNDELETE_DAYS = 3
    run_for(5 * DAY_S)
    delete(anna, put(anna))
    run_for(3 * DAY_S)
    assert sweep() == 0  # up to a look more, never less
    run_for(2 * LOOK_EVERY_S)
    assert sweep() == 1


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S, 400 * DAY_S])
def test_a_jump_of_the_system_clock_expires_nothing(anna: User, jump_s: int, monkeypatch, settings) -> None:
    settings.UNDELETE_DAYS = 1
    delete(anna, put(anna))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump_s)
    sweeping = DeletedMail()
    asyncio.run(sweeping.sweep())
    asyncio.run(sweeping.sweep())
    assert len(kept(anna)) == 1
    delete(anna, put(anna))
    assert sweep() == 0 and len(kept(anna)) == 2


def test_no_stretch_of_time_is_counted_twice(mail: None) -> None:
    """Two processes look every 10 minutes, 5 minutes apart; then the first ends."""
    first = store.call_sync(advance_clock, None, 0)
    second = store.call_sync(advance_clock, None, 0)
    for _ in range(6):
        first = store.call_sync(advance_clock, first, 600)
        second = store.call_sync(advance_clock, second, 600)
    assert RetentionClock.objects.get().elapsed_s <= 65 * 60
    before = RetentionClock.objects.get().elapsed_s
    for _ in range(3):
        second = store.call_sync(advance_clock, second, 600)
    assert RetentionClock.objects.get().elapsed_s - before == 1800
    assert store.call_sync(advance_clock, second, -50) == second + 1  # never back
    assert RetentionClock.objects.get().elapsed_s - before == 1800


def test_sweeping_goes_in_small_steps(anna: User, monkeypatch) -> None:
    monkeypatch.setattr("mailservers.store.retention.STEP", 2)
    delete(anna, *[put(anna, HELLO + b"%d" % n) for n in range(5)])
    run_for(15 * DAY_S)
    assert [sweep() for _ in range(4)] == [2, 2, 1, 0]
