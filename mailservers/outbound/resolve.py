"""Which hosts take the mail of a domain (RFC 5321 section 5.1), and their addresses.

Routes come first (`routes`). Then MX records in the order of their preference, equals shuffled; without any, the
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
import itertools
import random
import socket
from dataclasses import dataclass

from django.conf import settings

from mailservers.dns_client import Answer, BadName, DnsClient, DnsFailure
from mailservers.formats.mailbox_address import InvalidAddress
from mailservers.formats.outgoing import domain_on_wire
from mailservers.outbound.outcomes import Unreachable

DNS_LIFETIME_S = 15.0  # for one question, all servers and tries
MAX_HOSTS = 10  # of one domain are tried
MAX_ADDRESSES = 4  # of one host
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits


@dataclass(frozen=True, slots=True)
class MailHost:
    """One host to try. `is_routed`: the administrator named it, so any address will do."""

    name: str
    port: int
    is_routed: bool = False
    is_secure: bool = False  # DNSSEC vouches for its being the domain's mail host


@dataclass(frozen=True, slots=True)
class Found:
    """The addresses of a host, and whether DNSSEC vouches for them. `canonical`: the name they are those of, when the
    host's is an alias (CNAME) of it."""

    addresses: list[str]
    is_secure: bool = False
    canonical: str = ""


class MailResolver:
    """One per runner: it remembers answers for as long as their records allow."""

    def __init__(self) -> None:
        self._own_name = settings.HOSTNAME.lower().rstrip(".")
        self._port = settings.OUTBOUND_PORT
        self._allow_private = settings.OUTBOUND_ALLOW_PRIVATE
        self.dns = DnsClient(settings.OUTBOUND_DNS_SERVERS or settings.DNS_SERVERS, DNS_LIFETIME_S)

    async def mail_hosts(self, domain: str) -> list[MailHost]:
        """The hosts to try, best first; at least one. Raises `Unreachable`."""
        if domain.startswith("["):
            return [MailHost(_literal(domain), self._port)]
        try:
            name = domain_on_wire(domain)
        except InvalidAddress:
            raise Unreachable(f"{domain} is not a domain name", temporary=False, status="5.1.2") from None
        hosts, is_secure = await self._exchangers(name)
        return [MailHost(host, self._port, is_secure=is_secure) for host in hosts]

    async def _exchangers(self, domain: str) -> tuple[list[str], bool]:
        """Host names, best first, and whether DNSSEC vouches for them."""
        answer = await self._ask(domain, "MX")
        if not answer.exists:
            raise Unreachable(f"there is no domain {domain}", temporary=False, status="5.1.2")
        records: list[tuple[int, str]] = list(answer.records)
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
        return list(dict.fromkeys(name for _, name in usable))[:MAX_HOSTS], answer.is_secure

    async def _ask(self, name: str, kind: str) -> Answer:
        try:
            return await self.dns.ask(name, kind)
        except DnsFailure as error:
            raise Unreachable(str(error), temporary=True, status="4.4.3") from error
        except BadName:
            raise Unreachable(f"{name} is not a domain name", temporary=False, status="5.1.2") from None

    # ------------------------------------------------------------ addresses

    async def addresses(self, host: MailHost) -> Found:
        """IP addresses to connect to, in the order to try them; at least one. Raises `Unreachable`."""
        if host.is_routed:
            return Found(_in_turn(await self._routed_addresses(host)))
        return await self._public_addresses(host.name)

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
        return list(dict.fromkeys(str(row[4][0]) for row in rows))

    async def _public_addresses(self, name: str) -> Found:
        asked = Found([name]) if _is_ip(name) else await self._ask_addresses(name)
        found = asked.addresses
        public = [address for address in found if self._allow_private or is_public(address)]
        if public:
            return Found(_in_turn(public), asked.is_secure, asked.canonical)
        raise Unreachable(
            f"{name} has only addresses that are not public ({', '.join(found[:3])}): mail is not sent there unless a "
            "route says so",
            temporary=False,
            status="5.4.4",
            host=name,
        )

    async def _ask_addresses(self, name: str) -> Found:
        """A and AAAA, both asked at once. One kind's failure does not matter if the other kind is there; least of all
        does it make that kind less secure: whoever can make a question fail could get rid of DANE."""
        answers = await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA"), return_exceptions=True)
        found: list[str] = []
        trouble: BaseException | None = None
        canonical, is_secure = "", True
        for answer in answers:
            if isinstance(answer, BaseException):
                trouble = answer
            else:
                found += answer.records
                is_secure = is_secure and answer.is_secure
                canonical = answer.canonical if answer.records else canonical
        if found:
            return Found(found, is_secure, canonical if canonical.lower() != name.lower() else "")
        raise trouble or Unreachable(f"{name} has no address", temporary=False, status="5.4.4", host=name)


def _in_turn(addresses: list[str]) -> list[str]:
    """One of each IP version in turn (OUTBOUND_IP_VERSIONS), so that neither crowds out the other; those of a version
    that we do not speak only when there is no other."""
    of_version = {v: [a for a in addresses if ipaddress.ip_address(a).version == v] for v in (4, 6)}
    wanted = [of_version.get(version, []) for version in settings.OUTBOUND_IP_VERSIONS]
    turns = [address for turn in itertools.zip_longest(*wanted) for address in turn if address is not None]
    return (turns or addresses)[:MAX_ADDRESSES]


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


def is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or (
            ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.sixtofour
        )
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not (address.is_multicast or address.is_unspecified or address.is_reserved)
