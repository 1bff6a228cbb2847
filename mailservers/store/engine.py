"""The store thread: every write of this process, batched into one transaction at a time (group commit).

Callers hand over an operation and get its result only after the COMMIT that made it durable:

    uid = await store.call(append, owner_id, mailbox_id, [message])      # on the event loop
    uid = store.call_sync(append, owner_id, mailbox_id, [message])       # on any other thread

An operation is a plain function `op(tx, *args)` that touches only the database through Django's ORM (it may run
twice) and raises a `StoreError` to refuse. A function marked `@bulk` takes a list of items and returns a list of
results (or exceptions, one per item): all calls of it that wait together are run as one.

Invariants: results are handed out after COMMIT only; announcements (`Transaction`) go out after COMMIT and before
the results; an operation that fails leaves no trace and does not disturb the others of its batch.

Raises to callers: the operation's own `StoreError`; `StoreBusy` when STORE_QUEUE_LIMIT operations wait;
`StoreUnavailable` when the database or the disk failed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from mailservers.store.changes import hub
from mailservers.store.errors import StoreBusy, StoreError, StoreUnavailable
from mailservers.store.events import write_events
from mailservers.store.failures import Failure, Phase, as_store_error, classify, is_conflict, is_lost
from mailservers.store.readers import Readers
from mailservers.store.transaction import Transaction

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
Item = TypeVar("Item")
ATTEMPTS = 5  # of a transaction that met another process's, or a database server that was started anew

BulkOperation = Callable[[Transaction, list[Item]], "list[R | Exception]"]


def bulk(
    operation: Callable[[Transaction, list[Item]], list[R | Exception]],
) -> Callable[[Transaction, Item], R]:
    """Mark an operation as one that is run once for all of a batch's items; typed as called: with one item."""
    operation.is_bulk = True  # type: ignore[attr-defined]
    return operation  # type: ignore[return-value]


class _Call:
    __slots__ = ("args", "future", "kwargs", "loop", "operation", "outcome")

    def __init__(self, operation: Callable[..., Any], args: tuple, kwargs: dict) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.loop: asyncio.AbstractEventLoop | None = None
        self.future: Any = None
        self.outcome: Any = None  # a result, or an exception


class Store:
    """One per process (`store` below). The thread starts with the first call and ends with `close`."""

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        self._wake = threading.Condition()
        self._waking: asyncio.AbstractEventLoop | None = None  # the loop that will wake the store thread
        self._thread: threading.Thread | None = None
        self._closing = False
        self._readers: Readers | None = None
        self._phase = Phase.BEGINNING  # of the transaction that runs

    # ------------------------------------------------------------ writing

    async def call(
        self, operation: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `operation(tx, *args)` in the store thread; returns after its commit. For the event loop."""
        call = _Call(operation, args, kwargs)
        call.loop = loop = asyncio.get_running_loop()
        call.future = loop.create_future()
        self._queue(call)
        if self._waking is not loop:  # once, after all that this turn of the loop brings: they share a commit
            self._waking = loop
            loop.call_soon(self._notify)
        return await call.future

    def call_sync(self, operation: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The same for any thread that is not the event loop's (web views, management commands)."""
        call = _Call(operation, args, kwargs)
        call.future = concurrent.futures.Future()
        self._queue(call)
        self._notify()
        return call.future.result()

    def post(self, operation: Callable[Concatenate[Transaction, P], Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Hand over an operation that nobody waits for and whose occasion comes again: a full queue drops it.
        For `after_commit`, too: the store thread itself may call this."""
        call = _Call(operation, args, kwargs)
        call.future = concurrent.futures.Future()
        try:
            self._queue(call)
            self._notify()
        except StoreError as error:
            log.info("%s was put off: %s", operation.__name__, error)

    def _queue(self, call: _Call) -> None:
        with self._wake:
            if len(self._waiting) >= settings.STORE_QUEUE_LIMIT:
                raise StoreBusy("the mail store is busy; please try again")
            if self._closing:
                raise StoreUnavailable("the mail store is shutting down")
            self._waiting.append(call)

    def _notify(self) -> None:
        self._waking = None
        with self._wake:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store", daemon=True)
                self._thread.start()
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                if not self._waiting:
                    break
                take = min(len(self._waiting), settings.STORE_BATCH_LIMIT)
                calls = [self._waiting.popleft() for _ in range(take)]
            for group in _transactions(calls):
                self._run_batch(group)
        connection.close()

    def _run_batch(self, calls: list[_Call]) -> None:
        for turn in range(1, ATTEMPTS + 1):
            try:
                tx = self._attempt(calls)
            except Exception as error:
                failure = classify(error, self._phase)
                if self._phase is Phase.COMMITTING and connection.vendor == "sqlite":
                    _cover_failed_commit()
                _drop_broken_connection()
                if turn < ATTEMPTS and failure in (Failure.CONFLICT, Failure.LOST):
                    time.sleep(random.uniform(0, 0.02 * turn))  # so that two that met do not meet again
                    continue
                if len(calls) > 1 and failure is Failure.BROKEN:  # one of them broke it: let each stand alone
                    for call in calls:
                        self._run_batch([call])
                    return
                outcome = as_store_error(error)
                for call in calls:
                    call.outcome = outcome
            else:
                for act in tx.after_commit:
                    act()
                hub.publish(tx)
            break
        _resolve(calls)

    def _attempt(self, calls: list[_Call]) -> Transaction:
        """Run all calls in one transaction and commit it; raises what made the transaction itself fail."""
        tx = Transaction(now=timezone.now())
        self._phase = Phase.BEGINNING
        with transaction.atomic():
            self._phase = Phase.RUNNING
            _run_all(tx, calls)
            write_events(tx)
            if connection.needs_rollback:  # Django would roll back without a word
                raise DatabaseError("the transaction was broken")
            self._phase = Phase.COMMITTING
        return tx

    # ------------------------------------------------------------ reading

    async def read(self, query: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a read-only function on a reader thread with its own connection. Keep each one short: stream
        large answers in chunks. Readers never wait for the writer; what a resolved `call` wrote is seen."""
        if self._readers is None:
            self._readers = Readers(settings.STORE_READERS)
        return await self._readers.read(partial(read_here, query, *args, **kwargs))

    # ------------------------------------------------------------ ending

    def close(self) -> None:
        """Finish what waits, then end the threads. Further calls raise `StoreUnavailable`."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        if self._readers is not None:
            self._readers.close()

    def reopen(self) -> None:
        """Make a closed store usable again (tests start several servers in one process)."""
        self.__init__()  # type: ignore[misc]


def _transactions(calls: list[_Call]) -> list[list[_Call]]:
    """The calls as they are committed together.

    SQLite has one writer: all at once. On PostgreSQL each operation takes its row locks in id order, but two of them
    in one transaction would not, and processes would wait for each other in a circle: one operation a transaction,
    a bulk operation with all its items."""
    if connection.vendor == "sqlite":
        return [calls]
    bulks: dict[Callable[..., Any], list[_Call]] = {}
    groups: list[list[_Call]] = []
    for call in calls:
        if not getattr(call.operation, "is_bulk", False):
            groups.append([call])
        elif call.operation in bulks:
            bulks[call.operation].append(call)
        else:
            bulks[call.operation] = [call]
            groups.append(bulks[call.operation])
    return groups


def _run_all(tx: Transaction, calls: list[_Call]) -> None:
    bulks: dict[Callable[..., Any], list[_Call]] = {}
    if len(calls) == 1 and not getattr(calls[0].operation, "is_bulk", False):  # no savepoint: if it fails, all goes
        (call,) = calls
        call.outcome = call.operation(tx, *call.args, **call.kwargs)
        return
    if len({call.operation for call in calls}) == 1 and getattr(calls[0].operation, "is_bulk", False):
        # The common case: all one bulk operation. If it fails, the caller lets each stand alone.
        outcomes = calls[0].operation(tx, [call.args[0] for call in calls])
        for call, outcome in zip(calls, outcomes, strict=True):
            call.outcome = outcome
        return
    for call in calls:
        if getattr(call.operation, "is_bulk", False):
            bulks.setdefault(call.operation, []).append(call)
        else:
            _run_one(tx, call)
    for operation, group in bulks.items():
        _run_bulk(tx, operation, group)


def _run_one(tx: Transaction, call: _Call) -> None:
    mark = tx.mark()
    try:
        with transaction.atomic():
            call.outcome = call.operation(tx, *call.args, **call.kwargs)
    except Exception as error:
        if _ends_transaction(error):
            raise
        tx.back_to(mark)
        call.outcome = as_store_error(error)


def _run_bulk(tx: Transaction, operation: Callable[..., Any], group: list[_Call]) -> None:
    mark = tx.mark()
    try:
        with transaction.atomic():
            outcomes = operation(tx, [call.args[0] for call in group])
    except Exception as error:
        if _ends_transaction(error):
            raise
        tx.back_to(mark)
        if len(group) > 1:
            for call in group:
                _run_bulk(tx, operation, [call])
            return
        outcomes = [as_store_error(error)]
    for call, outcome in zip(group, outcomes, strict=True):
        call.outcome = outcome


def _cover_failed_commit() -> None:
    """SQLite writes a transaction to its log, and only then finds that it cannot be fsynced: gone for this process, it
    would be back after a crash. Another one takes its place in the log, were it never fsynced either."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE mailservers_uidvalidity SET value = value + 1")  # it may have gaps
    except DatabaseError:
        log.info("the disk still fails")


def _drop_broken_connection() -> None:
    """The next statement makes a new one."""
    try:
        connection.close_if_unusable_or_obsolete()
    except (DatabaseError, InterfaceError):  # it looks by connecting, and the server is still away
        pass


def _ends_transaction(error: Exception) -> bool:
    """Is the whole transaction gone, and not the operation alone that met the error?"""
    return connection.needs_rollback or is_conflict(error) or is_lost(error)


def read_here(query: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """`store.read` on the calling thread and its own connection, for threads that Django does not look after."""
    try:
        try:
            return query(*args, **kwargs)
        except (DatabaseError, InterfaceError) as error:
            if not is_lost(error):
                raise
            connection.close()  # the server was started anew: once more, on a new connection
            return query(*args, **kwargs)
    except (DatabaseError, InterfaceError) as error:
        _drop_broken_connection()
        raise as_store_error(error) from error


def _resolve(calls: list[_Call]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[_Call]] = {}
    for call in calls:
        if call.loop is None:
            _settle(call)
        else:
            loops.setdefault(call.loop, []).append(call)
    for loop, group in loops.items():
        try:
            loop.call_soon_threadsafe(_settle_all, group)
        except RuntimeError:  # the loop has ended: nobody waits any more
            pass


def _settle_all(calls: list[_Call]) -> None:
    for call in calls:
        if not call.future.cancelled():
            _settle(call)


def _settle(call: _Call) -> None:
    if isinstance(call.outcome, Exception):
        call.future.set_exception(call.outcome)
    else:
        call.future.set_result(call.outcome)


store = Store()
