"""What a route says (`routes` finds it), and how its host is spoken to."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings

from mailservers.outbound.tls_need import Level


@dataclass(frozen=True, slots=True)
class Way:
    """`source`: our own addresses to connect from, one of each IP version at most; the system chooses without."""

    is_lmtp: bool = False  # RFC 2033
    is_implicit_tls: bool = False  # TLS from the first octet (RFC 8314 section 3.3)
    login: str = ""
    password: str = field(default="", repr=False)
    source: tuple[str, ...] = ()
    ehlo_name: str = ""

    @property
    def own_name(self) -> str:
        """For EHLO."""
        return self.ehlo_name or settings.OUTBOUND_EHLO_NAME or settings.HOSTNAME

    def source_for(self, address: str) -> str | None:
        return source_for(address, self.source or settings.OUTBOUND_SOURCE)


def source_for(address: str, sources: Sequence[str]) -> str | None:
    """Of our addresses the one to connect to `address` from."""
    version = ipaddress.ip_address(address).version
    return next((source for source in sources if ipaddress.ip_address(source).version == version), None)


PLAIN_WAY = Way()


@dataclass(frozen=True, slots=True)
class Route:
    """`host` "": the domain's own (transport "mx"), or none (refuse, discard)."""

    host: str  # a name or an IP address
    port: int
    transport: str = "smtp"
    level: Level = Level.OPPORTUNISTIC
    way: Way = PLAIN_WAY
    reason: str = ""
