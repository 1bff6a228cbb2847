"""Checking what people type: domain names, logins, addresses, names, sizes. Raises `InvalidValue`.

Domains come back in lower case and Unicode form (`formats.mailbox_address.canonical_domain`); local parts of our own
domains in lower case too, because they are compared without case.
"""

from __future__ import annotations

import re
import unicodedata

from accounts.models import Role
from accounts.services.errors import InvalidValue
from mailservers.formats.mailbox_address import (
    InvalidAddress,
    canonical_domain,
    format_mailbox_address,
    parse_mailbox_address,
)

MAX_NAME = 200  # characters, as accounts.models.User.name
MAX_QUOTA_OCTETS = 2**60
MAX_QUOTA_MESSAGES = 10**12
_PLAIN_LOCAL = re.compile(r'[^\s"(),:;<>@\[\]\\]+')
_SIZE = re.compile(r"(\d{1,15}(?:[.,]\d{1,3})?)\s*([KMGT]?)I?B?", re.IGNORECASE)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_ADDRESS_TEXTS = {
    "address too long": "“{0}” is too long for an e-mail address.",
    "address without @": "“{0}” has no “@”: write a whole address, like anna@example.org.",
    "local part too long": "The part of “{0}” before the “@” is too long (at most 64 octets).",
    "domain too long": "The domain of “{0}” is too long.",
    "domain label too long": "The domain of “{0}” has a part of more than 63 characters.",
    "domain not well formed": "The domain of “{0}” is not well formed; letters, digits, hyphens and dots make one.",
}


def domain_name(text: str, field: str = "domain") -> str:
    """A domain that can be ours, in canonical form."""
    name = text.strip().removesuffix(".")
    if not name:
        raise InvalidValue("The domain is missing.", field)
    if "@" in name or name.startswith("["):
        raise InvalidValue(f"“{_shown(name)}” is not a domain: write its name, as in “example.org”.", field)
    try:
        name = canonical_domain(name)
    except InvalidAddress:
        raise InvalidValue(
            f"“{_shown(name)}” is not a domain name: letters, digits and hyphens between dots make one.", field
        ) from None
    if name.rpartition(".")[2].isdigit():
        raise InvalidValue(f"“{name}” looks like an IP address, not like a domain.", field)
    return name


def own_address(text: str, field: str = "login") -> tuple[str, str]:
    """An address that can be in one of our domains: (address, its domain), both in canonical form."""
    local, domain = _parsed(text, field)
    local = unicodedata.normalize("NFC", local).lower()
    if not _PLAIN_LOCAL.fullmatch(local):
        raise InvalidValue(f"“{_shown(text)}” cannot have spaces, quotes or brackets before the “@”.", field)
    return f"{local}@{domain_name(domain, field)}", domain


def any_address(text: str, field: str = "targets") -> str:
    """An address anywhere; the local part keeps its case, for only its owner may judge that."""
    local, domain = _parsed(text, field)
    return format_mailbox_address(local, domain)


def _parsed(text: str, field: str) -> tuple[str, str]:
    address = text.strip()
    if not address:
        raise InvalidValue("The address is missing.", field)
    try:
        return parse_mailbox_address(address)
    except InvalidAddress as error:
        sentence = _ADDRESS_TEXTS.get(str(error), "“{0}” is not a well-formed e-mail address.")
        raise InvalidValue(sentence.format(_shown(address)), field) from None


def display_name(text: str) -> str:
    """A person's name: one line, spaces tidied."""
    name = " ".join(text.split())
    if len(name) > MAX_NAME:
        raise InvalidValue(f"The name is longer than {MAX_NAME} characters.", "name")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        raise InvalidValue("The name has control characters.", "name")
    return name


def role(text: str) -> Role:
    """ "admin", "domain-admin", "support" or "user"; empty is "user"."""
    try:
        return Role(text.strip().lower() or Role.USER)
    except ValueError:
        raise InvalidValue(
            f"“{_shown(text)}” is not a role: write admin, domain-admin, support or user.", "role"
        ) from None


def quota(text: str) -> int:
    """Octets of "500M", "2G", "1.5 GB", "1048576"; empty or 0 is no limit (0)."""
    words = text.strip()
    if not words:
        return 0
    match = _SIZE.fullmatch(words)
    if match is None:
        raise InvalidValue(f"“{_shown(words)}” is not a size: write 500M, 2G, or nothing for no limit.", "quota")
    return checked_quota(int(float(match[1].replace(",", ".")) * _UNITS[match[2].upper()]))


def checked_quota(octets: int) -> int:
    if not 0 <= octets <= MAX_QUOTA_OCTETS:
        raise InvalidValue("The quota is out of range.", "quota")
    return octets


def message_quota(text: str) -> int:
    """A number of messages, "20000" or "20,000"; empty or 0 is no limit (0)."""
    words = re.sub(r"[\s,.’']", "", text)
    if not words.isascii() or not (words or "0").isdigit():
        raise InvalidValue(f"“{_shown(text)}” is not a number of messages.", "quota_messages")
    return checked_message_quota(int(words[:20] or "0"))


def checked_message_quota(messages: int) -> int:
    if not 0 <= messages <= MAX_QUOTA_MESSAGES:
        raise InvalidValue("The quota is out of range.", "quota_messages")
    return messages


def format_octets(octets: int) -> str:
    """ "1.5 GiB" for people; whole numbers without a fraction."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if octets >= unit:
            return f"{octets / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{octets} octets"


def format_limits(octets: int, messages: int) -> str:
    """ "2 GiB and 10,000 messages"; "any amount of mail" for no limit."""
    parts = [format_octets(octets)] if octets else []
    return " and ".join(parts + [f"{messages:,} messages"] * bool(messages)) or "any amount of mail"


def quota_field(octets: int) -> str:
    """The quota as a form holds it; `quota` reads it back to the same number."""
    for name in ("T", "G", "M", "K"):
        if octets and octets % _UNITS[name] == 0:
            return f"{octets // _UNITS[name]}{name}"
    return str(octets) if octets else ""


def _shown(text: str) -> str:
    """The input, short enough and harmless for a message."""
    text = "".join(c if c.isprintable() else "�" for c in text.strip())
    return text if len(text) <= 80 else text[:79] + "…"
