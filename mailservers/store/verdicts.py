"""What the checks said of a message, kept beside it as long as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mailservers.models import MessageVerdict


@dataclass(frozen=True, slots=True)
class Verdict:
    """`data`: as `Opinion.as_data` gives it."""

    trace_id: str
    score: float
    data: dict[str, Any]


def write_verdicts(verdicts: Iterable[tuple[int, Verdict]]) -> None:
    """(message id, verdict)…; of the same content the first verdict stays."""
    rows = [MessageVerdict(message_id=pk, trace_id=v.trace_id, score=v.score, data=v.data) for pk, v in verdicts]
    if rows:
        MessageVerdict.objects.bulk_create(rows, ignore_conflicts=True)


def read_verdict(message_id: int) -> Verdict | None:
    """None: the message was not checked."""
    row = MessageVerdict.objects.filter(pk=message_id).first()
    return None if row is None else Verdict(row.trace_id, row.score, row.data)
