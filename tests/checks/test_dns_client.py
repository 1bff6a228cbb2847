"""The DNS client: kept by TTL, asked once, bounded in time, and failures told from answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from mailservers import dns_client
from mailservers.dns_client import BadName, DnsClient, DnsFailure, server_addresses
from tests.outbound.stub_dns import Zone, name_server

ZONE = """
a.test. 60 A 192.0.2.1
a.test. 60 TXT "one" "two"
a.test. 60 MX 10 mx.a.test.
short.test. 1 A 192.0.2.2
alias.test. 60 CNAME a.test.
"""


@pytest.fixture
def dns() -> Iterator[tuple[DnsClient, Zone]]:
    with name_server(ZONE) as (server, zone):
        yield DnsClient([server], 5.0), zone


async def test_answers(dns: tuple[DnsClient, Zone]) -> None:
    client, _ = dns
    assert (await client.ask("A.Test.", "TXT")).records == (b"onetwo",)
    assert (await client.ask("a.test", "MX")).records == ((10, "mx.a.test"),)
    assert (await client.ask("alias.test", "A")).records == ("192.0.2.1",)
    nothing, nobody = await client.ask("a.test", "AAAA"), await client.ask("no.test", "A")
    assert (nothing.records, nothing.exists, nobody.records, nobody.exists) == ((), True, (), False)


async def test_answers_are_kept_as_long_as_their_records_allow(
    dns: tuple[DnsClient, Zone], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, zone = dns
    for _ in range(3):
        await client.ask("a.test", "A")
        await client.ask("short.test", "A")
        await client.ask("no.test", "A")
    assert len(zone.asked) == 3
    now = time.monotonic()
    monkeypatch.setattr(dns_client.time, "monotonic", lambda: now + 2)
    for name in ("a.test", "short.test", "no.test"):
        await client.ask(name, "A")
    assert [name for name, _ in zone.asked[3:]] == ["short.test."]


async def test_who_asks_the_same_at_once_shares_one_question(dns: tuple[DnsClient, Zone]) -> None:
    client, zone = dns
    answers = await asyncio.gather(*(client.ask("a.test", "A") for _ in range(50)))
    assert len({answer.records for answer in answers}) == 1
    assert zone.asked == [("a.test.", "A")]


async def test_who_gives_up_does_not_take_the_answer_from_the_others(dns: tuple[DnsClient, Zone]) -> None:
    client, _ = dns
    hasty = asyncio.ensure_future(client.ask("a.test", "A"))
    patient = asyncio.ensure_future(client.ask("a.test", "A"))
    await asyncio.sleep(0)
    hasty.cancel()
    assert (await patient).records == ("192.0.2.1",)


async def test_failures(dns: tuple[DnsClient, Zone]) -> None:
    client, zone = dns
    for _ in range(2):
        with pytest.raises(DnsFailure) as caught:
            await client.ask("host.broken", "A")
    assert not caught.value.is_timeout
    assert {name for name, _ in zone.asked} == {"host.broken."}


async def test_a_silent_server() -> None:
    """Bounded in time; and a name that failed is not asked for again at once."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    client = DnsClient([f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"], 0.3)
    try:
        with pytest.raises(DnsFailure) as caught:
            await client.ask("a.test", "A")
        assert caught.value.is_timeout
        monkey = client._ask
        client._ask = None  # type: ignore[method-assign, assignment]
        with pytest.raises(DnsFailure):
            await client.ask("a.test", "A")
        client._ask = monkey  # type: ignore[method-assign]
    finally:
        transport.close()


async def test_the_cache_is_bounded(dns: tuple[DnsClient, Zone], monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = dns
    monkeypatch.setattr(dns_client, "CACHE_SIZE", 3)
    for n in range(10):
        await client.ask(f"n{n}.test", "A")
    assert len(client._cache) == 3


@pytest.mark.parametrize("name", ["a..test", "x" * 64 + ".test", ".".join(["abcdefg"] * 40), "é.test", ""])
async def test_names_that_cannot_be(dns: tuple[DnsClient, Zone], name: str) -> None:
    client, zone = dns
    with pytest.raises(BadName):
        await client.ask(name, "A")
    assert zone.asked == []


def test_server_addresses() -> None:
    servers = ["127.0.0.1", "127.0.0.2:5353", "[::1]:5353", "::2"]
    assert server_addresses(servers)[1] == {"127.0.0.1": 53, "127.0.0.2": 5353, "::1": 5353, "::2": 53}
