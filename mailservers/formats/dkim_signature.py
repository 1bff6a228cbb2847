"""Reading DKIM-Signature and ARC-Message-Signature fields and their keys (RFC 6376 3.5, 3.6; 8301; 8463; 8617 4.1.2),
and the octets that a signature covers. No keys, no clock: `checks.dkim` verifies.

Raises `TagListError` for what makes a signature or a key worth nothing (permerror).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .tag_list import TagListError, colon_list, parse_base64, parse_number, parse_tag_list

ALGORITHMS = ("rsa-sha256", "ed25519-sha256", "rsa-sha1")  # the last is recognised so as to be refused (RFC 8301)
MAX_SIGNED_FIELDS = 1000

#   sub-domain *( "." sub-domain ), with "_" as seen in selectors; A-labels or U-labels (RFC 8616)
_DOMAIN = re.compile(r"(?:[A-Za-z0-9_\u0080-\U0010ffff](?:[A-Za-z0-9_\u0080-\U0010ffff-]{0,62})\.)*"
                     r"[A-Za-z0-9_\u0080-\U0010ffff](?:[A-Za-z0-9_\u0080-\U0010ffff-]{0,62})\Z")  # fmt: skip
_FIELD_NAME = re.compile(r"[!-9;<>-~]+\Z")
_CANON = re.compile(r"(simple|relaxed)(?:/(simple|relaxed))?\Z")
_EMPTY_B = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_BLANKS = re.compile(rb"[ \t]+")


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signature field says. `length` None: the whole body is covered."""

    algorithm: str
    header_is_relaxed: bool
    body_is_relaxed: bool
    domain: str
    selector: str
    identity: str  # i=; its domain is `domain` or below it
    signed: tuple[str, ...]  # field names in lower case, in the order of h=
    body_hash: bytes
    signature: bytes
    length: int | None
    signed_at: int | None
    expires_at: int | None


def parse_signature(value: bytes) -> Signature:
    """A DKIM-Signature's value."""
    tags = parse_tag_list(_decode(value))
    if tags.get("v") != "1":
        raise TagListError("v= is not 1")
    signature = _signature(tags)
    if "from" not in signature.signed:
        raise TagListError("From is not signed")
    identity_domain = signature.identity.rpartition("@")[2].lower()
    if identity_domain != signature.domain and not identity_domain.endswith("." + signature.domain):
        raise TagListError("i= is not within d=")
    return signature


def parse_arc_signature(value: bytes) -> tuple[int, Signature]:
    """(i=, the rest) of an ARC-Message-Signature: no v=, and ARC-Seal must not be signed (RFC 8617 4.1.2)."""
    tags = parse_tag_list(_decode(value))
    signature = _signature({**tags, "i": ""})
    if "arc-seal" in signature.signed:
        raise TagListError("ARC-Seal is signed")
    return parse_number(tags.get("i", ""), "i", 2), signature


def _decode(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise TagListError("the field is not UTF-8") from None


def _signature(tags: Mapping[str, str]) -> Signature:
    for name in ("a", "b", "bh", "d", "h", "s"):
        if not tags.get(name):
            raise TagListError(f"{name}= is missing")
    canon = _CANON.match(tags.get("c", "simple/simple").lower())
    if canon is None:
        raise TagListError("c= is not known")
    if "q" in tags and "dns/txt" not in (method.lower() for method in colon_list(tags["q"])):
        raise TagListError("q= names no way to the key")
    domain = _domain(tags["d"], "d")
    return Signature(
        check_algorithm(tags["a"]),
        canon[1] == "relaxed",
        canon[2] == "relaxed",
        domain,
        _domain(tags["s"], "s"),
        tags.get("i") or f"@{domain}",
        _field_names(tags["h"]),
        parse_base64(tags["bh"], "bh"),
        parse_base64(tags["b"], "b"),
        parse_number(tags["l"], "l", 76) if "l" in tags else None,
        *_times(tags),
    )


def _times(tags: Mapping[str, str]) -> tuple[int | None, int | None]:
    signed_at = parse_number(tags["t"], "t", 12) if "t" in tags else None
    expires_at = parse_number(tags["x"], "x", 12) if "x" in tags else None
    if signed_at is not None and expires_at is not None and expires_at <= signed_at:
        raise TagListError("x= is before t=")
    return signed_at, expires_at


def check_algorithm(value: str) -> str:
    algorithm = value.lower()
    if algorithm not in ALGORITHMS:
        raise TagListError("a= is not known")
    return algorithm


def check_domain(value: str, name: str) -> str:
    """A d= or s=, in lower case."""
    return _domain(value, name)


def _domain(value: str, name: str) -> str:
    if not _DOMAIN.match(value) or len(value) > 253:
        raise TagListError(f"{name}= is not a domain name")
    return value.lower()


def _field_names(value: str) -> tuple[str, ...]:
    names = tuple(name.lower() for name in colon_list(value))
    if len(names) > MAX_SIGNED_FIELDS or not all(_FIELD_NAME.match(name) for name in names):
        raise TagListError("h= is not a list of field names")
    return names


# ---------------------------------------------------------------- keys


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A selector's record. `key` is empty when the key is revoked."""

    kind: str  # rsa, ed25519
    key: bytes
    hashes: tuple[str, ...]  # empty: all
    is_for_mail: bool
    is_testing: bool
    is_strict: bool  # t=s: i= must be in the very domain of d=


def parse_key(record: bytes) -> KeyRecord:
    """The TXT record at selector._domainkey.domain (RFC 6376 3.6.1)."""
    tags = parse_tag_list(_decode(record))
    if "v" in tags and (tags["v"] != "DKIM1" or next(iter(tags)) != "v"):
        raise TagListError("the key's v= is not DKIM1")
    if "p" not in tags:
        raise TagListError("the record has no key")
    flags = colon_list(tags.get("t", ""))
    services = colon_list(tags.get("s", "*"))
    return KeyRecord(
        tags.get("k", "rsa").lower() or "rsa",
        parse_base64(tags["p"], "p"),
        tuple(h.lower() for h in colon_list(tags["h"])) if "h" in tags else (),
        "*" in services or "email" in services,
        "y" in flags,
        "s" in flags,
    )


# ---------------------------------------------------------------- what is covered


Field = tuple[bytes, bytes]  # name in lower case; all octets, CRLF included


def canonical_header(fields: Mapping[bytes, list[bytes]], names: tuple[str, ...], *, is_relaxed: bool) -> bytes:
    """The signed fields, from the bottom up for each name (5.4.2). `fields`: all octets of each, by lower-case name."""
    used: dict[bytes, int] = {}
    chosen = []
    for text in names:
        name = text.encode()
        present, taken = fields.get(name, ()), used.get(name, 0)
        used[name] = taken + 1
        if taken < len(present):
            chosen.append(canonical_field(present[-1 - taken], is_relaxed=is_relaxed))
    return b"".join(chosen)


def canonical_field(field: bytes, *, is_relaxed: bool) -> bytes:
    """One whole field, ending in CRLF (3.4.1, 3.4.2)."""
    if not is_relaxed:
        return field
    name, _, value = field.partition(b":")
    value = _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")
    return name.strip(b" \t").lower() + b":" + value + b"\r\n"


def without_signature(field: bytes, *, is_relaxed: bool) -> bytes:
    """The signature field itself, its b= emptied, without its last CRLF (3.7)."""
    name, colon, value = field.partition(b":")
    emptied = name + colon + _EMPTY_B.sub(rb"\1", value.removesuffix(b"\r\n"), count=1)
    return canonical_field(emptied + b"\r\n", is_relaxed=is_relaxed).removesuffix(b"\r\n")
