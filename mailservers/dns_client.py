"""Questions to the DNS, asked once: answers are kept for as long as their records allow.

    answer = await client().ask("example.org", "TXT")       # answer.records: values by type, see `_VALUES`

- Positive and negative answers are kept by TTL (RFC 2308), at most CACHE_SIZE and MAX_TTL_S; failures FAILURE_TTL_S.
- Those who ask the same at the same time share one question.
- A question takes at most DNS_TIMEOUT_S, all servers and tries and TCP included; MAX_AT_ONCE are under way.

Raises `DnsFailure` when nobody could say: a temporary thing, always. That a name is not there is an answer, not an
error. Names are text with A-labels; one that cannot stand in the DNS (a label too long) is `BadName`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.resolver
from django.conf import settings

CACHE_SIZE = 20_000  # answers
MAX_TTL_S = 24 * 3600.0
FAILURE_TTL_S = 5.0  # a dead server is not asked again for every message
MAX_AT_ONCE = 64
EDNS_PAYLOAD = 1232  # octets: never fragmented


class DnsFailure(Exception):
    """No answer: a timeout, SERVFAIL, no server. `is_timeout` tells the first from the others."""

    def __init__(self, text: str, *, is_timeout: bool = False) -> None:
        super().__init__(text)
        self.is_timeout = is_timeout


class BadName(ValueError):
    """The text is no name that the DNS could hold."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`records`: bytes for TXT (strings joined), str for A, AAAA, PTR, CNAME and NS, (preference, str) for MX, (usage,
    selector, matching type, bytes) for TLSA; names without the last dot. Empty with `exists` False: the name is not
    there (NXDOMAIN); else it has no such record. `is_secure`: a resolver that we trust has validated it (DNSSEC), with
    all aliases on the way. `canonical`: the name at their end, "" when the name is not there."""

    records: tuple[Any, ...]
    exists: bool = True
    is_secure: bool = False
    canonical: str = ""
    texts: tuple[str, ...] = ()  # the records as zone files have them


_VALUES: dict[str, Callable[[Any], Any]] = {
    "A": lambda record: record.address,
    "AAAA": lambda record: record.address,
    "TXT": lambda record: b"".join(record.strings),
    "MX": lambda record: (record.preference, _text(record.exchange)),
    "PTR": lambda record: _text(record.target),
    "CNAME": lambda record: _text(record.target),
    "NS": lambda record: _text(record.target),
    "SRV": lambda record: (record.priority, record.weight, record.port, _text(record.target)),
    "CAA": lambda record: (record.flags, record.tag, record.value),
    "TLSA": lambda record: (record.usage, record.selector, record.mtype, record.cert),
}


class DnsClient:
    """For one event loop."""

    def __init__(self, servers: Sequence[str] = (), timeout_s: float | None = None) -> None:
        self._servers = tuple(servers)
        self._timeout_s = timeout_s
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._cache: OrderedDict[tuple[str, str], tuple[float, Answer | DnsFailure]] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[Answer | DnsFailure]] = {}
        self._free = asyncio.Semaphore(MAX_AT_ONCE)

    async def ask(self, name: str, kind: str) -> Answer:
        """Raises `DnsFailure` and `BadName`."""
        key = (name.lower().rstrip("."), kind)
        found = self._remembered(key)
        if found is None:
            task = self._asking.get(key)
            if task is None:
                task = self._asking[key] = asyncio.get_running_loop().create_task(self._ask(key, _parsed(name)))
            found = await asyncio.shield(task)  # others may wait for it, too
        if isinstance(found, DnsFailure):
            raise DnsFailure(str(found), is_timeout=found.is_timeout)
        return found

    def _remembered(self, key: tuple[str, str]) -> Answer | DnsFailure | None:
        entry = self._cache.get(key)
        if entry is None:
            return None
        if time.monotonic() >= entry[0]:
            del self._cache[key]
            return None
        self._cache.move_to_end(key)
        return entry[1]

    async def _ask(self, key: tuple[str, str], name: dns.name.Name) -> Answer | DnsFailure:
        try:
            timeout_s = self._timeout_s or settings.DNS_TIMEOUT_S
            async with asyncio.timeout(timeout_s):
                async with self._free:
                    found, ttl_s = await self._query(name, key[1], timeout_s)
        except (dns.exception.DNSException, OSError, ValueError) as error:  # TimeoutError is an OSError
            found, ttl_s = _failure(key[0], error), FAILURE_TTL_S
        finally:
            del self._asking[key]
        self._cache[key] = (time.monotonic() + min(ttl_s, MAX_TTL_S), found)
        if len(self._cache) > CACHE_SIZE:
            self._cache.popitem(last=False)
        return found

    async def _query(self, name: dns.name.Name, kind: str, timeout_s: float) -> tuple[Answer | DnsFailure, float]:
        resolver = self._configured()
        rdtype = dns.rdatatype.from_text(kind)
        try:
            answer = await resolver.resolve(name, rdtype, search=False, lifetime=timeout_s, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as error:
            response = error.response(error.qnames()[0])
            ttl_s = float(response.resolve_chaining().minimum_ttl)
            return Answer((), exists=False, is_secure=self._is_secure(response)), ttl_s
        except dns.resolver.YXDOMAIN:
            return Answer((), exists=False), 0.0
        value = _VALUES[kind]
        ttl_s = float(answer.chaining_result.minimum_ttl)
        records = tuple(value(record) for record in answer.rrset or ())
        canonical = _text(answer.chaining_result.canonical_name)
        texts = tuple(record.to_text() for record in answer.rrset or ())
        return Answer(records, is_secure=self._is_secure(answer.response), canonical=canonical, texts=texts), ttl_s

    def _is_secure(self, response: dns.message.Message) -> bool:
        """The AD flag, believed of a resolver on this machine, or where the administrator says so (RFC 7672 2.1.1)."""
        return bool(response.flags & dns.flags.AD) and self._trusts_resolver

    @property
    def _trusts_resolver(self) -> bool:
        servers = self._configured().nameservers
        return settings.DNSSEC_TRUST or all(ipaddress.ip_address(str(server)).is_loopback for server in servers)

    def _configured(self) -> dns.asyncresolver.Resolver:
        """Made at the first question: a machine without resolv.conf may never ask one."""
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            if self._servers:
                resolver.nameservers, resolver.nameserver_ports = server_addresses(self._servers)
            resolver.use_edns(0, 0, EDNS_PAYLOAD)
            resolver.flags = dns.flags.RD | dns.flags.AD  # RFC 6840 section 5.7: tell us whether it is validated
            self._resolver = resolver
        return self._resolver


def server_addresses(servers: Iterable[str]) -> tuple[list[str], dict[str, int]]:
    """`127.0.0.1`, `127.0.0.1:5353`, `[::1]:5353`, `::1` -> (addresses, ports by address)."""
    ports: dict[str, int] = {}
    for server in servers:
        host, colon, port = server.rpartition(":")
        if not colon or (host.count(":") and not host.endswith("]")):
            host, port = server, "53"
        ports[host.strip("[]")] = int(port)
    return list(ports), ports


def _parsed(name: str) -> dns.name.Name:
    """Literally: a backslash is an octet like any other (SPF macros may bring one)."""
    try:
        labels = [label.encode("ascii") for label in name.removesuffix(".").split(".")]
        return dns.name.Name([*labels, b""])
    except (dns.exception.DNSException, UnicodeError) as error:
        raise BadName(f"{name[:80]!r} is no name in the DNS") from error


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).strip(".")


def _failure(name: str, error: Exception) -> DnsFailure:
    late = isinstance(error, dns.exception.Timeout | TimeoutError)
    reason = "no name server answered in time" if late else "the name servers failed"
    return DnsFailure(f"{name} could not be looked up: {reason}", is_timeout=late)


_client: tuple[asyncio.AbstractEventLoop, tuple[str, ...], DnsClient] | None = None


def client() -> DnsClient:
    """The running loop's client, with the servers of the settings."""
    global _client
    loop, servers = asyncio.get_running_loop(), tuple(settings.DNS_SERVERS)
    if _client is None or _client[0] is not loop or _client[1] != servers:
        _client = (loop, servers, DnsClient(servers))
    return _client[2]
