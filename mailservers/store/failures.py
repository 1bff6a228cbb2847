"""What a failed transaction means for those who wait for it.

The one thing that must never happen is to run operations again that may have been committed: a connection that dies
during COMMIT leaves that open, so nobody is answered with success and nothing runs again. Everything else was rolled
back for certain.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from enum import Enum, auto

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from mailservers.store.errors import StoreError, StoreFull, StoreUnavailable

log = logging.getLogger(__name__)

# PostgreSQL: what another process's transaction can do to ours; run again, it finds things as they are then.
_CONFLICTS = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "23505",  # unique_violation: the other made the same row
    "23503",  # foreign_key_violation: the other removed what ours refers to
}
_SHUTDOWN = {"57P01", "57P02", "57P03"}  # by an administrator, after a crash, not yet ready


class Phase(Enum):
    """How far a transaction had come."""

    BEGINNING = auto()
    RUNNING = auto()
    COMMITTING = auto()


class Failure(Enum):
    CONFLICT = auto()  # another process was in the way: the same again
    LOST = auto()  # the connection died before COMMIT: the same again, on a new one
    UNKNOWN = auto()  # the connection died during COMMIT: never again
    NO_START = auto()  # not one operation ran: the database is locked or gone
    BROKEN = auto()  # one of the operations, or the disk: each alone


def classify(error: Exception, phase: Phase) -> Failure:
    """What to do, after the rollback."""
    if is_conflict(error):
        return Failure.CONFLICT
    if is_lost(error):
        return Failure.UNKNOWN if phase is Phase.COMMITTING else Failure.LOST
    if phase is Phase.BEGINNING and isinstance(error, DatabaseError | InterfaceError):
        return Failure.NO_START
    return Failure.BROKEN


def is_conflict(error: BaseException) -> bool:
    return connection.vendor == "postgresql" and _sqlstate(error) in _CONFLICTS


def is_lost(error: BaseException) -> bool:
    """Has the session with the database server ended? SQLite has none."""
    if connection.vendor == "sqlite" or not isinstance(error, OperationalError | InterfaceError):
        return False
    return _sqlstate(error)[:2] in ("", "08") or _sqlstate(error) in _SHUTDOWN


def _sqlstate(error: BaseException) -> str:
    """Empty for what the client library found out by itself, such as a closed connection."""
    return getattr(error.__cause__, "sqlstate", None) or ""


def as_store_error(error: Exception) -> Exception:
    """What the caller is told; an error that is a bug of ours stays what it is."""
    if isinstance(error, StoreError) or not isinstance(error, DatabaseError | InterfaceError | OSError):
        return error
    if is_full(error):
        log.error("the disk is full: %s", error)
        return StoreFull("there is no room for more mail; please try again later")
    log.error("the database or the disk failed", exc_info=error)
    return StoreUnavailable("the mail store is not available; please try again later")


def is_full(error: BaseException) -> bool:
    """Has the disk no room left? An OSError of ours, or the database's."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or _sqlstate(error) == "53100"
