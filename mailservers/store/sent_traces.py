"""Finding the trace of a message by its copy in Sent: which traces a user's Message-ID has."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mailservers.formats.threads import digest
from mailservers.models import SentTrace
from mailservers.store.inserting import insert
from mailservers.store.transaction import Transaction

MAX_TRACES = 50  # of one message
FORGOTTEN_AT_ONCE = 2000


def remember_traces(tx: Transaction, sent: Iterable[tuple[int, str, str]]) -> None:
    """Part of the operation that accepts users' messages: (sender id, Message-ID, trace id) of each."""
    rows = [(sender_id, digest(field), trace_id, tx.now) for sender_id, field, trace_id in sent]
    insert(SentTrace, ("sender_id", "message_key", "trace_id", "at"), rows, want_ids=False)


def traces_of(sender_id: int, message_id_field: str) -> list[str]:
    """The traces under which this user sent a message with this Message-ID, in order."""
    if not message_id_field:
        return []
    rows = SentTrace.objects.filter(sender_id=sender_id, message_key=digest(message_id_field))
    return list(rows.order_by("pk").values_list("trace_id", flat=True)[:MAX_TRACES])


def forget_sent_traces(tx: Transaction, before: datetime) -> int:
    """Store operation: forget the oldest rows from before then; how many, at most FORGOTTEN_AT_ONCE."""
    oldest = SentTrace.objects.order_by("pk").values_list("pk", "at")[:FORGOTTEN_AT_ONCE]
    gone = [pk for pk, at in oldest if at < before]
    if gone:
        SentTrace.objects.filter(pk__in=gone).delete()
    return len(gone)
