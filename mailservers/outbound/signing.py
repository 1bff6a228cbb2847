"""Signing what our users send to other hosts (RFC 6376), with the key of the domain in From.

Only messages that one of our users submitted are signed: what merely passes through here (forwarding) may say any
From it likes, and a signature would vouch for it. A message without From, or of a domain without an active key, goes
out unsigned. Keys are kept for KEY_CACHE_S; a large message is signed in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import time

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from accounts.keys import KeyUnreadable, load_private_key
from accounts.models import DkimKey
from mailservers.formats.addresses import parse_address_list
from mailservers.formats.dkim import sign_message
from mailservers.formats.headers import first_field, header_end
from mailservers.formats.mailbox_address import InvalidAddress
from mailservers.formats.outgoing import domain_on_wire
from mailservers.store.content import IN_THREAD_OVER
from mailservers.store.engine import store

log = logging.getLogger(__name__)

KEY_CACHE_S = 60.0
MAX_CACHED = 1000

SigningKey = tuple[str, RSAPrivateKey]  # selector, key


class Signer:
    """One per runner: it remembers keys."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[float, SigningKey | None]] = {}

    async def sign(self, message: bytes) -> bytes:
        """The message with a DKIM-Signature in front, or as it is. `message` has CRLF line ends only."""
        domain = from_domain(message)
        key = await self._key(domain) if domain else None
        if key is None:
            return message
        if len(message) <= IN_THREAD_OVER:
            return _signed(message, domain, *key)
        return await asyncio.to_thread(_signed, message, domain, *key)

    async def _key(self, domain: str) -> SigningKey | None:
        known = self._keys.get(domain)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        key = await store.read(_read_key, domain)
        if len(self._keys) >= MAX_CACHED:
            self._keys.clear()
        self._keys[domain] = (time.monotonic() + KEY_CACHE_S, key)
        return key


def from_domain(message: bytes) -> str:
    """The domain of the first address in From, in lower case; "" if there is none."""
    value = first_field(message[: header_end(message)], b"from")
    if value is None:
        return ""
    return next((address.domain.lower() for address in parse_address_list(value) if address.is_mailbox), "")


def _read_key(domain: str) -> SigningKey | None:
    """The newest active key of one of our domains."""
    names = {domain}
    try:
        names.add(domain_on_wire(domain))
    except InvalidAddress:
        return None
    rows = DkimKey.objects.filter(
        domain__name__in=names, domain__is_active=True, is_active=True, algorithm="rsa-sha256"
    )
    row = rows.order_by("-created_at", "-pk").first()
    if row is None:
        return None
    try:
        key = load_private_key(row)
    except KeyUnreadable:
        log.error("the DKIM key %s of %s cannot be read: mail goes out unsigned", row.selector, domain)
        return None
    return (row.selector, key) if isinstance(key, RSAPrivateKey) else None


def _signed(message: bytes, domain: str, selector: str, key: RSAPrivateKey) -> bytes:
    field = sign_message(
        message,
        domain=domain_on_wire(domain),
        selector=selector,
        signed_at=int(time.time()),
        sign=lambda data: key.sign(data, PKCS1v15(), SHA256()),
    )
    return field + message
