"""Making an ARC set (RFC 8617 section 5.1): what we saw of a message, sealed before it is sent on.

What we saw is the Authentication-Results field that this host put on the message when it came. Nothing is sealed
where there is none, or where it does not say what became of the chain that is there: who did not look, vouches for
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .arc import AAR, AMS, AS, MAX_SETS, collect_sets, has_failed, highest_instance
from .authentication_results import parse_results
from .dkim import SIGNED_FIELDS, canonical_field, sign_fields, with_signature
from .headers import fields_by_name, header_block
from .octets import Octets
from .tag_list import TagListError

SEALED_FIELDS = (b"dkim-signature", *SIGNED_FIELDS)  # section 4.1.2


@dataclass(frozen=True, slots=True)
class Sealer:
    """`domain` in A-labels; `sign`: RSASSA-PKCS1-v1_5 with SHA-256 of its argument."""

    domain: str
    selector: str
    sign: Callable[[bytes], bytes]


def own_results(header: bytes, authserv_id: str) -> bytes | None:
    """The value of the Authentication-Results that this host wrote, without the last line end."""
    for field in fields_by_name(header).get(b"authentication-results", []):
        value = field.partition(b":")[2]
        if parse_results(value).authserv_id.lower() == authserv_id.lower():
            return value.strip()
    return None


def arc_set(message: Octets, authserv_id: str, sealer: Sealer, sealed_at: int) -> bytes:
    """The three fields to put in front of `message` (CRLF line ends only); empty where nothing is to be sealed.

    `sealed_at`: seconds since 1970."""
    header = header_block(message)
    results = own_results(header, authserv_id)
    fields = fields_by_name(header)
    instance = highest_instance(fields) + 1
    status = None if results is None else _chain_status(fields, results)
    if results is None or status is None or instance > MAX_SETS:
        return b""
    signed = f"a=rsa-sha256; d={sealer.domain}; s={sealer.selector};\r\n\tt={sealed_at}"
    aar = b"ARC-Authentication-Results: i=%d; %s\r\n" % (instance, results)
    tags = f" i={instance}; c=relaxed/relaxed; {signed}"
    ams = sign_fields(message, b"ARC-Message-Signature", tags, SEALED_FIELDS, sealer.sign)
    value = f" i={instance}; cv={status}; {signed};\r\n\tb=".encode("ascii")
    before = b"" if status == "fail" else _earlier_sets(fields)  # section 5.1.2
    covered = before + _canonical(aar) + _canonical(ams) + canonical_field(b"ARC-Seal", value)
    return with_signature(b"ARC-Seal", value, sealer.sign(covered)) + ams + aar


def _chain_status(fields: Mapping[bytes, list[bytes]], results: bytes) -> str | None:
    """For cv=; None: not to be sealed."""
    if not any(fields.get(name) for name in (AAR, AMS, AS)):
        return "none"
    found = next((r.result for r in parse_results(results).results if r.method == "arc"), "")
    if found not in ("pass", "fail") or has_failed(fields):
        return None
    return found


def _earlier_sets(fields: Mapping[bytes, list[bytes]]) -> bytes:
    try:
        sets = collect_sets(fields)
    except TagListError:  # it was sound when it came, and is no more: our seal will tell by not being good
        return b""
    return b"".join(_canonical(field) for one in sets for field in (one.results, one.message_signature, one.seal_field))


def _canonical(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    return canonical_field(name, value.removesuffix(b"\r\n")) + b"\r\n"
