"""The one call that acceptance makes: what is thought of this message?

Mail of our own users, and of peers on loopback, in private networks and in CHECK_EXEMPT, is not checked. All else is
looked at by every check that is on, at once, within CHECK_TIMEOUT_S for each of two stages; a check that fails or is
late does not hold the mail up (`Check.when_failed`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Iterable
from functools import lru_cache

from django.conf import settings

from mailservers.checks.authentication import authenticate, method_results, peer_address, reasons
from mailservers.checks.clamav import ClamAv
from mailservers.checks.dns_lists import DnsLists
from mailservers.checks.greylisting import greylist
from mailservers.checks.opinion import Check, Facts, Opinion, Reason
from mailservers.checks.rspamd import Rspamd
from mailservers.checks.sender_rules import SenderRules
from mailservers.dns_client import client

log = logging.getLogger(__name__)

CHECKS: tuple[Check, ...] = (DnsLists(), Rspamd(), ClamAv(), SenderRules())


async def examine(facts: Facts) -> Opinion:
    """Never raises."""
    first = [asyncio.ensure_future(_run(check, facts)) for check in CHECKS if check.is_on() and not check.is_second]
    found = facts.authentication = await authenticate(client().ask, facts)
    said: list[Reason] = list(reasons(found))
    second = [_run(check, facts) for check in CHECKS if check.is_on() and check.is_second]
    for more in await asyncio.gather(*first, *second):
        said += more
    opinion = Opinion(tuple(_settled(said)), tuple(method_results(facts, found)))
    again = await greylist(facts, opinion)
    return opinion if again is None else Opinion((*opinion.reasons, again), opinion.results)


async def _run(check: Check, facts: Facts) -> Iterable[Reason]:
    try:
        async with asyncio.timeout(settings.CHECK_TIMEOUT_S):
            return await check.examine(facts)
    except Exception as error:
        log.warning("the check %s failed: %s", check.name, error or type(error).__name__)
        return [check.when_failed()]


def _settled(said: Iterable[Reason]) -> Iterable[Reason]:
    """A rule that lets the sender in overrules DMARC's refusal (not its weight, for those who have no such rule)."""
    said = list(said)
    if not any(reason.name == "rule.allow" for reason in said):
        return said
    return [
        Reason(r.name, r.weight, r.text, r.user_id) if r.refusal is not None and r.name.startswith("dmarc.") else r
        for r in said
    ]


def is_exempt(peer: str) -> bool:
    """Is this a peer whose mail is not checked?"""
    return _is_exempt(peer, tuple(settings.CHECK_EXEMPT), settings.CHECK_PRIVATE)


@lru_cache(10_000)
def _is_exempt(peer: str, networks: tuple[str, ...], check_private: bool) -> bool:
    address = peer_address(peer)
    if address is None:  # not from a socket: the webmail
        return True
    if any(address in ipaddress.ip_network(network, strict=False) for network in networks):
        return True
    return not check_private and (address.is_loopback or address.is_link_local or _is_private(address))


_PRIVATE = tuple(
    ipaddress.ip_network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)


def _is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """RFC 1918 and 4193; not the other special networks that `is_private` counts, such as documentation's."""
    return any(address in network for network in _PRIVATE)
