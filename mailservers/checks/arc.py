"""ARC: what forwarders saw before they changed the message (RFC 8617 section 5.2).

Any error makes the chain `fail`, the DNS's too (section 5.2.1); a failed chain counts as none. A good chain is only
as good as its sealers: what the first of them saw counts when all of them are trusted (ARC_TRUSTED_SEALERS).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from mailservers.checks.dkim import SignedMessage, Unverified, fetch_keys, verify_digest, verify_signature
from mailservers.checks.spf import Ask
from mailservers.formats.arc import ArcSet, collect_sets
from mailservers.formats.authentication_results import AuthenticationResults
from mailservers.formats.dkim_signature import KeyRecord, Signature, canonical_field, parse_arc_signature
from mailservers.formats.dkim_signature import without_signature as emptied
from mailservers.formats.octets import Octets
from mailservers.formats.tag_list import TagListError
from mailservers.store.content import IN_THREAD_OVER


@dataclass(frozen=True, slots=True)
class ArcOutcome:
    """`result`: none, pass, fail. `sealers`: d= of each seal, the oldest first; `seen`: what the first one saw."""

    result: str
    reason: str = ""
    sealers: tuple[str, ...] = ()
    seen: AuthenticationResults | None = None

    def is_trusted(self, trusted: Sequence[str]) -> bool:
        return self.result == "pass" and set(self.sealers) <= {name.lower() for name in trusted}


async def verify_arc(ask: Ask, content: Octets) -> ArcOutcome:
    """Never raises."""
    message = SignedMessage.of(content)
    try:
        sets = collect_sets(message.fields)
        if not sets:
            return ArcOutcome("none")
        _, newest = parse_arc_signature(sets[-1].message_signature.partition(b":")[2].rstrip(b"\r\n"))
    except TagListError as error:
        return ArcOutcome("fail", str(error))
    keys = await fetch_keys(ask, [newest, *(_as_signature(arc_set) for arc_set in sets)])
    sealers = tuple(arc_set.seal.domain for arc_set in sets)
    try:
        if len(content) > IN_THREAD_OVER:
            await asyncio.to_thread(_verify_chain, message, sets, newest, keys)
        else:
            _verify_chain(message, sets, newest, keys)
    except Unverified as error:
        return ArcOutcome("fail", str(error), sealers)
    return ArcOutcome("pass", "", sealers, sets[0].authentication_results())


def _as_signature(arc_set: ArcSet) -> Signature:
    """A seal, for its key to be looked up as a signature's is."""
    seal = arc_set.seal
    return Signature(
        seal.algorithm, True, True, seal.domain, seal.selector, "", (), b"", seal.signature, None, None, None
    )


def _verify_chain(
    message: SignedMessage, sets: Sequence[ArcSet], newest: Signature, keys: Sequence[KeyRecord | Unverified]
) -> None:
    """Steps 4 and 6. Raises `Unverified`."""
    for key in keys:
        if isinstance(key, Unverified):
            raise key
    records = [key for key in keys if isinstance(key, KeyRecord)]
    verify_signature(message, sets[-1].message_signature, newest, records[0], b"arc-message-signature")
    before = hashlib.sha256()
    for arc_set, record in zip(sets, records[1:], strict=True):
        before.update(canonical_field(arc_set.results, is_relaxed=True))
        before.update(canonical_field(arc_set.message_signature, is_relaxed=True))
        sealed = before.copy()
        sealed.update(emptied(arc_set.seal_field, is_relaxed=True))
        if arc_set.seal.algorithm == "rsa-sha1":
            raise Unverified("policy", "a seal is rsa-sha1")
        if not record.key:
            raise Unverified("fail", "the key of a seal has been revoked")
        verify_digest(arc_set.seal.algorithm, record, arc_set.seal.signature, sealed.digest())
        before.update(canonical_field(arc_set.seal_field, is_relaxed=True))
