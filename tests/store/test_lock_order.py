"""Row locks are taken in one order, by every operation: mailboxes by id, then usages by owner. Else two processes on
PostgreSQL would wait for each other in a circle."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from accounts.services.removal import end_removal
from mailservers.models import DeletedMessage, Mailbox, MailboxMessage, Usage
from mailservers.store.content import prepare
from mailservers.store.copying import Target, copy, move
from mailservers.store.engine import store
from mailservers.store.mailboxes import delete_mailbox, rename_mailbox
from mailservers.store.placing import Append, Delivery, Placement, append, write_appends, write_deliveries
from mailservers.store.quota_warning import warn
from mailservers.store.removing import expunge
from mailservers.store.replacing import replace
from mailservers.store.transaction import Transaction
from mailservers.store.undeleting import restore
from tests.conftest import mailbox_id

HELLO = b"From: a@b.test\r\nSubject: hello\r\n\r\nHello\r\n"


@contextmanager
def locks_in_order():
    """What is locked inside, by the statements that lock: SQLite runs the same ones without their last words."""
    held: list[tuple[str, int]] = []

    def look(execute, sql, params, many, context):
        kind = {
            "SELECT id, owner_id, name, uid_validity": "1 mailbox",
            "SELECT g.owner_id, g.octets": "2 usage",
        }.get(
            next(
                (s for s in ("SELECT id, owner_id, name, uid_validity", "SELECT g.owner_id, g.octets") if s in sql), ""
            )
        )
        for pk in sorted(params) if kind else ():
            if (kind, pk) not in held:
                assert not held or held[-1] < (kind, pk), (held, kind, pk)
                held.append((kind, pk))
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(look):
        yield
    assert held


def _new(owner: User, name: str) -> Append:
    return Append(owner.pk, mailbox_id(owner, name), [(prepare(HELLO), 0, (), None)])


Act = Callable[[Transaction, User, User], object]
ACTS: dict[str, Act] = {
    "deliver": lambda tx, a, b: write_deliveries(
        tx, [Delivery(prepare(HELLO), (Placement(mailbox_id(b)), Placement(mailbox_id(a))))]
    ),
    "append": lambda tx, a, b: write_appends(tx, [_new(b, "INBOX"), _new(a, "Sent"), _new(a, "INBOX")]),
    "copy": lambda tx, a, b: copy(tx, a.pk, mailbox_id(a, "Sent"), [1], mailbox_id(a)),
    "copy to another": lambda tx, a, b: copy(tx, b.pk, mailbox_id(b), [1], Target(mailbox_id(a), a.pk)),
    "move": lambda tx, a, b: move(tx, a.pk, mailbox_id(a, "Sent"), [1], mailbox_id(a)),
    "give": lambda tx, a, b: move(tx, a.pk, mailbox_id(a), [1], Target(mailbox_id(b), b.pk)),
    "give back": lambda tx, a, b: move(tx, b.pk, mailbox_id(b), [1], Target(mailbox_id(a), a.pk)),
    "expunge": lambda tx, a, b: expunge(tx, a.pk, mailbox_id(a), [1], deleted_only=False),
    "replace": lambda tx, a, b: replace(tx, a.pk, mailbox_id(a, "Sent"), 1, _new(a, "INBOX")),
    "replace elsewhere": lambda tx, a, b: replace(tx, b.pk, mailbox_id(b), 1, _new(a, "INBOX")),
    "delete a mailbox": lambda tx, a, b: delete_mailbox(tx, a.pk, "Sent"),
    "rename INBOX": lambda tx, a, b: rename_mailbox(tx, a.pk, "INBOX", "Old"),
    "restore": lambda tx, a, b: restore(tx, a.pk, [DeletedMessage.objects.get(owner=a).pk]),
    "remove a user": lambda tx, a, b: end_removal(tx, a.pk),
    "warn": lambda tx, a, b: warn(tx, a.pk),
}


@pytest.mark.parametrize("name", ACTS)
def test_every_operation_locks_in_the_same_order(anna: User, ben: User, name: str, settings) -> None:
    settings.QUOTA_WARNING_PERCENT = 60
    for user, box in ((anna, "INBOX"), (anna, "Sent"), (anna, "Trash"), (ben, "INBOX")):
        store.call_sync(append, _new(user, box))
    store.call_sync(expunge, anna.pk, mailbox_id(anna, "Trash"), [1], deleted_only=False)
    User.objects.filter(pk=anna.pk).update(quota_messages=3 if name == "warn" else 0)
    places = MailboxMessage.objects.count()
    with locks_in_order():
        ACTS[name](Transaction(now=timezone.now()), anna, ben)
    if name == "warn":
        assert Usage.objects.get(owner=anna).is_warned and MailboxMessage.objects.count() == places + 1
    assert Mailbox.objects.exists()
