"""Who vouches for a message: SPF, DKIM, ARC, DMARC and iprev, asked at once and within CHECK_TIMEOUT_S.

What could not be found out in time is `temperror`: no reason to lose a message, none to trust it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings

from mailservers.checks.arc import ArcOutcome, verify_arc
from mailservers.checks.dkim import DkimOutcome, a_labels, verify_dkim
from mailservers.checks.dmarc import POLICY_WEIGHT, DmarcOutcome, evaluate_dmarc
from mailservers.checks.iprev import IprevOutcome, look_back
from mailservers.checks.opinion import Facts, Reason, Refusal
from mailservers.checks.spf import Ask, SpfOutcome, check_host
from mailservers.formats.addresses import parse_address_list
from mailservers.formats.authentication_results import MethodResult
from mailservers.formats.headers import fields_by_name, header_block
from mailservers.formats.octets import Octets

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_AUTHORS = 5  # domains in From that are looked at


@dataclass(frozen=True, slots=True)
class Authentication:
    """All outcomes of one message. `authors`: the domains in From, as A-labels."""

    spf: SpfOutcome
    helo_spf: SpfOutcome
    dkim: tuple[DkimOutcome, ...]
    arc: ArcOutcome
    iprev: IprevOutcome
    dmarc: DmarcOutcome
    authors: tuple[str, ...]
    author_addresses: tuple[str, ...]
    is_forwarded_in_trust: bool = False  # trusted sealers saw the author's domain vouched for

    def signers(self) -> frozenset[str]:
        return frozenset(outcome.domain for outcome in self.dkim if outcome.result == "pass")


async def authenticate(ask: Ask, facts: Facts) -> Authentication:
    """Never raises."""
    spf, helo_spf, dkim, arc, iprev = await asyncio.gather(
        _in_time(_mail_from(ask, facts), SpfOutcome("temperror", "no answer in time")),
        _in_time(_helo(ask, facts), SpfOutcome("temperror", "no answer in time")),
        _in_time(verify_dkim(ask, facts.content), [DkimOutcome("temperror", "no answer in time")]),
        _in_time(verify_arc(ask, facts.content), ArcOutcome("fail", "no answer in time")),
        _in_time(look_back(ask, facts.peer), IprevOutcome("temperror")),
    )
    addresses = author_addresses(facts.content)
    authors = tuple(dict.fromkeys(_a_label_domain(address) for address in addresses))[:MAX_AUTHORS]
    vouched = Vouched(facts, spf, dkim)
    outcomes = [await _in_time(vouched.dmarc(ask, author), DmarcOutcome("temperror", author)) for author in authors]
    dmarc = max(outcomes, key=_severity, default=DmarcOutcome("none", "", reason="there is no author"))
    return Authentication(
        spf, helo_spf, tuple(dkim), arc, iprev, dmarc, authors, addresses, _is_trusted(arc, dmarc.domain)
    )


@dataclass(frozen=True, slots=True)
class Vouched:
    """SPF's and DKIM's outcomes, as DMARC takes them."""

    facts: Facts
    spf: SpfOutcome
    dkim: list[DkimOutcome]

    async def dmarc(self, ask: Ask, author: str) -> DmarcOutcome:
        return await evaluate_dmarc(
            ask,
            author,
            spf_domain(self.facts) if self.spf.result == "pass" else "",
            [outcome.domain for outcome in self.dkim if outcome.result == "pass"],
            may_change="temperror" in (self.spf.result, *(outcome.result for outcome in self.dkim)),
        )


def _severity(outcome: DmarcOutcome) -> tuple[int, float]:
    """Of several authors the worst counts (RFC 7489 section 6.6.1)."""
    order = ("pass", "none", "permerror", "temperror", "fail")
    return order.index(outcome.result), POLICY_WEIGHT.get(outcome.disposition, 0.0)


async def _in_time(question: Coroutine[Any, Any, T], otherwise: T) -> T:
    try:
        async with asyncio.timeout(settings.CHECK_TIMEOUT_S):
            return await question
    except TimeoutError:
        return otherwise
    except Exception:
        log.exception("authenticating a message failed")
        return otherwise


def spf_domain(facts: Facts) -> str:
    """RFC 7208 section 2.4: of the reverse-path, or of HELO when that is empty."""
    return _a_label_domain(facts.reverse_path) if facts.reverse_path else facts.helo.lower()


async def _mail_from(ask: Ask, facts: Facts) -> SpfOutcome:
    domain = spf_domain(facts)
    local = facts.reverse_path.rpartition("@")[0] or "postmaster"
    return await check_host(ask, facts.peer, domain, f"{local}@{domain}", facts.helo)


async def _helo(ask: Ask, facts: Facts) -> SpfOutcome:
    helo = facts.helo.lower()
    return await check_host(ask, facts.peer, helo, f"postmaster@{helo}", facts.helo)


def author_addresses(content: Octets) -> tuple[str, ...]:
    """The addresses in From, all of its fields, lower case."""
    fields = fields_by_name(header_block(content)).get(b"from", [])[:MAX_AUTHORS]
    found = (address for field in fields for address in parse_address_list(field.partition(b":")[2]))
    wanted = (f"{a.local}@{a.domain}".lower() for a in found if a.is_mailbox and a.domain)
    return tuple(dict.fromkeys(wanted))[: MAX_AUTHORS * 4]


def _a_label_domain(address: str) -> str:
    domain = address.rpartition("@")[2].lower().rstrip(".")
    try:
        return a_labels(domain)
    except UnicodeError:
        return domain


def _is_trusted(arc: ArcOutcome, author: str) -> bool:
    if arc.seen is None or not author or not arc.is_trusted(settings.ARC_TRUSTED_SEALERS):
        return False
    return any(
        result.method == "dmarc" and result.result == "pass" and result.property("header.from").lower() == author
        for result in arc.seen.results
    )


# ---------------------------------------------------------------- what is written down


def method_results(facts: Facts, found: Authentication) -> Iterator[MethodResult]:
    """For Authentication-Results (RFC 8601 section 2.7)."""
    yield MethodResult("iprev", found.iprev.result, "", (("policy.iprev", str(facts.peer)),))
    helo = ("smtp.helo", facts.helo)
    if facts.reverse_path:
        yield MethodResult("spf", found.spf.result, found.spf.reason, (("smtp.mailfrom", facts.reverse_path),))
    if not facts.reverse_path or found.helo_spf.result != "none":
        yield MethodResult("spf", found.helo_spf.result, found.helo_spf.reason, (helo,))
    for outcome in found.dkim or (DkimOutcome("none"),):
        properties = (
            ("header.d", outcome.domain),
            ("header.i", outcome.identity),
            ("header.s", outcome.selector),
            ("header.a", outcome.algorithm),
            ("header.b", outcome.signature_start),
        )
        yield MethodResult("dkim", outcome.result, outcome.reason, tuple(pair for pair in properties if pair[1]))
    if found.arc.result != "none":
        yield MethodResult("arc", found.arc.result, found.arc.reason or f"sealed by {', '.join(found.arc.sealers)}")
    policy = (("policy.dmarc", found.dmarc.policy),) if found.dmarc.policy else ()
    author = (("header.from", found.dmarc.domain),) if found.dmarc.domain else ()
    yield MethodResult("dmarc", found.dmarc.result, found.dmarc.reason, (*author, *policy))


# outcome -> weight; those that are not here weigh nothing
SPF_WEIGHTS = {"fail": 3.0, "softfail": 1.5, "permerror": 1.0, "neutral": 0.5, "none": 0.5}
HELO_WEIGHTS = {"fail": 1.5}
IPREV_WEIGHTS = {"fail": 1.5, "permerror": 1.5}
UNVERIFIED_WEIGHT = 0.5  # signed, and no signature is good
NO_AUTHOR_WEIGHT = MANY_AUTHORS_WEIGHT = 3.0


def reasons(found: Authentication) -> Iterator[Reason]:
    """What it says for and against the message. SPF's fail does not count where DMARC passes: it was forwarded."""
    dmarc = found.dmarc
    spf_weight = 0.0 if dmarc.result == "pass" else SPF_WEIGHTS.get(found.spf.result, 0.0)
    yield Reason(f"spf.{found.spf.result}", spf_weight, found.spf.explanation or found.spf.reason)
    if found.helo_spf.result == "fail":
        yield Reason("spf.helo_fail", HELO_WEIGHTS["fail"], found.helo_spf.reason)
    if found.dkim and not found.signers():
        yield Reason(f"dkim.{found.dkim[0].result}", UNVERIFIED_WEIGHT, found.dkim[0].reason)
    elif found.dkim:
        yield Reason("dkim.pass", 0.0, f"signed by {', '.join(sorted(found.signers()))}")
    yield Reason(f"iprev.{found.iprev.result}", IPREV_WEIGHTS.get(found.iprev.result, 0.0), found.iprev.reason)
    if found.arc.result != "none":
        yield Reason(f"arc.{found.arc.result}", 0.0, found.arc.reason or f"sealed by {', '.join(found.arc.sealers)}")
    if not found.authors:
        yield Reason("from.missing", NO_AUTHOR_WEIGHT, "there is no author's address")
    elif len(found.authors) > 1:
        yield Reason("from.many", MANY_AUTHORS_WEIGHT, "authors of several domains")
    yield _dmarc_reason(found)


def _dmarc_reason(found: Authentication) -> Reason:
    dmarc = found.dmarc
    if dmarc.result != "fail":
        return Reason(f"dmarc.{dmarc.result}", 0.0, dmarc.reason)
    if found.is_forwarded_in_trust:
        return Reason("dmarc.forwarded", 0.0, f"{found.arc.sealers[-1]}, which is trusted, saw it pass")
    refusal = None
    if dmarc.disposition == "reject" and settings.DMARC_REJECT:
        text = f"Refused as the DMARC policy of {dmarc.domain} asks: {dmarc.reason}"
        refusal = Refusal(550, "5.7.1", text)
    return Reason(f"dmarc.{dmarc.disposition}", POLICY_WEIGHT[dmarc.disposition], dmarc.reason, refusal=refusal)


def peer_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """IPv4 also where the socket writes it as IPv6."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
