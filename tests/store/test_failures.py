"""Transactions that fail: never an answer of success for what was rolled back, never twice what was committed."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import SyncToAsync
from django.db import DatabaseError, OperationalError, connection, connections, transaction

from accounts.models import User
from mailservers.models import Mailbox, MailboxMessage
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.errors import MailboxExists, StoreUnavailable
from mailservers.store.mailboxes import create_mailbox
from mailservers.store.placing import Append, append
from mailservers.store.queries import mailbox_by_name
from mailservers.store.transaction import Transaction
from tests.conftest import mailbox_id

HELLO = b"From: a@b.test\r\nSubject: hello\r\n\r\nHello\r\n"
on_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL: make test-postgres")


def hello(user: User) -> Append:
    return Append(user.pk, mailbox_id(user), [(prepare(HELLO), 0, (), None)])


def test_what_the_database_rolled_back_by_itself_is_not_acknowledged(anna: User) -> None:
    """SQLite ends the whole transaction, savepoints and all, when the disk is full or fails."""
    gate = threading.Event()

    def hold(tx: Transaction) -> None:
        gate.wait(10)

    def end_transaction(tx: Transaction) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
        raise DatabaseError("disk full")

    with ThreadPoolExecutor(3) as pool:
        pool.submit(store.call_sync, hold)
        time.sleep(0.05)  # so that the next two wait together; when they do not, the test shows less, and passes
        made = pool.submit(store.call_sync, create_mailbox, anna.pk, "New")
        broken = pool.submit(store.call_sync, end_transaction)
        time.sleep(0.05)
        gate.set()
        assert isinstance(broken.exception(), StoreUnavailable)
        assert made.result() == mailbox_id(anna, "New")


@on_postgres
def test_a_server_that_was_started_anew_costs_nobody_an_error(anna: User) -> None:
    store.call_sync(append, hello(anna))
    _end_other_sessions()
    assert store.call_sync(append, hello(anna))[0].uid == 2


@on_postgres
def test_readers_connect_again(anna: User) -> None:
    async def by_every_reader() -> None:
        for _ in range(8):
            assert (await store.read(mailbox_by_name, anna.pk, "INBOX")).messages == 0

    asyncio.run(by_every_reader())
    _end_other_sessions()
    asyncio.run(by_every_reader())


@on_postgres
def test_a_session_that_ends_within_the_transaction_is_tried_again(anna: User) -> None:
    turns: list[int] = []

    def act(tx: Transaction) -> int:
        turns.append(1)
        if len(turns) == 1:
            connection.connection.close()
        return create_mailbox(tx, anna.pk, "New")

    assert store.call_sync(act) == mailbox_id(anna, "New")
    assert len(turns) == 2


@on_postgres
def test_a_commit_whose_answer_is_lost_does_not_run_twice(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = type(connections["default"])
    commit = wrapper._commit

    def commit_and_die(self: object) -> None:
        commit(self)
        if threading.current_thread().name == "store":
            self.connection.close()  # type: ignore[attr-defined]
            raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch, pytest.raises(StoreUnavailable):
        patch.setattr(wrapper, "_commit", commit_and_die)
        store.call_sync(append, hello(anna))
    assert MailboxMessage.objects.count() == 1


@on_postgres
def test_who_comes_second_sees_what_the_first_did(anna: User) -> None:
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Mailbox.objects.create(owner=anna, name="Twin", uid_validity=1)
            second = pool.submit(store.call_sync, create_mailbox, anna.pk, "Twin")
            _wait_for_a_waiting_session()
        assert isinstance(second.exception(), MailboxExists)


def _end_other_sessions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    # asgiref's one thread outlives this test, and other tests ask on it: it needs a new connection.
    SyncToAsync.single_thread_executor.submit(lambda: connection.close()).result()  # resolved there


def _wait_for_a_waiting_session() -> None:
    until = time.monotonic() + 20
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            assert time.monotonic() < until
            time.sleep(0.01)
