"""The Sender Rewriting Scheme (SRS, Meng Weng Wong's draft of 2004, libsrs2's dialect): a reverse-path of the
forwarder's own domain, so that SPF passes at the next host, in which the way back is written and sealed.

    SRS0=hash=day=host=local@forwarder            of   local@host
    SRS1=hash=host=rest@forwarder                 of   SRS0rest@host (rest begins with its separator)

The hash is compared without case, as local parts may be changed on their way; so it is base32. `key` is secret, `day`
counts days since 1970, of which 10 bits are kept. Addresses are as SMTP writes them, quoted where they must be.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from .mailbox_address import (
    MAX_ADDRESS_OCTETS,
    MAX_LOCAL_OCTETS,
    InvalidAddress,
    format_mailbox_address,
    parse_mailbox_address,
)

HASH_LENGTH = 6  # characters, 30 bits
FUTURE_DAYS = 1  # clocks of several hosts
_DAYS = 1024
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_SRS0 = re.compile(r"SRS0[=+-]([^=]+)=([a-z2-7]{2})=([^=]+)=(.+)\Z", re.IGNORECASE | re.DOTALL)
_SRS1 = re.compile(r"SRS1[=+-]([^=]+)=([^=]+)=([=+-].+)\Z", re.IGNORECASE | re.DOTALL)
_ANY = re.compile(r'"?SRS[01][=+-]', re.IGNORECASE)


class NotReversible(ValueError):
    """Not made with this key, or too long ago. The text says which."""


def is_srs(address: str) -> bool:
    return _ANY.match(address) is not None


def rewrite(reverse_path: str, domain: str, key: bytes, day: int) -> str | None:
    """The reverse-path to forward with; None when it would be longer than SMTP allows (RFC 5321 4.5.3.1)."""
    try:
        local, host = parse_mailbox_address(reverse_path)
    except InvalidAddress:
        return None
    rest = f"{host}={local}"
    if found := _SRS1.match(local):
        rest = f"{found[2]}={found[3]}"
    elif _SRS0.match(local):
        rest = f"{host}={local[4:]}"
    else:
        stamp = _stamp(day)
        rewritten = f"SRS0={_hash(key, stamp, rest)}={stamp}={rest}"
        return _fit(rewritten, domain)
    return _fit(f"SRS1={_hash(key, rest)}={rest}", domain)


def _fit(local: str, domain: str) -> str | None:
    if len(local.encode()) > MAX_LOCAL_OCTETS:
        return None
    address = format_mailbox_address(local, domain)
    return address if len(address.encode()) <= MAX_ADDRESS_OCTETS else None


def reverse(address: str, key: bytes, day: int, max_days: int) -> str:
    """The address that `rewrite` was given, or for SRS1 the first forwarder's SRS0. Raises `NotReversible`."""
    try:
        local, _ = parse_mailbox_address(address)
        if found := _SRS1.match(local):
            _check(key, found[1], f"{found[2]}={found[3]}")
            return _checked(f"SRS0{found[3]}", found[2])
        found = _SRS0.match(local)
        if found is None:
            raise NotReversible("it is not an SRS address")
        _check(key, found[1], found[2], f"{found[3]}={found[4]}")
        if _age(found[2], day) > max_days:
            raise NotReversible("it is too old")
        return _checked(found[4], found[3])
    except InvalidAddress as error:
        raise NotReversible(f"{error}") from error


def _checked(local: str, domain: str) -> str:
    """`rewrite` began with an address; and only such a one is sent to, whatever the key's holder signed."""
    address = format_mailbox_address(local, domain)
    parse_mailbox_address(address)
    return address


def _check(key: bytes, given: str, *texts: str) -> None:
    if not hmac.compare_digest(given.lower().encode(), _hash(key, *texts).encode()):
        raise NotReversible("it was not made here")


def _hash(key: bytes, *texts: str) -> str:
    digest = hmac.new(key, "=".join(texts).lower().encode(), hashlib.sha256).digest()
    return base64.b32encode(digest)[:HASH_LENGTH].decode().lower()


def _stamp(day: int) -> str:
    high, low = divmod(day % _DAYS, 32)
    return _BASE32[high] + _BASE32[low]


def _age(stamp: str, day: int) -> int:
    """In days, between -FUTURE_DAYS and as many as make a round."""
    high, low = (_BASE32.index(c) for c in stamp.lower())
    return (day + FUTURE_DAYS - (high * 32 + low)) % _DAYS - FUTURE_DAYS
