"""Counting failed logins, across all protocols, by the client's address and by (address, login).

In memory and bounded. An owner is never locked out by others: a login is only throttled for the address that
failed, and a password that was right a short while ago (the login cache) is accepted without being counted.
IPv6 clients are counted by their /64.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict

from django.conf import settings

MAX_COUNTERS = 50_000


def network_of(address: str) -> str:
    """The address, or its /64 for IPv6; what is not an address counts as itself."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


def _is_loopback(network: str) -> bool:
    return network.startswith("127.") or network == "::/64"  # ::1 counts as its /64


class Throttle:
    """Failures in a sliding window of AUTH_WINDOW_S."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def is_blocked(self, address: str, login: str) -> bool:
        network = network_of(address)
        with self._lock:
            if self._count(f"{network} {login}") >= settings.AUTH_FAILURES_PER_LOGIN:
                return True
            # Behind a loopback address are this machine's own programs and proxies: many people, never one guesser.
            return not _is_loopback(network) and self._count(network) >= settings.AUTH_FAILURES_PER_ADDRESS

    def failed(self, address: str, login: str) -> None:
        network = network_of(address)
        with self._lock:
            for key in (network, f"{network} {login}"):
                self._failures.setdefault(key, []).append(time.monotonic())
                self._failures.move_to_end(key)
            while len(self._failures) > MAX_COUNTERS:
                self._failures.popitem(last=False)

    def succeeded(self, address: str, login: str) -> None:
        with self._lock:
            self._failures.pop(f"{network_of(address)} {login}", None)

    def clear(self) -> None:
        with self._lock:
            self._failures.clear()

    def _count(self, key: str) -> int:
        times = self._failures.get(key)
        if not times:
            return 0
        since = time.monotonic() - settings.AUTH_WINDOW_S
        times[:] = [t for t in times[-1000:] if t > since]
        return len(times)
