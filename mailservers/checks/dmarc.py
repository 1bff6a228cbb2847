"""DMARC: does one of those who vouch for the message belong to the author's domain? (RFC 7489 sections 3.1, 6.6)

The organisational domain is found by the public suffix list; names are compared as A-labels.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from publicsuffixlist import PublicSuffixList

from mailservers.checks.spf import Ask
from mailservers.dns_client import BadName, DnsFailure
from mailservers.formats.dmarc import DmarcRecord, is_dmarc, parse_dmarc
from mailservers.formats.tag_list import TagListError

# What a fail weighs by what is to be done with it; quarantine is enough for Junk by itself.
POLICY_WEIGHT = {"none": 1.0, "quarantine": 10.0, "reject": 10.0}


@dataclass(frozen=True, slots=True)
class Published:
    """The record that counts, and the domain it was found at."""

    record: DmarcRecord
    domain: str


@dataclass(frozen=True, slots=True)
class DmarcOutcome:
    """`result`: none, pass, fail, temperror, permerror. `policy`: what the domain asks for a fail; `disposition`:
    the same after pct= (section 6.6.4)."""

    result: str
    domain: str
    policy: str = ""
    disposition: str = "none"
    reason: str = ""
    published: Published | None = None


@lru_cache(1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def organizational_domain(domain: str) -> str:
    """Section 3.2; the domain itself when it is a public suffix."""
    return _suffixes().privatesuffix(domain) or domain


def is_aligned(identifier: str, author: str, *, is_strict: bool) -> bool:
    """Section 3.1."""
    if identifier == author:
        return True
    return not is_strict and organizational_domain(identifier) == organizational_domain(author)


async def evaluate_dmarc(
    ask: Ask, author: str, spf_domain: str, dkim_domains: Iterable[str], *, may_change: bool = False
) -> DmarcOutcome:
    """`author`: the domain in From; `spf_domain`: that of the reverse-path when SPF passed, else ""; `dkim_domains`:
    d= of signatures that passed. `may_change`: one of them could not be asked for, so a fail is a temperror."""
    try:
        found = await _discover(ask, author)
        if found is None:
            return DmarcOutcome("none", author, reason="the author's domain publishes no policy")
        policy = await _policy(ask, found, author)
    except DnsFailure as error:
        return DmarcOutcome("temperror", author, reason=str(error))
    except BadName:
        return DmarcOutcome("none", author, reason="the author's domain cannot be in the DNS")
    record = found.record
    if (spf_domain and is_aligned(spf_domain, author, is_strict=record.spf_is_strict)) or any(
        is_aligned(domain, author, is_strict=record.dkim_is_strict) for domain in dkim_domains
    ):
        return DmarcOutcome("pass", author, policy, published=found)
    if may_change:
        return DmarcOutcome(
            "temperror", author, policy, reason="a signature or SPF could not be looked up", published=found
        )
    reason = "neither SPF nor a signature vouches for the author's domain"
    return DmarcOutcome("fail", author, policy, _sampled(policy, record.percent), reason, found)


async def _discover(ask: Ask, author: str) -> Published | None:
    """Section 6.6.3: at the author's domain, else at its organisational domain."""
    for domain in dict.fromkeys((author, organizational_domain(author))):
        answer = await ask(f"_dmarc.{domain}", "TXT")
        records = [record for record in answer.records if is_dmarc(record)]
        if len(records) > 1:
            return None
        if records:
            try:
                return Published(parse_dmarc(records[0]), domain)
            except TagListError:
                return None
    return None


async def _policy(ask: Ask, found: Published, author: str) -> str:
    record = found.record
    if found.domain == author:
        return record.policy
    if record.absent_policy != record.subdomain_policy and not await _exists(ask, author):
        return record.absent_policy
    return record.subdomain_policy


async def _exists(ask: Ask, domain: str) -> bool:
    """RFC 9091 section 2.7: a domain with an A, AAAA or MX record."""
    answers = await asyncio.gather(*(ask(domain, kind) for kind in ("A", "AAAA", "MX")))
    return any(answer.records for answer in answers)


def _sampled(policy: str, percent: int) -> str:
    """Section 6.6.4: the policy for `percent` of the messages, for the others the next milder one."""
    if random.randrange(100) < percent:
        return policy
    return {"reject": "quarantine"}.get(policy, "none")
