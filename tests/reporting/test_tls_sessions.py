"""What is counted of the connections to other hosts (RFC 8460 section 4.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.models import User
from mailservers.formats.reports import TLS
from mailservers.models import ReportTally
from mailservers.store.events import Step
from mailservers.store.tallies import tallies
from tests.outbound.authority import Authority
from tests.outbound.fake_smtp import FakeHost, Script
from tests.outbound.test_tls_policy import PLAIN, POLICY, add_tlsa, digest, loopback, policy_host, send, world
from tests.outbound.test_tls_policy import TLS as WITH_TLS

__all__ = ["loopback"]  # a fixture that every test uses
RECORD = '_mta-sts.remote.test. 60 TXT "v=STSv1; id=1"'
POLICY_HOST = "mta-sts.remote.test. 60 A 127.0.0.1"


async def counted() -> list[tuple[str, str, int]]:
    """(type, result, count)."""
    await tallies.write()
    rows = [
        (json.loads(row.facts), row.count) async for row in ReportTally.objects.filter(kind=TLS, domain="remote.test")
    ]
    return sorted((facts["type"], facts["result"], count) for facts, count in rows)


async def test_no_policy(anna: User, settings: Any, authority: Authority) -> None:
    context, _ = authority.issue("another.test")
    async with FakeHost(Script(extensions=WITH_TLS, tls=context)) as host:
        with world(settings, host):
            await send()
    assert await counted() == [("no-policy-found", "", 1)]


async def test_no_policy_and_no_tls(anna: User, settings: Any) -> None:
    async with FakeHost(Script(extensions=PLAIN)) as host:
        with world(settings, host):
            await send()
    assert await counted() == [("no-policy-found", "starttls-not-supported", 1)]


@pytest.mark.parametrize(
    ("name", "days", "mx", "result"),
    [
        ("mx.remote.test", 1, "mx.remote.test", ""),
        ("another.test", 1, "mx.remote.test", "certificate-host-mismatch"),
        ("mx.remote.test", -1, "mx.remote.test", "certificate-expired"),
        ("mx.remote.test", 1, "other.remote.test", "validation-failure"),
    ],
)
@pytest.mark.parametrize("mode", ["testing", "enforce"])
async def test_a_policy(
    anna: User, settings: Any, authority: Authority, name: str, days: int, mx: str, result: str, mode: str
) -> None:
    """In mode testing it goes all the same, and the report says what would have stopped it."""
    context, _ = authority.issue(name, days)
    async with FakeHost(Script(extensions=WITH_TLS, tls=context)) as host:
        with world(settings, host, RECORD, POLICY_HOST):
            async with policy_host(settings, authority, POLICY.format(mode=mode, mx=mx)):
                event = await send()
    assert event.step == (Step.ATTEMPTED if mode == "enforce" and result else Step.SENT), event.detail
    assert await counted() == [("sts", result, 1)]


async def test_a_stripped_starttls_under_a_policy_in_testing(anna: User, settings: Any, authority: Authority) -> None:
    async with FakeHost(Script(extensions=PLAIN)) as host:
        with world(settings, host, RECORD, POLICY_HOST):
            async with policy_host(settings, authority, POLICY.format(mode="testing", mx="mx.remote.test")):
                event = await send()
    assert event.step == Step.SENT
    assert await counted() == [("sts", "starttls-not-supported", 1)]


@pytest.mark.parametrize("is_right", [True, False])
async def test_dane(anna: User, settings: Any, authority: Authority, is_right: bool) -> None:
    context, certificate = authority.issue("mx.remote.test")
    if not is_right:
        _, certificate = authority.issue("mx.remote.test")
    async with FakeHost(Script(extensions=WITH_TLS, tls=context)) as host:
        with world(settings, host, signed=True) as zone:
            add_tlsa(zone, host, (3, 1, 1, digest(certificate)))
            await send()
    assert await counted() == [("tlsa", "" if is_right else "validation-failure", 1)]
