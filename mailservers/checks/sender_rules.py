"""Allow and block lists: an administrator's for everybody or a domain, and each user's own.

A block needs no proof: it matches whatever the message claims (From, reverse-path) and the peer's address. An allow
rule matches only what is vouched for: the peer's address, a reverse-path that SPF passed, a signer, an author whom
DMARC passed; or an author whose domain publishes no policy at all. So a forged sender is not let in by it.

An administrator's block comes first, then the user's own rule, then an administrator's allow.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from mailservers.checks.authentication import spf_domain
from mailservers.checks.opinion import Check, Facts, Reason, Refusal
from mailservers.store.engine import store
from mailservers.store.sender_rules import RuleRow, find_rules

WEIGHT = 100.0  # more than all else together


class SenderRules(Check):
    name = "rule"
    is_second = True

    async def examine(self, facts: Facts) -> Iterable[Reason]:
        claimed = set(_claimed(facts))
        proven = set(_proven(facts))
        readers = tuple((reader.user_id, reader.login.rpartition("@")[2]) for reader in facts.readers)
        rules = await store.read(find_rules, readers, tuple(claimed | proven))
        if not rules:
            return ()
        verdicts = {user_id: _verdict(rules, user_id, domain, claimed, proven) for user_id, domain in readers}
        return list(_reasons(facts, verdicts))


def _verdict(rules: list[RuleRow], user_id: int, domain: str, claimed: set[str], proven: set[str]) -> RuleRow | None:
    """The rule that decides for one user."""
    valid = [rule for rule in rules if rule.pattern in (claimed if rule.is_block else proven)]
    own = _most_exact(rule for rule in valid if rule.user_id == user_id)
    admin = _most_exact(rule for rule in valid if rule.domain == domain) or _most_exact(
        rule for rule in valid if rule.user_id is None and not rule.domain
    )
    if admin is not None and admin.is_block:
        return admin
    return own or admin


def _most_exact(rules: Iterable[RuleRow]) -> RuleRow | None:
    """The longest pattern; of equals the block."""
    return max(rules, key=lambda rule: ("@" in rule.pattern, len(rule.pattern), rule.is_block), default=None)


def _reasons(facts: Facts, verdicts: dict[int, RuleRow | None]) -> Iterator[Reason]:
    refused = (
        bool(verdicts)
        and not facts.goes_elsewhere
        and all(rule is not None and rule.is_block and rule.user_id is None for rule in verdicts.values())
    )
    if refused:
        pattern = next(rule.pattern for rule in verdicts.values() if rule is not None)
        yield Reason("rule.refused", WEIGHT, f"{pattern} is blocked", refusal=Refusal(550, "5.7.1", "Sender refused"))
        return
    for user_id, rule in verdicts.items():
        if rule is not None:
            name, weight = ("rule.block", WEIGHT) if rule.is_block else ("rule.allow", -WEIGHT)
            yield Reason(name, weight, f"{rule.pattern} is on a list", user_id)


# ---------------------------------------------------------------- what a rule may match


def _claimed(facts: Facts) -> Iterator[str]:
    found = facts.authentication
    for address in (facts.reverse_path.lower(), *(found.author_addresses if found else ())):
        yield from _names_of(address)
    yield from _networks(facts.peer)


def _proven(facts: Facts) -> Iterator[str]:
    yield from _networks(facts.peer)
    found = facts.authentication
    if found is None:
        return
    if found.spf.result == "pass":
        yield from _names_of(facts.reverse_path.lower() if facts.reverse_path else spf_domain(facts))
    for domain in found.signers():
        yield from _names_of(domain)
    if found.dmarc.result == "pass" or (found.dmarc.result == "none" and found.spf.result in ("none", "neutral")):
        for address in found.author_addresses:
            yield from _names_of(address)


def _names_of(address: str) -> Iterator[str]:
    """The address, its domain, and the domains above that."""
    if not address:
        return
    yield address
    labels = address.rpartition("@")[2].split(".")
    for at in range(max(len(labels) - 1, 1)):
        yield ".".join(labels[at:])


def _networks(peer: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Iterator[str]:
    """Every network the address lies in, as rules write them."""
    for prefix in range(8, peer.max_prefixlen + 1):
        yield str(ipaddress.ip_network(f"{peer}/{prefix}", strict=False))
