"""The clock by which deleted mail expires, and the sweeping of what has.

It counts the seconds for which a server was seen running, and never asks what time it is: a system clock that jumps,
by a day or by a year, forward or back, makes nothing expire early. While no server runs it stands still, so mail is
kept for the set number of days at least, and longer by the time the server was off.

Several processes share it. Each looks every LOOK_EVERY_S; only who finds that nobody has moved it since its own last
look adds the time since then, by compare-and-set on `beat`. So no stretch of time is ever counted twice.
"""

from __future__ import annotations

from django.conf import settings
from django.db.models import F

from mailservers.models import DeletedMessage, RetentionClock
from mailservers.store.removing import forget_messages
from mailservers.store.transaction import Transaction

LOOK_EVERY_S = 600
STEP = 500  # messages in one transaction
DAY_S = 24 * 3600


def advance_clock(tx: Transaction, seen_beat: int | None, elapsed_s: int) -> int:
    """Add `elapsed_s`, the monotonic seconds since this process's last look, if nobody has since; the beat seen now.

    `seen_beat`: what the last look returned, None for the first."""
    if seen_beat is not None:
        mine = RetentionClock.objects.filter(pk=1, beat=seen_beat)
        if mine.update(elapsed_s=F("elapsed_s") + max(0, elapsed_s), beat=seen_beat + 1):
            return seen_beat + 1
    clock, _ = RetentionClock.objects.get_or_create(pk=1)
    return clock.beat


def read_clock() -> int:
    return RetentionClock.objects.filter(pk=1).values_list("elapsed_s", flat=True).first() or 0


def sweep_deleted(tx: Transaction) -> int:
    """Forget up to STEP of the deleted messages whose time is over; how many there were."""
    clock = read_clock()
    # A message's own reading is up to one look old, and a look may come late: it may be younger than it seems.
    over = clock - settings.UNDELETE_DAYS * DAY_S - 2 * LOOK_EVERY_S if settings.UNDELETE_DAYS > 0 else clock
    expired = DeletedMessage.objects.filter(clock_s__lte=over).order_by("clock_s")
    return forget_deleted(tx, list(expired.values_list("pk", "message_id")[:STEP]))


def forget_deleted(tx: Transaction, rows: list[tuple[int, int]]) -> int:
    """Take (row id, message id) out of the deleted ones for good: rows, contents, files."""
    DeletedMessage.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    forget_messages(tx, [message_id for _, message_id in rows])
    return len(rows)
