"""DMARC policy records (RFC 7489 section 6.3; np= from RFC 9091)."""

from __future__ import annotations

from dataclasses import dataclass

from .tag_list import TagListError, parse_number, parse_tag_list

POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """What the owner of a domain asks for."""

    policy: str
    subdomain_policy: str
    absent_policy: str  # of subdomains that are not in the DNS
    dkim_is_strict: bool = False
    spf_is_strict: bool = False
    percent: int = 100


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
