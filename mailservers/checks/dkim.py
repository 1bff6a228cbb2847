"""DKIM: who has signed the message, and does it still say what they signed? (RFC 6376 section 6, 8301, 8463)

At most MAX_SIGNATURES are looked at, from the top. What does not verify is worth as much as nothing (section 6.3).
Distrusted, with the result `policy`: rsa-sha1 and RSA keys under 1,024 bits (RFC 8301), keys too long to be meant
well, and signatures that leave a part of the body out (l=), since anybody may have written that part.

Hashing a large message is done in a thread. Canonicalisation is our own because dkimpy's is not linear in the octets
of the message (see `formats.dkim`). Never raises.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailservers.checks.spf import Ask
from mailservers.dns_client import BadName, DnsFailure
from mailservers.formats.dkim_body import body_digest
from mailservers.formats.dkim_signature import (
    KeyRecord,
    Signature,
    canonical_header,
    parse_key,
    parse_signature,
    without_signature,
)
from mailservers.formats.headers import fields_by_name, header_block, header_end
from mailservers.formats.octets import Octets, View
from mailservers.formats.tag_list import TagListError
from mailservers.store.content import IN_THREAD_OVER

MAX_SIGNATURES = 10
MAX_BODY_FORMS = 4  # simple or relaxed, whole or up to some l=: each costs a pass over the body
MIN_RSA_BITS, MAX_RSA_BITS = 1024, 8192
CLOCK_SKEW_S = 300
MAX_KEYS_KEPT = 1024


@dataclass(frozen=True, slots=True)
class DkimOutcome:
    """`result`: pass, fail, policy, neutral, temperror, permerror."""

    result: str
    reason: str = ""
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    signature_start: str = ""  # the first characters of b=, to tell signatures apart (RFC 6008)


class Unverified(Exception):
    """The signature is not good, and what to call that."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result


@dataclass(slots=True)
class SignedMessage:
    """A message taken apart for its signatures; the body is hashed once for each form, and for few forms."""

    content: Octets
    fields: Mapping[bytes, list[bytes]]
    body_start: int
    _hashes: dict[tuple[bool, int | None], tuple[bytes, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Octets) -> SignedMessage:
        own = content if isinstance(content, bytes) else View(content, 0, len(content))
        return cls(own, fields_by_name(header_block(own)), header_end(own))

    def body_hash(self, signature: Signature) -> bytes:
        """Raises `Unverified` for an l= beyond the body."""
        digest, size = self._digest(signature)
        if signature.length is not None and signature.length > size:
            raise Unverified("permerror", "l= is beyond the end of the message")
        return digest

    def uncovered_octets(self, signature: Signature) -> int:
        return 0 if signature.length is None else self._digest(signature)[1] - signature.length

    def _digest(self, signature: Signature) -> tuple[bytes, int]:
        key = (signature.body_is_relaxed, signature.length)
        if key not in self._hashes:
            if len(self._hashes) >= MAX_BODY_FORMS:
                raise Unverified("policy", "too many signatures, each of another part of the body")
            self._hashes[key] = body_digest(
                self.content, self.body_start, is_relaxed=signature.body_is_relaxed, length=signature.length
            )
        return self._hashes[key]


async def verify_dkim(ask: Ask, content: Octets) -> list[DkimOutcome]:
    """One outcome for each signature, from the top; empty for an unsigned message."""
    message = SignedMessage.of(content)
    fields = message.fields.get(b"dkim-signature", [])[:MAX_SIGNATURES]
    outcomes: list[DkimOutcome | None] = []
    wanted: list[tuple[int, bytes, Signature]] = []
    for at, text in enumerate(fields):
        try:
            signature = parse_signature(text.partition(b":")[2].rstrip(b"\r\n"))
        except TagListError as error:
            outcomes.append(DkimOutcome("permerror", str(error)))
        else:
            outcomes.append(None)
            wanted.append((at, text, signature))
    keys = await fetch_keys(ask, [signature for _, _, signature in wanted])

    def verify() -> None:
        for (at, text, signature), key in zip(wanted, keys, strict=True):
            outcomes[at] = _outcome(message, text, signature, key)

    if len(content) > IN_THREAD_OVER and wanted:
        await asyncio.to_thread(verify)
    else:
        verify()
    return [outcome for outcome in outcomes if outcome is not None]


def _outcome(message: SignedMessage, own: bytes, signature: Signature, key: KeyRecord | Unverified) -> DkimOutcome:
    result, reason = "pass", ""
    try:
        check_times(signature)
        if isinstance(key, Unverified):
            raise key
        verify_signature(message, own, signature, key, b"dkim-signature")
        uncovered = message.uncovered_octets(signature)
        if uncovered:
            raise Unverified("policy", f"{uncovered} octets of the body are not signed (l=)")
    except Unverified as error:
        result, reason = error.result, str(error)
    start = base64.b64encode(signature.signature[:6]).decode()
    return DkimOutcome(
        result, reason, signature.domain, signature.selector, signature.identity, signature.algorithm, start
    )


def check_times(signature: Signature) -> None:
    """x= and t= (section 3.5). Raises `Unverified`."""
    now = time.time()
    if signature.expires_at is not None and signature.expires_at + CLOCK_SKEW_S < now:
        raise Unverified("fail", "the signature has expired")
    if signature.signed_at is not None and signature.signed_at > now + 24 * 3600:
        raise Unverified("policy", "the signature is dated in the future")


# ---------------------------------------------------------------- keys


async def fetch_keys(ask: Ask, signatures: Sequence[Signature]) -> list[KeyRecord | Unverified]:
    """Each signature's key, or why there is none; all asked for at once."""
    return await asyncio.gather(*(_fetch_key(ask, s.selector, s.domain) for s in signatures))


async def _fetch_key(ask: Ask, selector: str, domain: str) -> KeyRecord | Unverified:
    try:
        answer = await ask(a_labels(f"{selector}._domainkey.{domain}"), "TXT")
        if not answer.records:
            return Unverified("permerror", "there is no key for the signature")
        return parse_key(answer.records[0])
    except DnsFailure as error:
        return Unverified("temperror", str(error))
    except (BadName, UnicodeError):
        return Unverified("permerror", "the key's name cannot be looked up")
    except TagListError as error:
        return Unverified("permerror", f"the key is malformed: {error}")


def a_labels(name: str) -> str:
    """U-labels may stand in fields (RFC 8616), never in questions. Raises UnicodeError."""
    if name.isascii():
        return name
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii") for label in name.split(".")
    )


@lru_cache(MAX_KEYS_KEPT)
def _public_key(kind: str, key: bytes) -> RSAPublicKey | Ed25519PublicKey | None:
    try:
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(key)
        loaded = load_der_public_key(key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return loaded if isinstance(loaded, RSAPublicKey) else None


# ---------------------------------------------------------------- verifying


def verify_signature(message: SignedMessage, own: bytes, signature: Signature, key: KeyRecord, own_name: bytes) -> None:
    """Section 6.1.3 for one signature field (`own`; `own_name` is its name). Raises `Unverified`."""
    check_key(signature, key)
    if not hmac.compare_digest(message.body_hash(signature), signature.body_hash):
        raise Unverified("fail", "the body has been changed")
    fields = message.fields
    if own_name.decode() in signature.signed:  # the field itself is never among them
        fields = {**fields, own_name: [other for other in fields[own_name] if other is not own]}
    covered = canonical_header(fields, signature.signed, is_relaxed=signature.header_is_relaxed)
    covered += without_signature(own, is_relaxed=signature.header_is_relaxed)
    verify_digest(signature.algorithm, key, signature.signature, hashlib.sha256(covered).digest())


def check_key(signature: Signature, key: KeyRecord) -> None:
    """Section 6.1.2: may this key vouch for this signature? Raises `Unverified`."""
    if signature.algorithm == "rsa-sha1":
        raise Unverified("policy", "rsa-sha1 is not trusted any more")
    if not key.key:
        raise Unverified("fail", "the key has been revoked")
    if not key.is_for_mail:
        raise Unverified("permerror", "the key is not for mail")
    if key.hashes and "sha256" not in key.hashes:
        raise Unverified("permerror", "the key is not for SHA-256")
    if key.is_strict and signature.identity.rpartition("@")[2].lower() != signature.domain:
        raise Unverified("permerror", "the key is not for subdomains")


def verify_digest(algorithm: str, record: KeyRecord, signature: bytes, digest: bytes) -> None:
    """With SHA-256. Raises `Unverified`. Ed25519 signs the digest, too (RFC 8463 section 3)."""
    if algorithm.partition("-")[0] != record.kind:
        raise Unverified("permerror", "the key is of another kind than the signature")
    key = _public_key(record.kind, record.key)
    if key is None:
        raise Unverified("permerror", "the key cannot be read")
    if isinstance(key, RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise Unverified("policy", f"a key of {key.key_size} bits is not trusted")
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
        else:
            key.verify(signature, digest)
    except InvalidSignature:
        raise Unverified("fail", "the signature does not match") from None
