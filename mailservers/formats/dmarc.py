"""DMARC policy records (RFC 7489 section 6.3; np= from RFC 9091)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from .tag_list import TagListError, parse_number, parse_tag_list

POLICIES = ("none", "quarantine", "reject")
MAX_URIS = 10
_URI = re.compile(
    r"mailto:(?P<address>[^!?,;\s]+@[^!?,;\s]+)(?:!(?P<size>[0-9]{1,9})(?P<unit>[kmgt]?))?\Z", re.IGNORECASE
)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True)
class ReportUri:
    """Who wants aggregate reports (section 6.2), by mail; `max_octets` 0: of any size."""

    address: str
    max_octets: int = 0


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """What the owner of a domain asks for."""

    policy: str
    subdomain_policy: str
    absent_policy: str  # of subdomains that are not in the DNS
    dkim_is_strict: bool = False
    spf_is_strict: bool = False
    percent: int = 100
    reports: tuple[ReportUri, ...] = ()


def is_dmarc(record: bytes) -> bool:
    """Section 6.3: v=DMARC1 comes first, exactly so."""
    name, equals, rest = record.partition(b"=")
    return bool(equals) and name.strip() == b"v" and rest.partition(b";")[0].strip() == b"DMARC1"


def parse_dmarc(record: bytes) -> DmarcRecord:
    """A record for which `is_dmarc` holds. Raises `TagListError` when it is worth nothing (section 6.6.3, step 6)."""
    try:
        tags = parse_tag_list(record.decode("utf-8"))
    except UnicodeDecodeError:
        raise TagListError("the record is not UTF-8") from None
    policy = tags.get("p", "").lower()
    if policy not in POLICIES:
        if not tags.get("rua"):
            raise TagListError("p= is missing or unknown")
        policy = "none"  # the owner asks for reports only
    subdomain = _policy(tags, "sp", policy)
    return DmarcRecord(
        policy,
        subdomain,
        _policy(tags, "np", subdomain),
        tags.get("adkim", "r").lower() == "s",
        tags.get("aspf", "r").lower() == "s",
        _percent(tags),
        _report_uris(tags.get("rua", "")),
    )


def _report_uris(value: str) -> tuple[ReportUri, ...]:
    """What is no mailto: URI is passed over."""
    found = (_URI.match(uri.strip()) for uri in value.split(",")[:MAX_URIS])
    return tuple(
        ReportUri(unquote(uri["address"]), int(uri["size"] or 0) * _UNITS[uri["unit"].lower() if uri["unit"] else ""])
        for uri in found
        if uri is not None
    )


def _policy(tags: dict[str, str], name: str, default: str) -> str:
    value = tags.get(name, default).lower()
    return value if value in POLICIES else default


def _percent(tags: dict[str, str]) -> int:
    try:
        percent = parse_number(tags.get("pct", "100"), "pct", 3)
    except TagListError:
        return 100
    return percent if percent <= 100 else 100
