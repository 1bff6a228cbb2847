"""Counting failed logins, across all protocols: by the client's address, by (address, login), and by login.

In memory and bounded. An owner is never locked out by others: a login is refused only to the address that failed.
When a login is guessed from many addresses, those that never signed in to it wait for their answer, few at a time
(`lane`): guessing becomes slow, and the owner on the road waits too, but gets in. Addresses that have signed in to
it before do not wait. IPv6 clients are counted by their /64.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

MAX_COUNTERS = 50_000
STRANGERS_WAIT_S = 5.0
STRANGERS_AT_ONCE = 4  # attempts on one login that is being guessed


class LaneFull(Exception):
    """Too many strangers are waiting for this login."""


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
        self._known: OrderedDict[str, None] = OrderedDict()  # "network login" that has signed in
        self._strangers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def is_blocked(self, address: str, login: str) -> bool:
        network = network_of(address)
        with self._lock:
            if self._count(f"{network} {login}") >= settings.AUTH_FAILURES_PER_LOGIN:
                return True
            # Behind a loopback address are this machine's own programs and proxies: many people, never one guesser.
            return not _is_loopback(network) and self._count(network) >= settings.AUTH_FAILURES_PER_ADDRESS

    @contextmanager
    def lane(self, address: str, login: str) -> Iterator[float]:
        """Seconds to wait before the password is looked at: `with throttle.lane(…) as wait_s`. Raises `LaneFull`."""
        key = f"{network_of(address)} {login}"
        with self._lock:
            is_stranger = key not in self._known and self._count(f"* {login}") >= settings.AUTH_FAILURES_PER_ACCOUNT
            if is_stranger:
                if self._strangers[login] >= STRANGERS_AT_ONCE:
                    raise LaneFull
                self._strangers[login] += 1
        try:
            yield STRANGERS_WAIT_S if is_stranger else 0.0
        finally:
            if is_stranger:
                with self._lock:
                    self._strangers[login] -= 1
                    self._strangers += Counter()  # drops what is zero

    def failed(self, address: str, login: str) -> None:
        network = network_of(address)
        with self._lock:
            for key in (network, f"{network} {login}", f"* {login}"):
                self._failures.setdefault(key, []).append(time.monotonic())
                self._failures.move_to_end(key)
            _bound(self._failures)

    def succeeded(self, address: str, login: str) -> None:
        key = f"{network_of(address)} {login}"
        with self._lock:
            self._failures.pop(key, None)
            self._known[key] = None
            self._known.move_to_end(key)
            _bound(self._known)

    def clear(self) -> None:
        with self._lock:
            self._failures.clear()
            self._known.clear()
            self._strangers.clear()

    def _count(self, key: str) -> int:
        times = self._failures.get(key)
        if not times:
            return 0
        since = time.monotonic() - settings.AUTH_WINDOW_S
        times[:] = [t for t in times[-1000:] if t > since]
        return len(times)


def _bound(entries: OrderedDict[str, list[float]] | OrderedDict[str, None]) -> None:
    while len(entries) > MAX_COUNTERS:
        entries.popitem(last=False)
