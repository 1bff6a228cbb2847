"""Signing what our users send to other hosts (RFC 6376), with the keys of the domain in From: RSA for everybody, and
Ed25519 (RFC 8463) for those who know it.

Only messages that one of our users submitted are signed: what merely passes through here (forwarding) may say any
From it likes, and a signature would vouch for it. It gets an ARC set instead (RFC 8617), which only says what we saw:
with the RSA key of the domain that forwards, or else of our first domain that has one.

A message without From, or of a domain without an active key, goes out unsigned. Keys are kept for KEY_CACHE_S; a large
message is signed in a thread.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from functools import partial

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from django.conf import settings

from accounts.keys import RSA, KeyUnreadable, PrivateKey, load_private_key
from accounts.models import DkimKey
from mailservers.formats.addresses import parse_address_list
from mailservers.formats.arc_sealing import Sealer, arc_set, own_results
from mailservers.formats.dkim import Covered, sign_message
from mailservers.formats.headers import first_field, header_block
from mailservers.formats.mailbox_address import InvalidAddress
from mailservers.formats.octets import Octets
from mailservers.formats.outgoing import domain_on_wire
from mailservers.store.content import IN_THREAD_OVER
from mailservers.store.engine import store

log = logging.getLogger(__name__)

KEY_CACHE_S = 60.0
MAX_CACHED = 1000

ANY_DOMAIN = ""  # of ours: the first that has keys

SigningKey = tuple[str, str, PrivateKey, str]  # selector, algorithm, key, domain


class Signer:
    """One per runner: it remembers keys."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[float, list[SigningKey]]] = {}

    async def sign(self, message: Octets) -> bytes:
        """Its DKIM-Signatures, to be put in front, if any. `message` has CRLF line ends only."""
        domain = from_domain(message)
        keys = await self._keys_of(domain) if domain else []
        if not keys:
            return b""
        if len(message) <= IN_THREAD_OVER:
            return _signatures(message, domain, keys)
        return await asyncio.to_thread(_signatures, message, domain, keys)

    async def seal(self, message: Octets, reverse_path: str) -> bytes:
        """The ARC set to be put in front of a forwarded message, if any. `message` as for `sign`."""
        if own_results(header_block(message), settings.HOSTNAME) is None:
            return b""
        for domain in (reverse_path.rpartition("@")[2].lower(), ANY_DOMAIN):
            for selector, algorithm, key, owner in await self._keys_of(domain):
                if algorithm == RSA:
                    sealer = Sealer(domain_on_wire(owner), selector, partial(_signature, key))
                    work = partial(arc_set, message, settings.HOSTNAME, sealer, int(time.time()))
                    return await asyncio.to_thread(work) if len(message) > IN_THREAD_OVER else work()
        return b""

    async def _keys_of(self, domain: str) -> list[SigningKey]:
        known = self._keys.get(domain)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        keys = await store.read(_read_keys, domain)
        if len(self._keys) >= MAX_CACHED:
            self._keys.clear()
        self._keys[domain] = (time.monotonic() + KEY_CACHE_S, keys)
        return keys


def from_domain(message: Octets) -> str:
    """The domain of the first address in From, in lower case; "" if there is none."""
    value = first_field(header_block(message), b"from")
    if value is None:
        return ""
    return next((address.domain.lower() for address in parse_address_list(value) if address.is_mailbox), "")


def _read_keys(domain: str) -> list[SigningKey]:
    """The active keys of one of our domains, or of the first that has any (ANY_DOMAIN). Ed25519 comes first, so that
    RSA's signature stands on top."""
    rows = DkimKey.objects.filter(domain__is_active=True, is_active=True).select_related("domain")
    if domain == ANY_DOMAIN:
        rows = rows.filter(domain=rows.filter(algorithm=RSA).order_by("domain").values("domain")[:1])
    else:
        try:
            rows = rows.filter(domain__name__in={domain, domain_on_wire(domain)})
        except InvalidAddress:
            return []
    found: dict[str, SigningKey] = {}
    for row in rows.order_by("algorithm", "created_at", "pk"):
        try:
            found[row.algorithm] = (row.selector, row.algorithm, load_private_key(row), row.domain.name)
        except KeyUnreadable:
            log.error("the DKIM key %s of %s cannot be read: mail goes out without it", row.selector, domain)
    return list(found.values())


def _signatures(message: Octets, domain: str, keys: Sequence[SigningKey]) -> bytes:
    fields, covered = b"", Covered(message)
    for selector, algorithm, key, _ in keys:
        field = sign_message(
            covered,
            domain=domain_on_wire(domain),
            selector=selector,
            signed_at=int(time.time()),
            sign=partial(_signature, key),
            algorithm=algorithm,
        )
        fields = field + fields
    return fields


def _signature(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, RSAPrivateKey):
        return key.sign(data, PKCS1v15(), SHA256())
    return key.sign(hashlib.sha256(data).digest())  # RFC 8463 section 3
