"""How the internet sees this server: its addresses, whether mail can leave and come, whether lists name it.

Every test says in plain words what it found and what to do. Each ends within about TEST_WITHIN_S.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass

from django.conf import settings

from accounts.services.dns_checks import addresses_of
from mailservers.dns_client import BadName, DnsFailure, client

TEST_WITHIN_S = 10.0
_LISTED = ipaddress.ip_network("127.0.0.0/8")
_ASKED_WRONGLY = ipaddress.ip_network("127.255.255.0/24")  # how lists say so (RFC 5782 leaves it open)


@dataclass(frozen=True, slots=True)
class Finding:
    """`is_good` None: it could not be found out."""

    what: str
    is_good: bool | None
    words: str


async def public_addresses() -> list[str]:
    """What the host name leads to, without private addresses."""
    found = await addresses_of(settings.HOSTNAME)
    return sorted((a for a in found if ipaddress.ip_address(a).is_global), key=lambda a: (":" in a, a))


async def look_outside() -> list[Finding]:
    """All tests."""
    addresses = await public_addresses()
    findings = [_name(addresses), await can_send()]
    findings += await asyncio.gather(*(can_be_reached(address) for address in addresses))
    for address in addresses:
        findings += await on_lists(address)
    return findings


def _name(addresses: list[str]) -> Finding:
    what = f"{settings.HOSTNAME} leads to this server"
    if addresses:
        return Finding(what, True, f"It leads to {', '.join(addresses)}.")
    return Finding(
        what, False, "The DNS knows no public address for it: publish an A record (and AAAA where you have IPv6)."
    )


async def can_send() -> Finding:
    """Port 25 outwards, which many providers close."""
    host, _, port = settings.EGRESS_TEST.rpartition(":")
    what = "Mail can leave (port 25 outwards)"
    try:
        greeting = await _greeting(host, int(port))
    except TimeoutError:
        return Finding(
            what,
            False,
            f"{host} could not be reached on port {port} in time. Many providers close port 25 to new customers: ask "
            "yours to open it, or send through a smarthost (Routes).",
        )
    except (OSError, ValueError) as error:
        return Finding(what, False, f"{host} port {port}: {error}. See your firewall and your provider.")
    if greeting.startswith("220"):
        return Finding(what, True, f"{host} greets: {greeting}")
    return Finding(what, None, f"{host} answers, but does not greet: {greeting or 'nothing came'}")


async def can_be_reached(address: str) -> Finding:
    """Our own port 25 by its public address. From inside, some routers answer differently than they do outside."""
    what = f"Mail can come ({address} port 25)"
    try:
        greeting = await _greeting(address, settings.PUBLIC_PORTS["smtp"])
    except (OSError, ValueError):
        return Finding(
            what,
            None,
            "It could not be reached from here. That may be a firewall, or a router that does not let its own network "
            f"in by the public address. From elsewhere, try: swaks --server {settings.HOSTNAME} --quit-after EHLO",
        )
    if settings.HOSTNAME.lower() in greeting.lower():
        return Finding(what, True, f"We greet: {greeting}")
    return Finding(what, False, f"Another server answers there: {greeting}")


async def on_lists(address: str) -> list[Finding]:
    return list(await asyncio.gather(*(_on_list(address, zone) for zone in settings.WATCHED_LISTS)))


async def _on_list(address: str, zone: str) -> Finding:
    what = f"{address} is not on {zone}"
    prefix = ipaddress.ip_address(address).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    try:
        answer = await client().ask(f"{prefix}.{zone}", "A")
    except (DnsFailure, BadName):
        return Finding(what, None, "The list did not answer.")
    codes = [code for code in answer.records if ipaddress.ip_address(code) in _LISTED]
    if any(ipaddress.ip_address(code) in _ASKED_WRONGLY for code in codes):
        return Finding(what, None, "The list does not answer your resolver: use one of your own, not a public one.")
    if codes:
        return Finding(
            what, False, f"It is listed ({', '.join(codes)}). See {zone}’s web site for why and how to leave."
        )
    return Finding(what, True, "")


async def _greeting(host: str, port: int) -> str:
    """The first line. Raises OSError (TimeoutError is one) and ValueError."""
    writer = None
    try:
        async with asyncio.timeout(TEST_WITHIN_S):
            reader, writer = await asyncio.open_connection(host, port, limit=4096)
            line = await reader.readline()
            writer.write(b"QUIT\r\n")
        return line.decode("ascii", "replace").strip()[:200]
    finally:
        if writer is not None:
            writer.close()
