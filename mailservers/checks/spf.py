"""SPF: may this host send mail for this domain? (RFC 7208, check_host in section 4)

    outcome = await check_host(ask, ip, "example.org", "anna@example.org", helo="mx.example.org")

The limits of section 4.6.4 are kept: MAX_TERMS terms that ask the DNS, MAX_VOID answers with nothing in them,
MAX_MX and MAX_PTR names looked at. What the DNS cannot say is `temperror`; a broken record is `permerror`.
Never raises; the time is the caller's to bound.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from django.conf import settings

from mailservers.dns_client import Answer, BadName, DnsFailure
from mailservers.formats.spf import Directive, SpfRecord, SpfSyntaxError, is_spf, parse_spf
from mailservers.formats.spf_macros import DomainSpec, expand, expand_domain, parse_explanation

Ask = Callable[[str, str], Awaitable[Answer]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_TERMS = 10
MAX_VOID = 2
MAX_MX = 10
MAX_PTR = 10
MAX_EXPLANATION = 500  # characters


@dataclass(frozen=True, slots=True)
class SpfOutcome:
    """`result`: none, neutral, pass, fail, softfail, temperror, permerror. `reason`: what decided, for people."""

    result: str
    reason: str = ""
    explanation: str = ""  # the domain's own words for a fail


class _Ends(Exception):
    """The evaluation ends here: temperror or permerror."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result


@dataclass(slots=True)
class _Query:
    """What stays the same through includes and redirects, and what has been spent."""

    ask: Ask
    ip: Address
    sender: str
    helo: str
    terms: int = 0
    void: int = 0
    validated: list[str] | None = None  # names of the address that lead back to it
    started: float = field(default_factory=time.time)

    def spend_term(self) -> None:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise _Ends("permerror", f"more than {MAX_TERMS} terms ask the DNS")

    async def look_up(self, name: str, kind: str) -> Answer:
        """Raises `_Ends`; a name that cannot be is an empty answer."""
        try:
            answer = await self.ask(name, kind)
        except BadName:
            answer = Answer((), exists=False)
        except DnsFailure as error:
            raise _Ends("temperror", str(error)) from None
        if not answer.records:
            self.void += 1
            if self.void > MAX_VOID:
                raise _Ends("permerror", f"more than {MAX_VOID} answers of the DNS were empty")
        return answer

    @property
    def kind(self) -> str:
        return "A" if self.ip.version == 4 else "AAAA"


async def check_host(ask: Ask, ip: Address, domain: str, sender: str, helo: str) -> SpfOutcome:
    """`domain`: of the reverse-path, or the HELO name; `sender`: the address checked; A-labels."""
    mapped = getattr(ip, "ipv4_mapped", None)
    local, at, sender_domain = sender.rpartition("@")
    sender = f"{local if at and local else 'postmaster'}@{sender_domain}"  # section 4.3
    try:
        return await _check(_Query(ask, mapped or ip, sender, helo), domain.removesuffix("."))
    except _Ends as end:
        return SpfOutcome(end.result, str(end))


async def _check(query: _Query, domain: str, *, with_explanation: bool = True) -> SpfOutcome:
    if not _may_have_record(domain):
        return SpfOutcome("none", "not a domain that could have a record")
    record = await _record(query, domain)
    if record is None:
        return SpfOutcome("none", f"{domain} publishes no policy")
    for directive in record.directives:
        if await _matches(query, domain, directive):
            reason = f"{domain} says {directive.result} by {directive.mechanism}"
            explanation = ""
            if directive.result == "fail" and with_explanation and record.exp is not None:
                explanation = await _explain(query, domain, record.exp)
            return SpfOutcome(directive.result, reason, explanation)
    if record.redirect is None:
        return SpfOutcome("neutral", f"nothing in the policy of {domain} matches")
    return await _redirect(query, domain, record.redirect, with_explanation)


async def _redirect(query: _Query, domain: str, spec: DomainSpec, with_explanation: bool) -> SpfOutcome:
    query.spend_term()
    target = await _expand(query, domain, spec)
    outcome = await _check(query, target, with_explanation=with_explanation)
    if outcome.result == "none":
        raise _Ends("permerror", f"{domain} redirects to {target}, which has no policy")
    return outcome


def _may_have_record(domain: str) -> bool:
    """Section 4.3: several labels, none empty or too long. An address literal is none."""
    labels = domain.split(".")
    return (
        not domain.startswith("[")
        and len(labels) > 1
        and all(0 < len(label) <= 63 for label in labels)
        and len(domain) <= 253
    )


async def _record(query: _Query, domain: str) -> SpfRecord | None:
    """Sections 4.4 and 4.5. Raises `_Ends`."""
    try:
        answer = await query.ask(domain, "TXT")
    except BadName:
        return None
    except DnsFailure as error:
        raise _Ends("temperror", str(error)) from None
    records = [record for record in answer.records if is_spf(record)]
    if not records:
        return None
    if len(records) > 1:
        raise _Ends("permerror", f"{domain} publishes {len(records)} policies")
    try:
        return parse_spf(records[0])
    except SpfSyntaxError as error:
        raise _Ends("permerror", f"the policy of {domain} is malformed: {error}") from None


# ---------------------------------------------------------------- mechanisms


async def _matches(query: _Query, domain: str, directive: Directive) -> bool:
    mechanism = directive.mechanism
    if mechanism == "all":
        return True
    if directive.network is not None:
        return query.ip.version == directive.network.version and query.ip in directive.network
    query.spend_term()
    target = domain if directive.domain is None else await _expand(query, domain, directive.domain)
    return await _ASKING[mechanism](query, target, directive)


async def _include(query: _Query, target: str, directive: Directive) -> bool:
    outcome = await _check(query, target, with_explanation=False)
    if outcome.result == "none":
        raise _Ends("permerror", f"{target} is included and has no policy")
    return outcome.result == "pass"


async def _a(query: _Query, target: str, directive: Directive) -> bool:
    answer = await query.look_up(target, query.kind)
    return any(_is_within(query.ip, address, directive) for address in answer.records)


async def _mx(query: _Query, target: str, directive: Directive) -> bool:
    answer = await query.look_up(target, "MX")
    if len(answer.records) > MAX_MX:
        raise _Ends("permerror", f"{target} has more than {MAX_MX} mail exchangers")
    for _, host in sorted(answer.records):
        if host and await _a(query, host, directive):
            return True
    return False


async def _exists(query: _Query, target: str, directive: Directive) -> bool:
    """Section 5.7: an A record, also for an IPv6 sender."""
    return bool((await query.look_up(target, "A")).records)


async def _ptr(query: _Query, target: str, directive: Directive) -> bool:
    return any(_is_under(name, target) for name in await _validated_names(query))


_ASKING: dict[str, Callable[[_Query, str, Directive], Awaitable[bool]]] = {
    "include": _include,
    "a": _a,
    "mx": _mx,
    "exists": _exists,
    "ptr": _ptr,
}


def _is_within(ip: Address, address: str, directive: Directive) -> bool:
    prefix = directive.ip4_prefix if ip.version == 4 else directive.ip6_prefix
    return ip in ipaddress.ip_network(f"{address}/{prefix}", strict=False)


def _is_under(name: str, domain: str) -> bool:
    name, domain = name.lower(), domain.lower()
    return name == domain or name.endswith("." + domain)


async def _validated_names(query: _Query) -> list[str]:
    """Section 5.5: names of the address that lead back to it; failures are names left out."""
    if query.validated is not None:
        return query.validated
    query.validated = []
    try:
        names = (await query.look_up(query.ip.reverse_pointer, "PTR")).records[:MAX_PTR]
    except _Ends as end:
        if end.result == "permerror":
            raise
        return query.validated
    for name in names:
        try:
            addresses = (await query.ask(name, query.kind)).records
        except (DnsFailure, BadName):
            continue
        if any(ipaddress.ip_address(address) == query.ip for address in addresses):
            query.validated.append(name)
    return query.validated


# ---------------------------------------------------------------- macros


async def _expand(query: _Query, domain: str, spec: DomainSpec) -> str:
    values = _values(query, domain)
    if spec.needs_validated_name:
        values["p"] = await _validated_name(query, domain)
    return expand_domain(spec, values)


def _values(query: _Query, domain: str) -> dict[str, str]:
    """Section 7.2, all but %{p}."""
    local, _, sender_domain = query.sender.rpartition("@")
    ip = query.ip
    dotted = str(ip) if ip.version == 4 else ".".join(ip.exploded.replace(":", ""))
    return {
        "s": query.sender,
        "l": local,
        "o": sender_domain,
        "d": domain,
        "i": dotted,
        "v": "in-addr" if ip.version == 4 else "ip6",
        "h": query.helo,
        "c": str(ip),
        "r": settings.HOSTNAME,
        "t": str(int(query.started)),
    }


async def _validated_name(query: _Query, domain: str) -> str:
    """%{p} (section 7.3): the domain itself, else a name under it, else any, else "unknown"."""
    names = await _validated_names(query)
    ranked = sorted(names, key=lambda name: (name.lower() != domain.lower(), not _is_under(name, domain)))
    return ranked[0] if ranked else "unknown"


async def _explain(query: _Query, domain: str, spec: DomainSpec) -> str:
    """Section 6.2: the text the domain gives, or "" for whatever goes wrong."""
    try:
        answer = await query.ask(await _expand(query, domain, spec), "TXT")
        if len(answer.records) != 1:
            return ""
        parts = parse_explanation(answer.records[0].decode("ascii"))
        values = _values(query, domain)
        if DomainSpec(parts).needs_validated_name:
            values["p"] = await _validated_name(query, domain)
    except (DnsFailure, BadName, SpfSyntaxError, UnicodeDecodeError, _Ends):
        return ""
    return expand(parts, values)[:MAX_EXPLANATION]
