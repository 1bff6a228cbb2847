"""Which need a host has to meet: DANE where its zone is signed, MTA-STS where its domain publishes a policy, REQUIRETLS
where the sender asked for it; else opportunistic.

DANE comes first, and MTA-STS never makes up for DANE that fails (RFC 8461 section 2). A TLSA question without an answer
is no reason to go on without: the host is left out until it is answered (RFC 7672 section 2.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mailservers.dns_client import BadName, DnsClient, DnsFailure
from mailservers.formats.mailbox_address import InvalidAddress
from mailservers.formats.mta_sts import StsPolicy
from mailservers.formats.outgoing import domain_on_wire
from mailservers.outbound.outcomes import Unreachable
from mailservers.outbound.resolve import Found, MailHost
from mailservers.outbound.tls_need import OPPORTUNISTIC, Level, Tlsa, TlsNeed
from mailservers.outbound.way import Route


async def need_of(
    dns: DnsClient, host: MailHost, found: Found, domain: str, policy: StsPolicy | None, *, require_tls: bool
) -> TlsNeed:
    """Raises `Unreachable` when the host may not be used, or cannot be told."""
    need = await _dane(dns, host, found, domain) if host.is_secure else OPPORTUNISTIC
    if policy is not None and policy.mode == "enforce" and need.level is not Level.DANE:
        if not policy.admits(host.name):
            text = f"{host.name} is not among the mail hosts that the MTA-STS policy of {domain} names"
            raise Unreachable(text, temporary=True, status="4.7.5", host=host.name)
        need = TlsNeed(Level.VERIFIED, "MTA-STS")
    if require_tls:
        if not host.is_routed and not host.is_secure and _is_exchanger(host, domain) and not _is_named(host, policy):
            text = f"nothing vouches for {host.name} being the mail host of {domain}, and the message requires TLS"
            raise Unreachable(text, temporary=False, status="5.7.10", host=host.name)
        checked = need if need.level is Level.DANE else TlsNeed(Level.VERIFIED, "REQUIRETLS")
        need = replace(checked, promise=True)
    return need


def at_least(need: TlsNeed, route: Route) -> TlsNeed:
    """What the route asks, where it is more. A login goes over TLS only, and TLS from the first octet is TLS."""
    level = route.level
    if level is Level.OPPORTUNISTIC and (route.way.login or route.way.is_implicit_tls):
        level = Level.ENCRYPTED
    if _STRENGTH.index(level) <= _STRENGTH.index(need.level):
        return need
    return replace(need, level=level, because="the route asks for it")


_STRENGTH = (Level.OPPORTUNISTIC, Level.ENCRYPTED, Level.VERIFIED, Level.DANE)


def _is_exchanger(host: MailHost, domain: str) -> bool:
    """By an MX record: the domain itself needs no other word for its name."""
    try:
        return host.name.lower() not in (domain.strip("[]").lower(), domain_on_wire(domain))
    except InvalidAddress:
        return False


def _is_named(host: MailHost, policy: StsPolicy | None) -> bool:
    """RFC 8689 4.2.1 step 2: DNSSEC does not vouch for the MX record, so MTA-STS has to."""
    return policy is not None and policy.mode in ("enforce", "testing") and policy.admits(host.name)


async def _dane(dns: DnsClient, host: MailHost, found: Found, domain: str) -> TlsNeed:
    try:
        for base in await _base_domains(dns, host, found):
            answer = await dns.ask(f"_{host.port}._tcp.{base}", "TLSA")
            if answer.records and answer.is_secure:
                return _need_of_records(answer.records, base, host, domain)
    except BadName:
        pass
    except DnsFailure as error:
        text = f"the TLSA records of {host.name} could not be looked up, and it is not spoken to without them"
        raise Unreachable(text, temporary=True, status="4.7.5", host=host.name) from error
    return OPPORTUNISTIC


async def _base_domains(dns: DnsClient, host: MailHost, found: Found) -> list[str]:
    """The names whose TLSA records count, the best first (RFC 7672 section 2.2.2): the end of a signed chain of
    aliases, then its beginning; only the beginning where the chain leaves the signed tree, and is signed there."""
    if found.is_secure:
        return [found.canonical, host.name] if found.canonical else [host.name]
    if found.canonical and (await dns.ask(host.name, "CNAME")).is_secure:
        return [host.name]
    return []


def _need_of_records(records: Iterable[tuple[int, int, int, bytes]], base: str, host: MailHost, domain: str) -> TlsNeed:
    usable = tuple(record for record in (Tlsa(*values) for values in records) if record.is_usable)
    if not usable:
        return TlsNeed(Level.ENCRYPTED, "DANE, records that mail does not know")
    names = tuple(dict.fromkeys((base, host.name, domain)))  # section 3.2.2
    return TlsNeed(Level.DANE, "DANE", usable, names, server_name=base)
