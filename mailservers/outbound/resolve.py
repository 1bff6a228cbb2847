"""Which hosts take the mail of a domain (RFC 5321 section 5.1), and their addresses.

Routes of the settings come first. Then MX records in the order of their preference, equals shuffled; without any, the
domain itself is its mail host (implicit MX). A null MX (RFC 7505) means that the domain takes no mail.

Two loops are broken here: records of a preference not better than our own are left out, and addresses that are not
public (loopback, private networks) are not spoken to unless a route names them or OUTBOUND_ALLOW_PRIVATE is set, so
that a stranger's DNS cannot point us at our own machines.

All failures are `Unreachable`: permanent when the DNS says so, temporary when it could not be asked. Every question
is bounded by DNS_LIFETIME_S.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
from django.conf import settings

from mailservers.formats.mailbox_address import InvalidAddress
from mailservers.formats.outgoing import domain_on_wire
from mailservers.outbound.outcomes import Unreachable
from mailservers.outbound.routes import Route, parse_routes

DNS_LIFETIME_S = 15.0  # for one question, all servers and tries
MAX_HOSTS = 10  # of one domain are tried
MAX_ADDRESSES = 4  # of one host
CACHE_SIZE = 5000  # answers
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits


@dataclass(frozen=True, slots=True)
class MailHost:
    """One host to try. `is_routed`: the administrator named it, so any address will do."""

    name: str
    port: int
    is_routed: bool = False


class MailResolver:
    """One per runner: it remembers answers for as long as their records allow."""

    def __init__(self) -> None:
        self._routes = parse_routes(settings.ROUTES)
        self._own_name = settings.HOSTNAME.lower().rstrip(".")
        self._port = settings.OUTBOUND_PORT
        self._allow_private = settings.OUTBOUND_ALLOW_PRIVATE
        self._dns: dns.asyncresolver.Resolver | None = None

    async def mail_hosts(self, domain: str) -> list[MailHost]:
        """The hosts to try, best first; at least one. Raises `Unreachable`."""
        route = self._routes.get(domain.lower()) or self._routes.get("*")
        if route is not None:
            return [MailHost(route.host, route.port, is_routed=True)]
        if domain.startswith("["):
            return [MailHost(_literal(domain), self._port)]
        try:
            name = domain_on_wire(domain)
        except InvalidAddress:
            raise Unreachable(f"{domain} is not a domain name", temporary=False, status="5.1.2") from None
        return [MailHost(host, self._port) for host in await self._exchangers(name)]

    def route_of(self, domain: str) -> Route | None:
        """The domain's own route; that of "*" does not count."""
        return self._routes.get(domain.lower())

    async def _exchangers(self, domain: str) -> list[str]:
        records = [(preference, name) for preference, name in await self._ask_mx(domain)]
        if not records:
            records = [(0, domain)]  # implicit MX
        if not any(name for _, name in records):
            raise Unreachable(f"{domain} takes no mail (null MX)", temporary=False, status="5.1.10")
        own = min((preference for preference, name in records if name.lower() == self._own_name), default=None)
        usable = [(preference, name) for preference, name in records if name and (own is None or preference < own)]
        if not usable:
            text = f"mail for {domain} would come back to this host: it is named as {domain}'s mail server"
            raise Unreachable(text, temporary=False, status="5.4.6")
        random.shuffle(usable)
        usable.sort(key=lambda record: record[0])
        return list(dict.fromkeys(name for _, name in usable))[:MAX_HOSTS]

    async def _ask_mx(self, domain: str) -> list[tuple[int, str]]:
        try:
            answer = await self._resolver().resolve(
                dns.name.from_text(domain), "MX", search=False, lifetime=DNS_LIFETIME_S
            )
        except dns.resolver.NXDOMAIN:
            raise Unreachable(f"there is no domain {domain}", temporary=False, status="5.1.2") from None
        except dns.resolver.NoAnswer:
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise _not_answered(domain, error) from error
        return [(record.preference, record.exchange.to_text(omit_final_dot=True).strip(".")) for record in answer]

    # ------------------------------------------------------------ addresses

    async def addresses(self, host: MailHost) -> list[str]:
        """IP addresses to connect to, IPv4 first; at least one. Raises `Unreachable`."""
        found = await self._routed_addresses(host) if host.is_routed else await self._public_addresses(host.name)
        return found[:MAX_ADDRESSES]

    async def _routed_addresses(self, host: MailHost) -> list[str]:
        """By the system's own means, so that /etc/hosts counts."""
        if _is_ip(host.name):
            return [host.name]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DNS_LIFETIME_S):
                rows = await loop.getaddrinfo(host.name, host.port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise Unreachable(f"{host.name} has no address", temporary=True, status="4.4.4", host=host.name) from error
        return list(dict.fromkeys(str(row[4][0]) for row in sorted(rows, key=lambda row: row[0] != socket.AF_INET)))

    async def _public_addresses(self, name: str) -> list[str]:
        found = [name] if _is_ip(name) else await self._ask_addresses(name)
        public = [address for address in found if self._allow_private or _is_public(address)]
        if public:
            return public
        raise Unreachable(
            f"{name} has only addresses that are not public ({', '.join(found[:3])}): mail is not sent there unless a "
            "route says so",
            temporary=False,
            status="5.4.4",
            host=name,
        )

    async def _ask_addresses(self, name: str) -> list[str]:
        """A and AAAA, both asked at once. One kind's failure does not matter if the other kind is there."""
        answers = await asyncio.gather(self._ask_kind(name, "A"), self._ask_kind(name, "AAAA"), return_exceptions=True)
        found: list[str] = []
        trouble: BaseException | None = None
        for answer in answers:
            if isinstance(answer, BaseException):
                trouble = answer
            else:
                found += answer
        if found:
            return found
        if isinstance(trouble, dns.exception.DNSException | OSError):
            raise _not_answered(name, trouble) from trouble
        if trouble is not None:
            raise trouble
        raise Unreachable(f"{name} has no address", temporary=False, status="5.4.4", host=name)

    async def _ask_kind(self, name: str, kind: str) -> list[str]:
        try:
            answer = await self._resolver().resolve(
                dns.name.from_text(name), kind, search=False, lifetime=DNS_LIFETIME_S
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        return [record.address for record in answer]

    def _resolver(self) -> dns.asyncresolver.Resolver:
        """Made at the first question: a machine without resolv.conf may have routes only."""
        if self._dns is None:
            servers = settings.OUTBOUND_DNS_SERVERS
            resolver = dns.asyncresolver.Resolver(configure=not servers)
            if servers:
                resolver.nameservers, resolver.nameserver_ports = _servers(servers)
            resolver.cache = dns.resolver.LRUCache(CACHE_SIZE)
            self._dns = resolver
        return self._dns


def _servers(servers: Iterable[str]) -> tuple[list[str], dict[str, int]]:
    """`127.0.0.1`, `127.0.0.1:5353`, `[::1]:5353` -> what dnspython wants."""
    rules = parse_routes({server: server if ":" in server else f"{server}:53" for server in servers})
    return [rule.host for rule in rules.values()], {rule.host: rule.port for rule in rules.values()}


def _not_answered(name: str, error: Exception) -> Unreachable:
    kind = "no name server answered in time" if isinstance(error, dns.exception.Timeout) else "the name servers failed"
    return Unreachable(f"{name} could not be looked up: {kind}", temporary=True, status="4.4.3")


def _literal(domain: str) -> str:
    address = domain.strip("[]")
    address = address[5:] if address.lower().startswith("ipv6:") else address
    if not _is_ip(address):
        raise Unreachable(f"{domain} is not an address this host can reach", temporary=False, status="5.1.2")
    return address


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or (
            ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.sixtofour
        )
        if inner is not None:
            return _is_public(str(inner))
    return address.is_global and not (address.is_multicast or address.is_unspecified or address.is_reserved)
