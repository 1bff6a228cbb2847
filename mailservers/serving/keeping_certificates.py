"""What a serving process does about its certificate in the background: look for a new one, and order it by ACME."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time

from asgiref.sync import sync_to_async
from django.conf import settings

from accounts.models import Domain
from accounts.sealing import Unreadable
from accounts.services.acme_orders import acme_wanted, order_if_due
from accounts.services.certificates import stored_certificate
from mailservers.chores import Chore, again_and_again
from mailservers.dns_client import BadName, DnsFailure, client
from mailservers.formats.mailbox_address import domain_to_ascii
from mailservers.serving.certificates import Certificates
from mailservers.store.engine import store
from mailservers.store.errors import StoreError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 3.0
ORDER_EVERY_S = 5.0  # looked, not ordered: it is a query
ALIASES = ("mta-sts", "autoconfig")  # of our domains, served by the web side over TLS
NAMES_FOR_S = 300.0  # the DNS is asked again then
MAX_NAMES = 100  # what authorities take in one certificate


class CertificateKeeper:
    """`await start()` before the listeners; `front` is theirs."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def front(self) -> ssl.SSLContext:
        return self._certificates.front

    async def start(self, *, orders: bool) -> None:
        """`orders`: this process also talks to the authority."""
        await self._look()
        if not self._certificates.pem:  # what is kept cannot be used
            await asyncio.to_thread(self._certificates.load)
        chores: list[tuple[Chore, float]] = [(self._look, LOOK_EVERY_S)]
        if orders:
            chores.append((Orders().order, ORDER_EVERY_S))
        self._tasks = [asyncio.create_task(again_and_again(*chore), name=chore[0].__name__) for chore in chores]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _look(self) -> None:
        try:
            stored = None if settings.TLS_CERT_FILE else await store.read(stored_certificate)
            if await asyncio.to_thread(self._certificates.load, stored):
                log.info("another certificate is in use")
        except (Unreadable, StoreError, ValueError) as error:
            log.warning("the certificate from the console cannot be used: %s", str(error) or type(error).__name__)


class Orders:
    """Orders a certificate when one is due."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._names_until = 0.0

    async def order(self) -> None:
        if await store.read(acme_wanted) is None:
            self._names_until = 0.0
            return
        await sync_to_async(order_if_due, thread_sensitive=False)(await self._wanted_names())

    async def _wanted_names(self) -> list[str]:
        """The host name, and the aliases that lead to where it leads: one name that does not fails the whole order."""
        if time.monotonic() < self._names_until:
            return self._names
        host = settings.HOSTNAME.lower()
        ours, names = await _addresses(host), [host]
        for alias in await store.read(_aliases) if ours else ():
            if len(names) < MAX_NAMES and alias not in names and await _addresses(alias) & ours:
                names.append(alias)
        self._names, self._names_until = names, time.monotonic() + NAMES_FOR_S
        return names


def _aliases() -> list[str]:
    domains = Domain.objects.filter(is_active=True).order_by("pk").values_list("name", flat=True)
    return [f"{label}.{domain_to_ascii(name)}" for name in domains for label in ALIASES]


async def _addresses(name: str) -> set[str]:
    found: set[str] = set()
    for kind in ("A", "AAAA"):
        try:
            found.update((await client().ask(name, kind)).records)
        except (DnsFailure, BadName):
            continue
    return found
