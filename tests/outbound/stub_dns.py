"""A name server on loopback that answers from a zone text; names ending in `.broken` get SERVFAIL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dnslib import QTYPE, RCODE, RD, RR, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSServer


class Zone(BaseResolver):
    def __init__(self, zone: str) -> None:
        self.records = RR.fromZone(zone)
        self.asked: list[tuple[str, str]] = []
        self.is_signed = False  # answers say that they were validated
        self.tlsa: dict[str, list[tuple[int, int, int, bytes]]] = {}
        self.broken: set[str] = set()

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        name, kind = str(request.q.qname), QTYPE[request.q.qtype]
        self.asked.append((name, kind))
        reply = request.reply()
        reply.header.ad = int(self.is_signed)
        if name.endswith("broken.") or name in self.broken:
            reply.header.rcode = RCODE.SERVFAIL
            return reply
        for usage, selector, matching, data in self.tlsa.get(name, ()) if kind == "TLSA" else ():
            reply.add_answer(RR(name, QTYPE.TLSA, ttl=60, rdata=RD(bytes((usage, selector, matching)) + data)))
        known = bool(reply.rr)
        for _ in range(5):  # follow CNAMEs, as a recursive server does
            here = [r for r in self.records if str(r.rname).lower() == name.lower()]
            known = known or bool(here)
            reply.add_answer(*(r for r in here if QTYPE[r.rtype] in (kind, "CNAME")))
            alias = next((str(r.rdata) for r in here if QTYPE[r.rtype] == "CNAME" and kind != "CNAME"), None)
            if alias is None:
                break
            name = alias
        if not known:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply


@contextlib.contextmanager
def name_server(zone: str) -> Iterator[tuple[str, Zone]]:
    """("127.0.0.1:port", the zone with what it was asked)."""
    resolver = Zone(zone)
    server = DNSServer(resolver, address="127.0.0.1", port=0, logger=_Silent())
    server.start_thread()
    try:
        yield f"127.0.0.1:{server.server.server_address[1]}", resolver
    finally:
        server.stop()


class _Silent:
    def __getattr__(self, _: str) -> object:
        return lambda *args, **fields: None
