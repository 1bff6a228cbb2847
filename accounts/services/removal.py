"""Deleting a user with everything that is theirs: at first only marked, and restorable, for REMOVAL_DAYS.

A marked user is switched off; nothing else changes. The days are of the retention clock
(`mailservers.store.retention`), so a system clock that jumps removes nobody early. When they are over the background
removes the user for good, without making mail wait.

A large maildrop is emptied in steps of STEP messages, each its own transaction: first the user is switched off (new
mail is refused, nobody can sign in), then messages go, last the mailboxes and the user. A crash in between leaves a
switched-off user; deleting again finishes the work. Contents that others hold too stay; files go after each commit.
"""

from __future__ import annotations

from django.conf import settings

from accounts.models import Address, AddressTarget, User
from accounts.services import audit
from accounts.services.errors import NotAllowed
from accounts.services.users import get_user, lock_out, must_leave_an_admin
from mailservers.delivery import routing
from mailservers.models import AclEntry, Expunged, Mailbox, MailboxMessage, Subscription
from mailservers.store.engine import store
from mailservers.store.placing import lock_mailboxes
from mailservers.store.quota import release_owner
from mailservers.store.removing import forget_messages
from mailservers.store.retention import DAY_S, LOOK_EVERY_S, read_clock
from mailservers.store.transaction import Transaction
from mailservers.store.undeleting import purge

STEP = 1000  # messages in one transaction


def delete_user(user_id: int, *, actor: str) -> None:
    """Not for the event loop. Mark the user, or remove them where no days are set. Raises as `remove_user`."""
    if settings.REMOVAL_DAYS <= 0:
        remove_user(user_id, actor=actor)
    else:
        store.call_sync(begin_removal, user_id, actor=actor)


def restore_user(tx: Transaction, user_id: int, *, actor: str) -> None:
    """A marked user is on again, with everything. Raises `NotFound`, `NotAllowed`."""
    user = get_user(user_id)
    if user.removal_clock_s is None:
        raise NotAllowed(f"{user.login} is not deleted.")
    if user.removal_clock_s <= _over():
        raise NotAllowed(f"The days of {user.login} are over: it is being removed.")
    User.objects.filter(pk=user_id).update(is_active=True, removal_clock_s=None)
    audit.record(actor, "user.restore", user.login)
    tx.after_commit.append(routing.forget)


def due_removals() -> list[int]:
    """Ids of marked users whose days are over."""
    due = User.objects.filter(removal_clock_s__lte=_over()).order_by("removal_clock_s", "pk")
    return list(due.values_list("pk", flat=True))


def days_left(user: User) -> int | None:
    """Until a marked user is removed, in days begun; None for others."""
    if user.removal_clock_s is None:
        return None
    return max(0, -(-(user.removal_clock_s - _over()) // DAY_S))


def _over() -> int:
    """Readings of the clock up to this one are over. One look of tolerance, as for deleted mail."""
    return read_clock() - settings.REMOVAL_DAYS * DAY_S - 2 * LOOK_EVERY_S


def remove_user(user_id: int, *, actor: str) -> None:
    """For good. Not for the event loop. Raises `NotFound`, `NotAllowed` (yourself, the last administrator)."""
    store.call_sync(begin_removal, user_id, actor=actor, for_good=True)
    finish_removal(user_id)


def finish_removal(user_id: int) -> None:
    """Of a user who is switched off for good."""
    while store.call_sync(remove_some_messages, user_id):
        pass
    store.call_sync(end_removal, user_id)


def begin_removal(tx: Transaction, user_id: int, *, actor: str, for_good: bool = False) -> None:
    """Switch the user off, and mark them; twice is once. `for_good`: for the record."""
    user = get_user(user_id)
    if user.login == actor:
        raise NotAllowed("You cannot delete your own account.")
    lock_out(user)
    if user.is_admin:
        must_leave_an_admin()
    if user.removal_clock_s is None:
        User.objects.filter(pk=user_id).update(removal_clock_s=read_clock())
    elif not for_good:
        return
    messages = MailboxMessage.objects.filter(mailbox__owner=user).count()
    audit.record(actor, "user.delete", user.login, name=user.name, messages=messages, for_good=for_good)
    tx.after_commit.append(routing.forget)


def remove_some_messages(tx: Transaction, user_id: int) -> int:
    """Take up to STEP messages out of the user's mailboxes, then of the deleted ones; how many there were.
    Counters need no care: the mailboxes go as well, and nobody is signed in."""
    rows = list(MailboxMessage.objects.filter(mailbox__owner_id=user_id).values_list("pk", "message_id")[:STEP])
    for start in range(0, len(rows), 500):
        MailboxMessage.objects.filter(pk__in=[pk for pk, _ in rows[start : start + 500]]).delete()
    forget_messages(tx, [message_id for _, message_id in rows])
    return len(rows) or purge(tx, user_id)


def end_removal(tx: Transaction, user_id: int) -> None:
    """What came in meanwhile, the mailboxes, aliases that would lead to nobody, and the user."""
    while remove_some_messages(tx, user_id):
        pass
    lock_mailboxes(Mailbox.objects.filter(owner_id=user_id).values_list("pk", flat=True))  # before the usage
    release_owner(user_id)
    expunged = Expunged.objects.filter(mailbox__owner_id=user_id)
    expunged._raw_delete(expunged.db)  # nothing refers to these rows; the plain delete would load each
    Mailbox.objects.filter(owner_id=user_id).delete()
    Subscription.objects.filter(owner_id=user_id).delete()
    AclEntry.objects.filter(identifier__in=User.objects.filter(pk=user_id).values("login")).delete()
    aliases = list(AddressTarget.objects.filter(user_id=user_id).values_list("address_id", flat=True))
    AddressTarget.objects.filter(user_id=user_id).delete()
    remove_empty_addresses(aliases)
    User.objects.filter(pk=user_id).delete()
    tx.access_changed()
    tx.folders_changed(user_id)
    tx.after_commit.append(routing.forget)


def remove_empty_addresses(address_ids: list[int]) -> None:
    """Those of the addresses that lead nowhere now, and the aliases that led only to them."""
    while address_ids:
        empty = list(Address.objects.filter(pk__in=address_ids, targets=None).values_list("address", flat=True))
        pointers = AddressTarget.objects.filter(remote__in=empty)
        AclEntry.objects.filter(identifier__in=empty).delete()
        Address.objects.filter(address__in=empty).delete()
        address_ids = list(pointers.values_list("address_id", flat=True))
        pointers.delete()
