"""POSTROOM_ROUTES: where mail for a domain goes without asking the DNS.

    POSTROOM_ROUTES=example.test=127.0.0.1:2626,partner.test=[::1]:2526,*=smarthost.example.net:587

A route's host is used as it is: no MX lookup, and any address, loopback too. `*` is for every domain without one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

from mailservers.store.errors import StoreError

SMTP_PORT = 25
MAX_TARGET = 290  # characters
_TARGET = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s:\[\]]+))(?::(?P<port>\d{1,5}))?")


class InvalidTarget(StoreError):
    """No host, or no port, that mail could be sent to."""


@dataclass(frozen=True, slots=True)
class Route:
    host: str  # a name or an IP address
    port: int


def parse_routes(rules: Mapping[str, str]) -> dict[str, Route]:
    """The setting ROUTES, checked; domains in lower case. Raises ImproperlyConfigured."""
    return {domain.strip().lower().rstrip("."): _parse_target(domain, target) for domain, target in rules.items()}


def _parse_target(domain: str, target: str) -> Route:
    try:
        return parse_target(target)
    except InvalidTarget as error:
        raise ImproperlyConfigured(f"POSTROOM_ROUTES: {domain}={target} is not DOMAIN=HOST:PORT") from error


def parse_target(target: str) -> Route:
    """HOST, HOST:PORT or [ADDRESS]:PORT. Raises `InvalidTarget`."""
    found = _TARGET.fullmatch(target.strip())
    port = int(found["port"] or SMTP_PORT) if found else 0
    if found is None or not 0 < port < 65536 or len(target) > MAX_TARGET:
        raise InvalidTarget("that is not HOST or HOST:PORT")
    return Route(found["literal"] or found["name"], port)


def check_target(target: str) -> str:
    """As it is kept with a recipient. Raises `InvalidTarget`."""
    route = parse_target(target)
    return f"[{route.host}]:{route.port}" if ":" in route.host else f"{route.host.lower()}:{route.port}"
