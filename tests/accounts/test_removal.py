"""Deleting a user for a time: switched off, restorable, and gone when the days are over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.auth.door import AuthenticationFailed, check
from accounts.models import AuditEntry, User
from accounts.services import delete_user, restore_user, set_user_active
from accounts.services.errors import NotAllowed
from accounts.services.removal import days_left, due_removals
from mailservers.delivery.routing import UnknownRecipient, resolve_address
from mailservers.models import Mailbox, RetentionClock
from mailservers.store.engine import store
from mailservers.store.retention import DAY_S, LOOK_EVERY_S
from mailservers.sweeping import remove_deleted_users
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)
ACTOR = "boss@harbour.test"


@pytest.fixture(autouse=True)
def boss(make_user: Callable[..., User]) -> User:
    return make_user(ACTOR, role="admin")


def wait(seconds: int) -> None:
    """The retention clock moves on."""
    clock, _ = RetentionClock.objects.get_or_create(pk=1)
    RetentionClock.objects.filter(pk=1).update(elapsed_s=clock.elapsed_s + seconds)


def test_marked_restored_and_removed(anna: User, settings: Any) -> None:
    settings.REMOVAL_DAYS = 3
    wait(7 * DAY_S)  # the server is no newcomer
    delete_user(anna.pk, actor=ACTOR)
    with pytest.raises(AuthenticationFailed):
        check(anna.login, PASSWORD, address="192.0.2.1", service="imap")
    with pytest.raises(UnknownRecipient):
        resolve_address(anna.login)
    with pytest.raises(NotAllowed, match="restore"):
        store.call_sync(set_user_active, anna.pk, True, actor=ACTOR)
    assert Mailbox.objects.filter(owner=anna).exists()
    wait(3 * DAY_S)
    assert not due_removals(), "not before the days are over, with the clock's own slack"
    store.call_sync(restore_user, anna.pk, actor=ACTOR)
    check(anna.login, PASSWORD, address="192.0.2.1", service="imap")
    assert resolve_address(anna.login).local
    wait(30 * DAY_S)
    assert not due_removals(), "a restored user stays"
    with pytest.raises(NotAllowed):
        store.call_sync(restore_user, anna.pk, actor=ACTOR)


def test_deleting_twice_begins_no_new_days(anna: User, settings: Any) -> None:
    settings.REMOVAL_DAYS = 3
    delete_user(anna.pk, actor=ACTOR)
    anna.refresh_from_db()
    assert days_left(anna) == 4, "days that have begun, with the slack"
    wait(2 * DAY_S)
    delete_user(anna.pk, actor=ACTOR)
    anna.refresh_from_db()
    assert days_left(anna) == 2
    assert AuditEntry.objects.filter(action="user.delete", subject=anna.login).count() == 1


async def test_the_background_removes_who_is_due(anna: User, ben: User, settings: Any) -> None:
    from asgiref.sync import sync_to_async

    settings.REMOVAL_DAYS = 3
    for user in (anna, ben):
        await sync_to_async(delete_user)(user.pk, actor=ACTOR)
        await sync_to_async(wait)(DAY_S)
    await sync_to_async(wait)(DAY_S + 2 * LOOK_EVERY_S)
    with pytest.raises(NotAllowed, match="being removed"):
        await store.call(restore_user, anna.pk, actor=ACTOR)
    await remove_deleted_users()
    left = await sync_to_async(set)(User.objects.values_list("login", flat=True))
    assert left == {ACTOR, ben.login}, "ben has a day left"


def test_without_days_it_is_gone_at_once(anna: User, settings: Any) -> None:
    settings.REMOVAL_DAYS = 0
    delete_user(anna.pk, actor=ACTOR)
    assert not User.objects.filter(pk=anna.pk).exists()
