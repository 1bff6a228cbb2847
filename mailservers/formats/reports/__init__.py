"""Aggregate reports of others about us, and ours about them: DMARC (RFC 7489) and TLS-RPT (RFC 8460)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DMARC, TLS = "dmarc", "tls"
MAX_ROWS = 10_000  # of one report


class InvalidReport(ValueError):
    """Not a report, or not one that can be read; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """`source`: DMARC: the IP address that mail came from; TLS: the mail host that was sent to. `count`: messages, or
    sessions. `is_good`: DMARC passed, or TLS came about as the policy wants. `detail`: what else was said."""

    source: str
    count: int
    is_good: bool
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AggregateReport:
    """`kind`: DMARC or TLS. `begin`, `end`: seconds since 1970."""

    kind: str
    organisation: str
    report_id: str
    domain: str
    begin: int
    end: int
    rows: tuple[ReportRow, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """So many times the same was seen; `facts` as whoever counted wrote them."""

    facts: dict[str, Any]
    count: int
