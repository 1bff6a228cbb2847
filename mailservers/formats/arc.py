"""ARC sets of a message (RFC 8617 section 4): collected and their structure checked. `checks.arc` verifies seals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .authentication_results import AuthenticationResults, parse_results
from .dkim_signature import check_algorithm, check_domain
from .tag_list import TagListError, parse_base64, parse_number, parse_tag_list

MAX_SETS = 50

AAR, AMS, AS = b"arc-authentication-results", b"arc-message-signature", b"arc-seal"
_INSTANCE = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*(\d{1,2})[ \t\r\n]*(;|\Z)")
_ANY_INSTANCE = re.compile(rb"(?:\A|;)[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*(\d{1,2})[ \t\r\n]*(?:;|\Z)")


_SAYS_FAIL = re.compile(rb";[ \t\r\n]*cv[ \t\r\n]*=[ \t\r\n]*fail[ \t\r\n]*(?:;|\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Seal:
    """An ARC-Seal's tags."""

    algorithm: str
    chain_validation: str  # none, pass, fail
    domain: str
    selector: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class ArcSet:
    """One hop: its three fields with all their octets, and what the seal says."""

    results: bytes
    message_signature: bytes
    seal_field: bytes
    seal: Seal

    def authentication_results(self) -> AuthenticationResults:
        value = self.results.partition(b":")[2]
        found = _INSTANCE.match(value)
        return parse_results(value[found.end() :] if found else value)


def collect_sets(fields: Mapping[bytes, list[bytes]]) -> list[ArcSet]:
    """The chain from instance 1 on; empty without ARC fields. `fields`: all octets of each, by lower-case name.

    Raises `TagListError` for what makes the chain "fail" by its structure (section 5.2, steps 1 to 3)."""
    if not any(fields.get(name) for name in (AAR, AMS, AS)):
        return []
    by_name = {name: _by_instance(fields.get(name, [])) for name in (AAR, AMS, AS)}
    count = len(by_name[AS])
    if count > MAX_SETS:
        raise TagListError(f"more than {MAX_SETS} ARC sets")
    if any(sorted(found) != list(range(1, count + 1)) for found in by_name.values()):
        raise TagListError("the ARC sets are not complete")
    sets = [
        ArcSet(by_name[AAR][i], by_name[AMS][i], by_name[AS][i], parse_seal(by_name[AS][i].partition(b":")[2]))
        for i in range(1, count + 1)
    ]
    for at, arc_set in enumerate(sets):
        if arc_set.seal.chain_validation != ("pass" if at else "none"):
            raise TagListError(f"the seal {at + 1} says cv={arc_set.seal.chain_validation}")
    return sets


def _by_instance(fields: list[bytes]) -> dict[int, bytes]:
    if len(fields) > MAX_SETS:
        raise TagListError(f"more than {MAX_SETS} ARC sets")
    found: dict[int, bytes] = {}
    for field in fields:
        match = _ANY_INSTANCE.search(field.partition(b":")[2])
        instance = int(match[1]) if match else 0
        if instance in found:
            raise TagListError(f"the ARC instance {instance} is there twice")
        found[instance] = field
    return found


def highest_instance(fields: Mapping[bytes, list[bytes]]) -> int:
    """Of whatever ARC fields there are, sound or not; 0 without any."""
    found = (
        _ANY_INSTANCE.search(field.partition(b":")[2]) for name in (AAR, AMS, AS) for field in fields.get(name, [])
    )
    return max((int(match[1]) for match in found if match), default=0)


def has_failed(fields: Mapping[bytes, list[bytes]]) -> bool:
    """Has somebody already sealed that the chain is broken (section 5.1, step 2)?"""
    return any(_SAYS_FAIL.search(field) for field in fields.get(AS, []))


def parse_seal(value: bytes) -> Seal:
    """Raises `TagListError`."""
    try:
        tags = parse_tag_list(value.decode("utf-8"))
    except UnicodeDecodeError:
        raise TagListError("the seal is not UTF-8") from None
    for name in ("i", "a", "b", "cv", "d", "s"):
        if not tags.get(name):
            raise TagListError(f"{name}= is missing in a seal")
    if "h" in tags:  # section 4.1.3
        raise TagListError("a seal has h=")
    parse_number(tags["i"], "i", 2)
    return Seal(
        check_algorithm(tags["a"]),
        tags["cv"].lower(),
        check_domain(tags["d"], "d"),
        check_domain(tags["s"], "s"),
        parse_base64(tags["b"], "b"),
    )
