"""Lists of addresses in the DNS (RFC 5782): known sources of junk, or known good ones. Off unless DNS_LISTS names some.

Only answers of 127.0.0.0/8 mean "listed"; 127.255.255.0/24 is how lists say that they were asked wrongly.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable

from django.conf import settings

from mailservers.checks.opinion import Check, Facts, Reason
from mailservers.dns_client import BadName, DnsFailure, client

_LISTED = ipaddress.ip_network("127.0.0.0/8")
_ASKED_WRONGLY = ipaddress.ip_network("127.255.255.0/24")


class DnsLists(Check):
    """The peer's address on each list; the list's weight when it is there."""

    name = "dns_list"

    def is_on(self) -> bool:
        return bool(settings.DNS_LISTS)

    async def examine(self, facts: Facts) -> Iterable[Reason]:
        prefix = facts.peer.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
        found = await asyncio.gather(*(_ask(prefix, zone, weight) for zone, weight in settings.DNS_LISTS.items()))
        return [reason for reason in found if reason is not None]


async def _ask(prefix: str, zone: str, weight: float) -> Reason | None:
    try:
        answer = await client().ask(f"{prefix}.{zone}", "A")
    except (DnsFailure, BadName):
        return Reason(f"dns_list.{zone}.temperror", 0.0, "the list did not answer")
    listed = [address for address in answer.records if _is_listed(address)]
    return Reason(f"dns_list.{zone}", weight, f"listed as {', '.join(listed[:4])}") if listed else None


def _is_listed(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed in _LISTED and parsed not in _ASKED_WRONGLY
