"""MTA-STS policies of other domains (RFC 8461): found, fetched, and kept until they expire.

A policy that is kept holds, whatever the DNS says meanwhile (section 5.1): only a new policy, fetched over HTTPS from
the domain itself, takes its place. So an attacker who strips the DNS record, or the mail server's STARTTLS, gets
nothing. Policies are kept in the database, for restarts and other hosts, and looked at again once a day.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from mailservers.dns_client import BadName, DnsClient, DnsFailure
from mailservers.formats.mailbox_address import InvalidAddress
from mailservers.formats.mta_sts import InvalidPolicy, StsPolicy, parse_policy, policy_id
from mailservers.formats.outgoing import domain_on_wire
from mailservers.models import MtaStsPolicy
from mailservers.outbound.https import FetchFailed, fetch
from mailservers.outbound.resolve import MailResolver
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.transaction import Transaction

log = logging.getLogger(__name__)

REMEMBER_S = 300.0  # what was found is not looked for again
MAX_REMEMBERED = 10_000  # domains
LOOK_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """A policy as it is kept."""

    record_id: str
    policy: StsPolicy
    fetched_at: datetime
    expires_at: datetime


class StsPolicies:
    """One per runner."""

    def __init__(self, resolver: MailResolver) -> None:
        self._resolver = resolver
        self._dns: DnsClient = resolver.dns
        self._remembered: dict[str, tuple[float, StsPolicy | None]] = {}
        self._looking: dict[str, asyncio.Task[StsPolicy | None]] = {}

    async def of(self, domain: str) -> StsPolicy | None:
        """The policy in force, None without one. Never raises: a policy that cannot be had is none."""
        try:
            name = domain_on_wire(domain)
        except InvalidAddress:
            return None
        remembered = self._remembered.get(name)
        if remembered is not None and time.monotonic() < remembered[0]:
            return remembered[1]
        task = self._looking.get(name)
        if task is None:
            task = self._looking[name] = asyncio.get_running_loop().create_task(self._look(name), name="MTA-STS")
        return await asyncio.shield(task)

    async def _look(self, domain: str) -> StsPolicy | None:
        policy: StsPolicy | None = None
        try:
            kept = await self._kept(domain)
            policy = await self._current(domain, kept)
        except Exception:
            log.exception("looking for the MTA-STS policy of %s failed", domain)
        finally:
            del self._looking[domain]
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[domain] = (time.monotonic() + REMEMBER_S, policy)
        return policy

    async def _kept(self, domain: str) -> Kept | None:
        try:
            return await store.read(_read, domain, timezone.now())
        except StoreError:
            return None

    async def _current(self, domain: str, kept: Kept | None) -> StsPolicy | None:
        record_id = await self._record_id(domain)
        is_fresh = kept is not None and kept.fetched_at <= timezone.now() < kept.fetched_at + LOOK_AGAIN
        if kept is not None and (record_id in (None, kept.record_id)) and is_fresh:
            return kept.policy
        if record_id is None:
            return kept.policy if kept is not None else None
        try:
            body = await fetch(self._resolver, f"mta-sts.{domain}", "/.well-known/mta-sts.txt")
            policy = parse_policy(body)
        except (FetchFailed, InvalidPolicy) as error:
            log.info("the MTA-STS policy of %s could not be had: %s", domain, error)
            return kept.policy if kept is not None else None
        try:
            await store.call(_keep, domain, record_id, policy)
        except StoreError:
            log.warning("the MTA-STS policy of %s could not be kept", domain)
        return policy

    async def _record_id(self, domain: str) -> str | None:
        try:
            return policy_id((await self._dns.ask(f"_mta-sts.{domain}", "TXT")).records)
        except (DnsFailure, BadName):
            return None


def _read(domain: str, now: datetime) -> Kept | None:
    row = MtaStsPolicy.objects.filter(domain=domain, expires_at__gt=now).first()
    if row is None:
        return None
    policy = StsPolicy(row.mode, row.max_age_s, tuple(row.mx.split()))
    return Kept(row.record_id, policy, row.fetched_at, row.expires_at)


def _keep(tx: Transaction, domain: str, record_id: str, policy: StsPolicy) -> None:
    MtaStsPolicy.objects.update_or_create(
        domain=domain,
        defaults={
            "record_id": record_id,
            "mode": policy.mode,
            "max_age_s": policy.max_age_s,
            "mx": " ".join(policy.mx),
            "fetched_at": tx.now,
            "expires_at": tx.now + timedelta(seconds=policy.max_age_s),
        },
    )
