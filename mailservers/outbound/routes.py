"""Where and how mail is sent without asking the DNS, or in another way than it says: the rows of `SendingRoute`, which
the console keeps, and POSTROOM_ROUTES.

    POSTROOM_ROUTES=example.test=127.0.0.1:2626,partner.test=lmtp:[::1]:24,old@x.test=refuse:has left,*=smarthost:587

A route is for a recipient's address or domain and a sender's address or domain, either of which may be left out. The
recipient decides first: its address, its domain, anybody; then the sender, in the same order; of two that say the
same the row counts. A route's host is used as it is: no MX lookup, and any address, loopback too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.sealing import Unreadable, unseal
from mailservers.formats.mailbox_address import InvalidAddress
from mailservers.formats.outgoing import domain_on_wire
from mailservers.models import SendingRoute
from mailservers.outbound.leases import ClaimedRecipient, Job
from mailservers.outbound.tls_need import Level
from mailservers.outbound.way import Route, Way
from mailservers.store.engine import store
from mailservers.store.errors import StoreError

SMTP_PORT, LMTP_PORT = 25, 24
MAX_TARGET = 290  # characters
REMEMBER_S = 5.0
PASSWORD_PURPOSE = b"postroom route password v1"
_TARGET = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s:\[\]]+))(?::(?P<port>\d{1,5}))?")
_REFUSED = re.compile(r"(refuse|discard)(?::(.*))?", re.DOTALL)


class InvalidTarget(StoreError):
    """No host, or no port, that mail could be sent to."""


Pattern = tuple[str, str]  # recipient, sender: address, domain or ""


class RouteBook:
    """One per runner. `refresh` before `divide`."""

    def __init__(self) -> None:
        self._from_settings = {(normal_pattern(k), ""): route for k, route in parse_routes(settings.ROUTES).items()}
        self._routes: dict[Pattern, Route] = dict(self._from_settings)
        self._fresh_until = 0.0

    async def refresh(self) -> None:
        """Raises a `StoreError`."""
        if time.monotonic() < self._fresh_until:
            return
        self._routes = self._from_settings | await store.read(_read_routes)
        self._fresh_until = time.monotonic() + REMEMBER_S

    def find(self, recipient: str, sender: str) -> Route | None:
        if not self._routes:
            return None
        senders = _levels(sender)
        patterns = ((r, s) for r in _levels(recipient) for s in senders)
        return next((route for p in patterns if (route := self._routes.get(p)) is not None), None)

    def divide(self, job: Job) -> Iterator[Job]:
        """The job in parts that go the same way, which each of them names (`by`)."""
        if job.is_ours or job.route or not self._routes:
            yield replace(job, by=parse_target(job.route)) if job.route else job
            return
        parts: dict[Route | None, list[ClaimedRecipient]] = {}
        for recipient in job.recipients:
            parts.setdefault(self.find(recipient.address, job.reverse_path), []).append(recipient)
        for route, recipients in parts.items():
            yield replace(job, recipients=tuple(recipients), by=route)

    def is_one_way(self, domain: str) -> bool:
        """All mail for the domain goes the same way, whoever sends it: what holds one message up holds up all."""
        concerned = ("", normal_pattern(domain))
        return not any(
            (sender or "@" in recipient) and recipient.rpartition("@")[2] in concerned
            for recipient, sender in self._routes
        )


def _levels(address: str) -> tuple[str, ...]:
    """What a pattern may say of an address, the most exact first."""
    whole = normal_pattern(address)
    return (whole, whole.rpartition("@")[2], "") if whole else ("",)


def normal_pattern(text: str) -> str:
    """An address or domain as patterns are compared: lower case, A-labels; "*" is ""."""
    text = text.strip()
    local, at, domain = text.rpartition("@")
    try:
        domain = domain_on_wire(domain) if domain and domain != "*" else ""
    except InvalidAddress:
        domain = domain.lower().rstrip(".")
    return f"{local.lower()}{at}{domain}"


def _read_routes() -> dict[Pattern, Route]:
    return {
        (normal_pattern(row.recipient), normal_pattern(row.sender)): _route(row) for row in SendingRoute.objects.all()
    }


def _route(row: SendingRoute) -> Route:
    try:
        password = unseal(bytes(row.password), PASSWORD_PURPOSE).decode() if row.login else ""
    except Unreadable:
        password = ""  # sealed under another SECRET_KEY: the host will say that it is wrong
    way = Way(
        row.transport == SendingRoute.Transport.LMTP,
        row.is_implicit_tls,
        row.login,
        password,
        tuple(row.source.split()),
        row.ehlo_name,
    )
    return Route(row.host, row.port, row.transport, Level(row.security), way, row.reason)


# ---------------------------------------------------------------- POSTROOM_ROUTES


def parse_routes(rules: Mapping[str, str]) -> dict[str, Route]:
    """The setting ROUTES, checked; patterns in lower case. Raises ImproperlyConfigured."""
    return {pattern.strip().lower().rstrip("."): _parse_rule(pattern, target) for pattern, target in rules.items()}


def _parse_rule(pattern: str, target: str) -> Route:
    refused = _REFUSED.fullmatch(target.strip())
    if refused is not None:
        return Route("", SMTP_PORT, refused[1], reason=(refused[2] or "").strip())
    is_lmtp = target.strip().startswith("lmtp:")
    try:
        route = parse_target(target.strip().removeprefix("lmtp:"), LMTP_PORT if is_lmtp else SMTP_PORT)
    except InvalidTarget as error:
        raise ImproperlyConfigured(f"POSTROOM_ROUTES: {pattern}={target} is not PATTERN=HOST:PORT") from error
    return replace(route, transport="lmtp", way=Way(is_lmtp=True)) if is_lmtp else route


def parse_target(target: str, default_port: int = SMTP_PORT) -> Route:
    """HOST, HOST:PORT or [ADDRESS]:PORT. Raises `InvalidTarget`."""
    found = _TARGET.fullmatch(target.strip())
    port = int(found["port"] or default_port) if found else 0
    if found is None or not 0 < port < 65536 or len(target) > MAX_TARGET:
        raise InvalidTarget("that is not HOST or HOST:PORT")
    return Route(found["literal"] or found["name"], port)


def check_target(target: str) -> str:
    """As it is kept with a recipient. Raises `InvalidTarget`."""
    route = parse_target(target)
    return f"[{route.host}]:{route.port}" if ":" in route.host else f"{route.host.lower()}:{route.port}"
