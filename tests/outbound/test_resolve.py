"""Where mail for a domain goes: MX cases against a stub name server, routes, loops, addresses that are not public."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from mailservers.outbound import resolve
from mailservers.outbound.outcomes import Unreachable
from mailservers.outbound.resolve import Found, MailHost, MailResolver
from mailservers.outbound.routes import RouteBook, parse_routes
from mailservers.outbound.way import Route

from .stub_dns import Zone, name_server

ZONE = """
two.test. 60 MX 20 b.two.test.
two.test. 60 MX 10 a.two.test.
a.two.test. 60 A 8.8.8.8
a.two.test. 60 AAAA 2001:4860:4860::8888
b.two.test. 60 A 8.8.4.4
equal.test. 60 MX 10 a.two.test.
equal.test. 60 MX 10 b.two.test.
implicit.test. 60 A 9.9.9.9
nullmx.test. 60 MX 0 .
empty.test. 60 TXT "nothing"
alias.test. 60 CNAME two.test.
aliased-host.test. 60 MX 10 host-alias.test.
host-alias.test. 60 CNAME a.two.test.
loop.test. 60 MX 10 mx.postroom.test.
backup.test. 60 MX 10 a.two.test.
backup.test. 60 MX 20 MX.postroom.TEST.
backup.test. 60 MX 30 b.two.test.
inside.test. 60 MX 10 private.test.
private.test. 60 A 10.0.0.1
private.test. 60 AAAA ::1
mixed.test. 60 A 127.0.0.1
mixed.test. 60 A 8.8.8.8
gone-host.test. 60 MX 10 nowhere.test.
broken-host.test. 60 MX 10 host.broken.
xn--exmple-cua.test. 60 MX 5 a.two.test.
"""


@pytest.fixture
def zone(settings: Any) -> Iterator[Zone]:
    with name_server(ZONE) as (server, answers):
        settings.OUTBOUND_DNS_SERVERS = [server]
        yield answers


async def names(domain: str) -> list[str]:
    return [host.name for host in await MailResolver().mail_hosts(domain)]


@pytest.mark.parametrize(
    ("domain", "hosts"),
    [
        ("two.test", ["a.two.test", "b.two.test"]),
        ("TWO.test.", ["a.two.test", "b.two.test"]),
        ("implicit.test", ["implicit.test"]),
        ("empty.test", ["empty.test"]),
        ("alias.test", ["a.two.test", "b.two.test"]),
        ("backup.test", ["a.two.test"]),  # not those after us
        ("exämple.test", ["a.two.test"]),
        ("[192.0.2.7]", ["192.0.2.7"]),
        ("[IPv6:2001:db8::1]", ["2001:db8::1"]),
    ],
)
async def test_hosts(zone: Zone, domain: str, hosts: list[str]) -> None:
    assert await names(domain) == hosts


async def test_equals_are_shuffled(zone: Zone) -> None:
    resolver = MailResolver()
    firsts = {(await resolver.mail_hosts("equal.test"))[0].name for _ in range(60)}
    assert firsts == {"a.two.test", "b.two.test"}
    assert zone.asked.count(("equal.test.", "MX")) == 1  # remembered


@pytest.mark.parametrize(
    ("domain", "temporary", "status", "words"),
    [
        ("nowhere.test", False, "5.1.2", "no domain nowhere.test"),
        ("nullmx.test", False, "5.1.10", "takes no mail"),
        ("loop.test", False, "5.4.6", "come back to this host"),
        ("mx.postroom.test", False, "5.1.2", "no domain"),
        ("x.broken", True, "4.4.3", "could not be looked up"),
        ("a..b.test", False, "5.1.2", "not a domain name"),
        ("x" * 64 + ".test", False, "5.1.2", "not a domain name"),
        ("[1.2.3]", False, "5.1.2", "not an address"),
        ("", False, "5.1.2", "not a domain name"),
    ],
)
async def test_no_host(zone: Zone, domain: str, temporary: bool, status: str, words: str) -> None:
    with pytest.raises(Unreachable, match=words) as caught:
        await names(domain)
    assert (caught.value.temporary, caught.value.status) == (temporary, status)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("a.two.test", ["2001:4860:4860::8888", "8.8.8.8"]),
        ("host-alias.test", ["2001:4860:4860::8888", "8.8.8.8"]),
        ("mixed.test", ["8.8.8.8"]),
        ("9.9.9.9", ["9.9.9.9"]),
    ],
)
async def test_addresses(zone: Zone, host: str, found: list[str]) -> None:
    canonical = "a.two.test" if host == "host-alias.test" else ""
    assert await MailResolver().addresses(MailHost(host, 25)) == Found(found, canonical=canonical)


@pytest.mark.parametrize(
    ("host", "temporary", "words"),
    [
        ("private.test", False, "not public .10.0.0.1, ::1.: mail is not sent there unless a route says so"),
        ("127.0.0.1", False, "not public"),
        ("nowhere.test", False, "has no address"),
        ("empty.test", False, "has no address"),
        ("host.broken", True, "could not be looked up"),
    ],
)
async def test_no_address(zone: Zone, host: str, temporary: bool, words: str) -> None:
    with pytest.raises(Unreachable, match=words) as caught:
        await MailResolver().addresses(MailHost(host, 25))
    assert caught.value.temporary is temporary


async def test_private_addresses_when_allowed(zone: Zone, settings: Any) -> None:
    settings.OUTBOUND_ALLOW_PRIVATE = True
    assert await MailResolver().addresses(MailHost("private.test", 25)) == Found(["::1", "10.0.0.1"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.1.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not resolve.is_public(address)


async def test_a_silent_name_server_is_temporary(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.OUTBOUND_DNS_SERVERS = ["127.0.0.1:9"]
    monkeypatch.setattr(resolve, "DNS_LIFETIME_S", 0.3)
    with pytest.raises(Unreachable) as caught:
        await names("two.test")
    assert caught.value.temporary


# ---------------------------------------------------------------- routes


async def test_routes_may_name_loopback(settings: Any) -> None:
    settings.ROUTES = {"Example.test": "127.0.0.1:2626", "six.test": "[::1]:2526", "*": "localhost"}
    book, resolver = RouteBook(), MailResolver()
    assert book.find("a@example.TEST", "") == Route("127.0.0.1", 2626)
    assert book.find("a@six.test", "b@example.test") == Route("::1", 2526)
    assert book.find("a@anything.test", "") == Route("localhost", 25)
    assert await resolver.addresses(MailHost("127.0.0.1", 2626, True)) == Found(["127.0.0.1"])
    assert "127.0.0.1" in (await resolver.addresses(MailHost("localhost", 25, True))).addresses


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ([6, 4], ["::1", "10.0.0.1", "::2", "10.0.0.2"]),
        ([4, 6], ["10.0.0.1", "::1", "10.0.0.2", "::2"]),
        ([4], ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]),
        ([], ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]),
    ],
)
def test_both_ip_versions_have_their_turn(settings: Any, versions: list[int], found: list[str]) -> None:
    settings.OUTBOUND_IP_VERSIONS = versions
    many = [f"10.0.0.{n}" for n in range(1, 9)]
    assert resolve._in_turn([*many, "::1", "::2"]) == found
    assert resolve._in_turn(["::1"])


@pytest.mark.parametrize("target", ["", "host:0", "host:99999", "host:x", "a b", "[::1", "::1"])
def test_bad_routes_are_refused(target: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"x\.test="):
        parse_routes({"x.test": target})


def test_routes() -> None:
    assert parse_routes({"A.test.": "h"}) == {"a.test": Route("h", 25)}
