"""The greylist: who has been asked to come again, and who has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from mailservers.models import GreylistEntry
from mailservers.store.transaction import Transaction

MUST_COME_WITHIN = timedelta(days=2)
REMEMBERED = timedelta(days=36)  # a monthly sender is known the next time, too


def seen_before(tx: Transaction, keys: Sequence[bytes], delay_s: float) -> bool:
    """Store operation: may the message with these keys pass? Once it may, all of them do from then on."""
    found = {bytes(row.key): row for row in GreylistEntry.objects.filter(key__in=list(keys))}
    earliest, latest = tx.now - MUST_COME_WITHIN, tx.now - timedelta(seconds=delay_s)
    passes = any(row.has_passed or earliest <= row.first_seen <= latest for row in found.values())
    for key in keys:
        row = found.get(key)
        if row is None:
            row = GreylistEntry(key=key, first_seen=tx.now)
        elif not row.has_passed and not earliest <= row.first_seen <= tx.now:
            row.first_seen = tx.now  # too late, or the clock was set back: it begins anew
        row.last_seen = tx.now
        row.has_passed = row.has_passed or passes
        row.save()
    return passes


def prune_greylist(tx: Transaction) -> int:
    """Store operation: forget who never came again, and who has not written for long."""
    gone = GreylistEntry.objects.filter(has_passed=False, last_seen__lt=tx.now - MUST_COME_WITHIN)
    count = gone.delete()[0]
    return count + GreylistEntry.objects.filter(last_seen__lt=tx.now - REMEMBERED).delete()[0]
