"""The exclusive lock on a maildrop (RFC 1939 section 4): one POP3 session for a user at a time, in all processes.

Within the process a set of user ids says who has it. Against other processes a lock is held that the system lets go
when the process dies, so that none is left behind by a crash: on SQLite, where all processes share a data directory, an
octet of a file (one octet a user: `fcntl`); on PostgreSQL, where they may be on different hosts, an advisory lock of a
connection kept for that. When that connection breaks, its locks are gone: two sessions may then meet, which does no
harm to the mail, because each works on its own snapshot of UIDs.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Protocol

from django.conf import settings
from django.db import Error, connection

log = logging.getLogger(__name__)

NAMESPACE = 0x504F50  # of the advisory locks: "POP"


class Shared(Protocol):
    """What other processes see."""

    async def acquire(self, user_id: int) -> bool: ...
    def release(self, user_id: int) -> None: ...


class FileLocks:
    """Octet `user_id` of a file in the data directory. POSIX locks belong to the process: one open file is enough."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None

    async def acquire(self, user_id: int) -> bool:
        if self._file is None:
            self._file = _open(settings.DATA_DIR / "pop3.lock")
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, user_id)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self, user_id: int) -> None:
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, user_id)


def _open(path: Path) -> IO[bytes]:
    return open(path, "ab")  # once, and for as long as the process lives


class AdvisoryLocks:
    """PostgreSQL's, by a thread of their own, whose connection holds them."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="maildrop locks")

    async def acquire(self, user_id: int) -> bool:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._try, user_id)

    def release(self, user_id: int) -> None:
        self._thread.submit(self._let_go, user_id)

    def _try(self, user_id: int) -> bool:
        try:
            return self._ask("SELECT pg_try_advisory_lock(%s, %s)", user_id)
        except Error:
            connection.close()  # it broke, and its locks with it
            return self._ask("SELECT pg_try_advisory_lock(%s, %s)", user_id)

    def _let_go(self, user_id: int) -> None:
        try:
            self._ask("SELECT pg_advisory_unlock(%s, %s)", user_id)
        except Error as error:
            connection.close()
            log.warning("the connection of the maildrop locks broke: %s", error)

    def _ask(self, statement: str, user_id: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(statement, [NAMESPACE, user_id % 2**31])
            return bool(cursor.fetchone()[0])


class MaildropLocks:
    """User ids whose maildrop is open. Used on the event loop only, so that no lock is needed for the lock."""

    def __init__(self, shared: Shared | None = None) -> None:
        self._held: set[int] = set()
        self._shared = shared

    async def acquire(self, user_id: int) -> bool:
        """False when another session has it."""
        if user_id in self._held:
            return False
        self._held.add(user_id)
        if self._shared is None:
            self._shared = AdvisoryLocks() if connection.vendor == "postgresql" else FileLocks()
        try:
            is_ours = await self._shared.acquire(user_id)
        except BaseException:
            self._held.discard(user_id)
            raise
        if not is_ours:
            self._held.discard(user_id)
        return is_ours

    def release(self, user_id: int) -> None:
        if user_id in self._held:
            self._held.discard(user_id)
            if self._shared is not None:
                self._shared.release(user_id)


maildrop_locks = MaildropLocks()
