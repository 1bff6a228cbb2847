"""Is the installation well? Each thing that is looked at, what it says in a sentence, and whether it needs somebody."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cryptography import x509
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Min
from django.utils import timezone

from accounts.models import ServerCertificate
from accounts.services.certificates import WARN_DAYS
from accounts.services.server_values import get_value, set_value
from mailservers.models import QueuedRecipient
from mailservers.outbound.leases import WAITING_STATES
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.room import require_room
from mailservers.store.searching.texts import indexed_up_to, last_message
from mailservers.store.tracing import feeding
from mailservers.store.transaction import Transaction

REMEMBERED_S = 2.0
LAST_BACKUP, LAST_CHECK = "backup.last", "check.last"  # ServerValues: when (ISO), and how many faults
DAY_S = 86400.0
BACKUP_DAYS = 2
CHECK_DAYS = 32
QUEUE_S = 4 * 3600.0
INDEX_MESSAGES = 5000
EVENTS = 50_000


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"  # somebody should look at it
    DOWN = "down"  # mail cannot be accepted


@dataclass(frozen=True, slots=True)
class Check:
    """`number`: for metrics, in the unit that the name says; None where there is none."""

    name: str
    title: str
    level: Level
    words: str
    number: float | None = None


def look() -> list[Check]:
    """All of them. For threads; never raises: what cannot be looked at is down."""
    return [_guarded(name, title, check) for name, title, check in CHECKS]


def look_lately() -> list[Check]:
    """The same, not made anew more than every REMEMBERED_S: strangers may ask."""
    global _remembered
    at, checks = _remembered
    if time.monotonic() - at > REMEMBERED_S:
        checks = look()
        _remembered = (time.monotonic(), checks)
    return checks


def worst(checks: list[Check]) -> Level:
    order = list(Level)
    return max((check.level for check in checks), key=order.index, default=Level.OK)


def note_backup(tx: Transaction, faults: int) -> None:
    """Store operation: a backup was made."""
    set_value(tx, LAST_BACKUP, {"at": tx.now.isoformat(), "faults": faults})


def note_check(tx: Transaction, faults: int) -> None:
    """Store operation: the store was proved."""
    set_value(tx, LAST_CHECK, {"at": tx.now.isoformat(), "faults": faults})


_remembered: tuple[float, list[Check]] = (float("-inf"), [])
Result = tuple[Level, str, float | None]


def _guarded(name: str, title: str, check: Callable[[], Result]) -> Check:
    try:
        level, words, number = check()
    except (StoreError, DatabaseError, OSError, ValueError) as error:
        is_vital = name in ("database", "disk")
        return Check(name, title, Level.DOWN if is_vital else Level.WARN, f"Could not be looked at: {error}")
    return Check(name, title, level, words, number)


def _database() -> Result:
    """A transaction is written and committed, as for a message."""
    store.call_sync(_nothing)
    return Level.OK, "Writes are committed", None


def _nothing(tx: Transaction) -> None:
    """Store operation."""


def _disk() -> Result:
    disk = os.statvfs(settings.DATA_DIR)
    free, share = disk.f_bavail * disk.f_frsize, disk.f_bavail / max(1, disk.f_blocks)
    words = f"{free / 2**30:.1f} GiB free ({share:.0%})"
    try:
        require_room(0)
    except StoreError:
        return Level.DOWN, f"{words}: new mail is refused", free
    return (Level.WARN if share < 0.1 else Level.OK), words, free


def _certificate() -> Result:
    pem = _certificate_pem()
    if not pem:
        return Level.WARN, "Signed by ourselves: other programs warn of it", None
    ends = x509.load_pem_x509_certificate(pem).not_valid_after_utc
    days = (ends - timezone.now()).total_seconds() / DAY_S
    return _level(days > WARN_DAYS), f"Ends in {max(0, int(days))} days" if days > 0 else "Has ended", days


def _certificate_pem() -> bytes:
    if settings.TLS_CERT_FILE:
        with open(settings.TLS_CERT_FILE, "rb") as file:
            return file.read()
    row = ServerCertificate.objects.order_by("-pk").first()
    return row.chain.encode() if row is not None else b""


def _queue() -> Result:
    waiting = QueuedRecipient.objects.filter(state__in=WAITING_STATES)
    oldest = waiting.aggregate(at=Min("queued__created_at"))["at"]
    if oldest is None:
        return Level.OK, "Nothing waits", 0.0
    age = (timezone.now() - oldest).total_seconds()
    return _level(age < QUEUE_S), f"The oldest waits for {_span(age)}", age


def _backup() -> Result:
    return _last(LAST_BACKUP, BACKUP_DAYS, "No backup was made yet", "Made", "files were missing")


def _check() -> Result:
    return _last(LAST_CHECK, CHECK_DAYS, "Never proved; manage.py check does it", "Proved", "faults")


def _last(name: str, days: int, never: str, done: str, faulty: str) -> Result:
    value = get_value(name)
    if not value:
        return Level.WARN, never, None
    age = (timezone.now() - datetime.fromisoformat(value["at"]).astimezone(UTC)).total_seconds()
    faults = f", {value['faults']} {faulty}" if value["faults"] else ""
    return _level(age < days * DAY_S and not faults), f"{done} {_span(age)} ago{faults}", age


def _index() -> Result:
    behind = max(0, last_message() - indexed_up_to())
    return _level(behind < INDEX_MESSAGES), f"{behind} messages behind", float(behind)


def _events() -> Result:
    behind = feeding.backlog()
    return _level(behind < EVENTS), f"{behind} events behind", float(behind)


def _level(is_well: bool) -> Level:
    return Level.OK if is_well else Level.WARN


def _span(seconds: float) -> str:
    for size, name in ((DAY_S, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count != 1 else ''}"
    return f"{int(seconds)} seconds"


CHECKS: tuple[tuple[str, str, Callable[[], Result]], ...] = (
    ("database", "Database", _database),
    ("disk", "Disk", _disk),
    ("certificate", "Certificate", _certificate),
    ("queue", "Queue", _queue),
    ("backup", "Backup", _backup),
    ("check", "Store check", _check),
    ("index", "Search index", _index),
    ("events", "Trace and charts", _events),
)
