"""Changing DKIM keys on a schedule, with overlap: new keys are made and shown, take over when their records are found
in the DNS, and the old ones' records stay for mail that is on its way.

    made, waits for its record -> signs (`is_active`) -> retired -> forgotten after DKIM_FORGET_DAYS

Nobody but the administrator can publish a record, so a key that waits may wait for ever, and the old one signs on.
"""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from accounts.keys import activate_dkim_key, generate, make_dkim_keys, record_name
from accounts.models import DkimKey, Domain
from mailservers.dns_client import BadName, DnsClient, DnsFailure
from mailservers.formats.mailbox_address import InvalidAddress
from mailservers.store.engine import store
from mailservers.store.transaction import Transaction

log = logging.getLogger(__name__)

LOOK_EVERY_S = 3600.0


async def keep_rotating(dns: DnsClient) -> None:
    """Until cancelled. Any number of hosts may do it: each step is one transaction that looks again."""
    while True:
        try:
            await rotate(dns)
        except Exception:
            log.warning("looking after the DKIM keys failed", exc_info=True)
        await asyncio.sleep(LOOK_EVERY_S)


async def rotate(dns: DnsClient) -> None:
    """What is due now."""
    await store.call(_forget_retired)
    for key_id, name, public_key in await store.read(_waiting):
        if await _is_published(dns, name, public_key):
            await store.call(activate_dkim_key, key_id)
            log.warning("DKIM: %s was found in the DNS and signs from now on", name)
    for domain_id in await store.read(_due):
        pairs = await asyncio.to_thread(generate)
        await store.call(_make, domain_id, pairs)


async def _is_published(dns: DnsClient, name: str, public_key: str) -> bool:
    try:
        answer = await dns.ask(name, "TXT")
    except (DnsFailure, BadName):
        return False
    return any(_public_key_of(record) == public_key for record in answer.records)


def _public_key_of(record: bytes) -> str:
    found = re.search(rb"(?:^|;)\s*p\s*=([^;]*)", record)
    return re.sub(r"\s+", "", found[1].decode("latin-1")) if found else ""


def _waiting() -> list[tuple[int, str, str]]:
    rows = DkimKey.objects.filter(is_active=False, retired_at=None, domain__is_active=True).select_related("domain")
    found = []
    for row in rows:
        try:
            found.append((row.pk, record_name(row), row.public_key))
        except InvalidAddress:
            continue
    return found


def _due() -> list[int]:
    """Domains whose keys are older than DKIM_ROTATE_DAYS and have no successor that waits."""
    if not settings.DKIM_ROTATE_DAYS:
        return []
    before = timezone.now() - timedelta(days=settings.DKIM_ROTATE_DAYS)
    waiting = DkimKey.objects.filter(is_active=False, retired_at=None).values("domain_id")
    young = DkimKey.objects.filter(is_active=True, created_at__gt=before).values("domain_id")
    domains = Domain.objects.filter(is_active=True).exclude(pk__in=waiting).exclude(pk__in=young)
    return list(domains.filter(dkim_keys__is_active=True).distinct().values_list("pk", flat=True))


def _make(tx: Transaction, domain_id: int, pairs: tuple) -> None:
    if domain_id in _due():
        make_dkim_keys(tx, domain_id, pairs, is_active=False)


def _forget_retired(tx: Transaction) -> None:
    DkimKey.objects.filter(retired_at__lt=tx.now - timedelta(days=settings.DKIM_FORGET_DAYS)).delete()
