"""The record of what administrators did: append-only, and a chain of hashes, so that tampering shows.

Each entry's `chain` is a SHA-256 over the one before it and all that the entry says. The last hash and the number of
entries are kept in a `ServerValue` as well, whose lock makes entries follow one another where several processes write:
an entry that is changed, taken out, put in between, or cut off at the end no longer fits. Whoever can write to the
database could make the whole chain anew; the head, written down elsewhere, shows that, too (`manage.py audit verify
--head`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from accounts.models import AuditEntry, ServerValue

COMMAND_LINE = "command line"
HEAD = "audit.head"
LOOKED_AT = 20_000  # entries that a page proves


def record(actor: str, action: str, subject: str, **detail: Any) -> None:
    """One entry, in the transaction of the act. `action` is "<thing>.<verb>"; `detail` holds no secret."""
    ServerValue.objects.get_or_create(pk=HEAD, defaults={"value": {"chain": "", "count": 0}})
    head = ServerValue.objects.select_for_update().get(pk=HEAD)
    detail = json.loads(json.dumps(detail))  # as it will be read
    entry = AuditEntry(at=timezone.now(), actor=actor[:320], action=action, subject=subject[:320], detail=detail)
    entry.chain = link(head.value["chain"], entry.at, entry.actor, action, entry.subject, detail)
    entry.save(force_insert=True)
    head.value = {"chain": entry.chain, "count": head.value["count"] + 1}
    head.save(update_fields=["value"])


def link(before: str, at: datetime, actor: str, action: str, subject: str, detail: Any) -> str:
    """The hash of an entry that follows the one whose hash is `before` ("" for the first)."""
    said = [before, at.astimezone(UTC).isoformat(timespec="microseconds"), actor, action, subject, detail]
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Proof:
    """`fault`: a sentence about the first thing that does not fit, "" when all does. `proved` of `count` entries were
    looked at, the newest. `head`: the last hash."""

    fault: str
    proved: int
    count: int
    head: str
    has_known_head: bool = True


def verify(last: int | None = None, known_head: str = "") -> Proof:
    """Prove the chain, or its `last` entries. `known_head`: a hash that was written down earlier must be in it."""
    rows = AuditEntry.objects.order_by("pk")
    head = ServerValue.objects.filter(pk=HEAD).values_list("value", flat=True).first() or {"chain": "", "count": 0}
    count, before = rows.count(), ""
    if last is not None and count > last:
        first = rows.values_list("pk", flat=True)[count - last]
        before = rows.filter(pk__lt=first).values_list("chain", flat=True).last() or ""
        rows = rows.filter(pk__gte=first)
    proved, is_known = 0, not known_head
    for entry in rows.iterator(chunk_size=1000):
        if entry.chain != link(before, entry.at, entry.actor, entry.action, entry.subject, entry.detail):
            fault = f"Entry {entry.pk} of {entry.at:%Y-%m-%d %H:%M:%S} UTC, or the one before it, was tampered with."
            return Proof(fault, proved, count, before, is_known)
        before, proved = entry.chain, proved + 1
        is_known = is_known or before == known_head
    fault = "" if (head["chain"], head["count"]) == (before, count) else "Entries are missing at the end of the record."
    return Proof(fault, proved, count, before, is_known)
