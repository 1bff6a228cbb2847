"""New DKIM keys wait for their DNS records, then take over; old ones stay for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.keys import generate, make_dkim_keys, record_name, record_value
from accounts.models import DkimKey, User
from mailservers.dns_client import DnsClient
from mailservers.outbound.dkim_rotation import rotate
from mailservers.store.engine import store
from mailservers.store.transaction import Transaction

from .stub_dns import name_server

pytestmark = pytest.mark.asyncio


def states() -> list[tuple[str, bool, bool]]:
    rows = DkimKey.objects.order_by("pk").values_list("algorithm", "is_active", "retired_at")
    return [(algorithm[:3], is_active, retired_at is not None) for algorithm, is_active, retired_at in rows]


def zone_of_all() -> str:
    lines = []
    for row in DkimKey.objects.select_related("domain"):
        value = record_value(row)
        pieces = " ".join(f'"{value[at : at + 200]}"' for at in range(0, len(value), 200))
        lines.append(f"{record_name(row)}. 60 TXT {pieces}")
    return "\n".join(lines)


async def test_a_year_in_the_life_of_keys(anna: User, settings: Any) -> None:
    settings.DKIM_ROTATE_DAYS, settings.DKIM_FORGET_DAYS = 180, 30
    await store.call(make_dkim_keys, anna.domain_id, generate("a"))
    with name_server("x.test. 60 A 192.0.2.1") as (server, _):
        dns = DnsClient([server])
        await rotate(dns)
        assert await store.read(states) == [("rsa", True, False), ("ed2", True, False)]  # too young
        await store.call(_age, created_at=timezone.now() - timedelta(days=181))
        await rotate(dns)
        await rotate(dns)  # once is enough
        assert await store.read(states) == [
            ("rsa", True, False), ("ed2", True, False), ("rsa", False, False), ("ed2", False, False)
        ]  # fmt: skip
    with name_server(await store.read(zone_of_all)) as (server, _):
        dns = DnsClient([server])
        await rotate(dns)
        assert await store.read(states) == [
            ("rsa", False, True), ("ed2", False, True), ("rsa", True, False), ("ed2", True, False)
        ]  # fmt: skip
        await rotate(dns)
        assert len(await store.read(states)) == 4
        await store.call(_age, retired_at=timezone.now() - timedelta(days=31))
        await rotate(dns)
        assert await store.read(states) == [("rsa", True, False), ("ed2", True, False)]


async def test_another_key_in_the_record_does_not_count(anna: User, settings: Any) -> None:
    await store.call(make_dkim_keys, anna.domain_id, generate("a"))
    await store.call(make_dkim_keys, anna.domain_id, generate("b"), is_active=False)
    zone = (await store.read(zone_of_all)).replace("p=", "p=AAAA")
    with name_server(zone) as (server, _):
        await rotate(DnsClient([server]))
    assert (await store.read(states))[:2] == [("rsa", True, False), ("ed2", True, False)]


def _age(tx: Transaction, **moments: Any) -> None:
    DkimKey.objects.filter(is_active="created_at" in moments).update(**moments)
