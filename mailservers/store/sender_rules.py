"""Allow and block lists of senders. What a rule means is decided in `mailservers.checks.sender_rules`."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from django.db.models import Q, QuerySet

from mailservers.formats.mailbox_address import InvalidAddress, domain_to_ascii
from mailservers.models import SenderRule
from mailservers.store.errors import StoreError
from mailservers.store.transaction import Transaction

CHUNK = 400  # values in one IN (...)
MAX_RULES = 2000  # of one owner


class InvalidPattern(StoreError):
    """No address, domain, IP address or network."""


class TooManyRules(StoreError):
    pass


class RuleRow(NamedTuple):
    """`domain` "" and `user_id` None: for everybody."""

    pattern: str
    is_block: bool
    user_id: int | None
    domain: str


def normal_pattern(text: str) -> str:
    """As rules are kept and compared. Raises `InvalidPattern`."""
    text = text.strip().lower().removeprefix("@")
    if "/" in text or ":" in text or text.replace(".", "").isdigit():
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise InvalidPattern(f"{text} is no IP address or network") from None
        if network.prefixlen < 8:
            raise InvalidPattern("a network that large is not for a list")
        return str(network)
    local, at, domain = text.rpartition("@")
    try:
        return f"{local}{at}{domain_to_ascii(domain)}"
    except InvalidAddress:
        raise InvalidPattern(f"{text} is no address, domain or network") from None


def set_rule(
    tx: Transaction, pattern: str, *, is_block: bool, user_id: int | None = None, domain_id: int | None = None
) -> str:
    """Store operation: a rule of one user, of a domain, or (neither) of everybody; replaces one of the same pattern,
    which is returned as it is kept. Raises `InvalidPattern`, `TooManyRules`."""
    pattern = normal_pattern(pattern)
    rules = _rules_of(user_id, domain_id)
    if not rules.filter(pattern=pattern).update(is_block=is_block):
        if rules.count() >= MAX_RULES:
            raise TooManyRules(f"a list can hold {MAX_RULES} senders")
        SenderRule.objects.create(
            user_id=user_id, domain_id=domain_id, pattern=pattern, is_block=is_block, created_at=tx.now
        )
    return pattern


def list_rules(user_id: int) -> list[RuleRow]:
    """A user's own rules, in the order of their patterns."""
    rows = SenderRule.objects.filter(user_id=user_id).order_by("pattern").values_list("pattern", "is_block")
    return [RuleRow(pattern, is_block, user_id, "") for pattern, is_block in rows]


def forget_rule(tx: Transaction, pattern: str, *, user_id: int | None = None, domain_id: int | None = None) -> bool:
    """Store operation: whether there was one."""
    return _rules_of(user_id, domain_id).filter(pattern=normal_pattern(pattern)).delete()[0] > 0


def _rules_of(user_id: int | None, domain_id: int | None) -> QuerySet[SenderRule]:
    whose = Q(user_id=user_id) if user_id is not None else Q(user__isnull=True)
    return SenderRule.objects.filter(whose, Q(domain_id=domain_id) if domain_id is not None else Q(domain__isnull=True))


def find_rules(readers: Sequence[tuple[int, str]], patterns: Sequence[str]) -> list[RuleRow]:
    """Rules for these (user id, domain) and for everybody that have one of the patterns."""
    whose = Q(user__isnull=True, domain__isnull=True)
    whose |= Q(user_id__in=[user_id for user_id, _ in readers][:CHUNK])
    whose |= Q(domain__name__in=sorted({domain for _, domain in readers})[:CHUNK])
    found: list[RuleRow] = []
    for at in range(0, len(patterns), CHUNK):
        rules = SenderRule.objects.filter(whose, pattern__in=patterns[at : at + CHUNK])
        rows = rules.values_list("pattern", "is_block", "user_id", "domain__name")
        found += [RuleRow(pattern, is_block, user_id, domain or "") for pattern, is_block, user_id, domain in rows]
    return found
