"""What really stands in the DNS: each record asked of the domain's own name servers, because a resolver may remember
for hours what was there before.

    rows = await check_records(list(records_of(domain)))      # in at most about CHECK_WITHIN_S

The servers of a zone are found by the resolver (NS, climbing up from the name), at most SERVERS_ASKED of them are asked
at once. When they do not agree, a change is on its way between them. Where a name is an alias into another zone, or is
delegated further, the resolver is asked for the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from django.conf import settings

from accounts.services.dns_records import DnsRecord
from accounts.services.dns_verdicts import verdict
from mailservers.dns_client import BadName, DnsFailure, client

SERVERS_ASKED = 4
ANSWER_WITHIN_S = 2.5
CHECK_WITHIN_S = 12.0
AT_ONCE = 24


class RecordState(StrEnum):
    FINE = "fine"
    MISSING = "missing"
    DIFFERS = "differs"
    UNKNOWN = "unknown"  # could not be asked


@dataclass(frozen=True, slots=True)
class CheckedRecord:
    record: DnsRecord
    state: RecordState
    words: str  # what was found, for people

    @property
    def is_trouble(self) -> bool:
        """Mail suffers."""
        return self.record.is_needed and self.state in (RecordState.MISSING, RecordState.DIFFERS)


Found = tuple[str, ...] | None  # records of one name and type as zone files have them; None: no answer


async def check_records(records: Sequence[DnsRecord]) -> list[CheckedRecord]:
    """In the order given. Never raises for what the DNS does."""
    check = _Check()
    done = await asyncio.gather(*(check.look(record) for record in records))
    return list(done)


class _Check:
    """One round: a zone's servers are looked up once, and a name's records asked once."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._until = asyncio.get_running_loop().time() + CHECK_WITHIN_S
        self._answers: dict[tuple[str, str], asyncio.Task[list[Found]]] = {}

    async def look(self, record: DnsRecord) -> CheckedRecord:
        answers = [found for found in await self._ask(record.name, record.type) if found is not None]
        if not answers:
            return CheckedRecord(record, RecordState.UNKNOWN, "The domain's name servers could not be asked.")
        if record.type == "CNAME" and not any(answers):
            return await self._by_address(record)
        verdicts = [verdict(record, found) for found in answers]
        worst = min(verdicts, key=lambda one: one.is_fine)
        if worst.is_fine:
            return CheckedRecord(record, RecordState.FINE, worst.words)
        if any(one.is_fine for one in verdicts):
            return CheckedRecord(
                record, RecordState.DIFFERS, "Some of the domain's name servers have it, others not yet."
            )
        state = RecordState.DIFFERS if worst.is_there else RecordState.MISSING
        return CheckedRecord(record, state, worst.words)

    async def _by_address(self, record: DnsRecord) -> CheckedRecord:
        """An address does as well as an alias (at some providers it is all there is)."""
        host = record.value.rstrip(".")
        for kind in ("A", "AAAA"):
            answers = await self._ask(record.name, kind)
            found = {address for answer in answers for address in answer or ()}
            if not found:
                continue
            if found <= await addresses_of(host):
                return CheckedRecord(record, RecordState.FINE, "")
            return CheckedRecord(record, RecordState.DIFFERS, f"It leads to {', '.join(sorted(found))}, not to {host}.")
        return CheckedRecord(record, RecordState.MISSING, "")

    async def _ask(self, name: str, kind: str) -> list[Found]:
        key = (name.lower(), kind)
        if key not in self._answers:
            self._answers[key] = asyncio.create_task(self._ask_all(name, kind))
        return await self._answers[key]

    async def _ask_all(self, name: str, kind: str) -> list[Found]:
        try:
            async with asyncio.timeout_at(self._until):
                servers = await authoritative_servers(name)
                return await asyncio.gather(*(self._ask_one(server, name, kind) for server in servers))
        except (TimeoutError, DnsFailure, BadName):
            return []

    async def _ask_one(self, server: str, name: str, kind: str) -> Found:
        try:
            query = dns.message.make_query(name, kind)
            query.flags &= ~dns.flags.RD
            async with self._free:
                reply, _ = await dns.asyncquery.udp_with_fallback(
                    query, server, timeout=ANSWER_WITHIN_S, port=settings.AUTHORITATIVE_DNS_PORT
                )
        except (dns.exception.DNSException, OSError):
            return None
        if reply.rcode() == dns.rcode.NXDOMAIN:
            return ()
        if reply.rcode() != dns.rcode.NOERROR:
            return None
        return await _records_in(reply, query.question[0].name, kind)


async def _records_in(reply: dns.message.Message, name: dns.name.Name, kind: str) -> Found:
    wanted = dns.rdatatype.from_text(kind)
    found = [rrset for rrset in reply.answer if rrset.rdtype == wanted]
    if found:
        return tuple(record.to_text() for rrset in found for record in rrset)
    is_elsewhere = any(rrset.rdtype == dns.rdatatype.CNAME for rrset in reply.answer)
    is_delegated = any(rrset.rdtype == dns.rdatatype.NS and rrset.name != name for rrset in reply.authority)
    if not is_elsewhere and (reply.flags & dns.flags.AA or not is_delegated):
        return ()
    try:
        return (await client().ask(name.to_text(), kind)).texts
    except (DnsFailure, BadName):
        return None


async def authoritative_servers(name: str) -> list[str]:
    """Addresses of the name servers of the zone that holds `name`. Raises `DnsFailure`, `BadName`."""
    labels = name.rstrip(".").split(".")
    for start in range(len(labels) - 1):  # a top-level domain's own servers are not ours to ask
        answer = await client().ask(".".join(labels[start:]), "NS")
        if answer.records:
            hosts = sorted(answer.records)[:SERVERS_ASKED]
            found = await asyncio.gather(*(addresses_of(host) for host in hosts))
            return [min(addresses, key=lambda a: (":" in a, a)) for addresses in found if addresses]  # IPv4 first
    return []


async def addresses_of(host: str) -> set[str]:
    """As the resolver says; empty when it cannot."""
    found: set[str] = set()
    for kind in ("A", "AAAA"):
        try:
            found.update((await client().ask(host, kind)).records)
        except (DnsFailure, BadName):
            continue
    return found


def are_settled(rows: Iterable[CheckedRecord]) -> bool:
    """Nothing more will come of looking again."""
    return all(row.state is RecordState.FINE for row in rows)
