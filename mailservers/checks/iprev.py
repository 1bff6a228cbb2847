"""iprev: does the address have a name, and does the name lead back to it? (RFC 8601 section 2.7.3 and appendix D)"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from mailservers.checks.spf import Ask
from mailservers.dns_client import BadName, DnsFailure

MAX_NAMES = 5


@dataclass(frozen=True, slots=True)
class IprevOutcome:
    """`result`: pass, fail, temperror, permerror (there is no name)."""

    result: str
    reason: str = ""
    name: str = ""


async def look_back(ask: Ask, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> IprevOutcome:
    """Never raises."""
    try:
        names = (await ask(address.reverse_pointer, "PTR")).records[:MAX_NAMES]
    except DnsFailure as error:
        return IprevOutcome("temperror", str(error))
    if not names:
        return IprevOutcome("permerror", f"{address} has no name")
    failed = False
    for name in names:
        try:
            answer = await ask(name, "A" if address.version == 4 else "AAAA")
        except DnsFailure:
            failed = True
            continue
        except BadName:
            continue
        if any(ipaddress.ip_address(found) == address for found in answer.records):
            return IprevOutcome("pass", f"{address} is {name}", name)
    if failed:
        return IprevOutcome("temperror", f"a name of {address} could not be looked up")
    return IprevOutcome("fail", f"no name of {address} leads back to it")
