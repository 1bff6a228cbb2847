"""SPF: the openspf.org test suite for RFC 7208, and the limits that keep a record from costing too much."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import override_settings

from mailservers.checks.spf import check_host
from mailservers.dns_client import Answer, BadName, DnsFailure

SUITE = Path(__file__).parent / "rfc7208" / "rfc7208-tests.yml"


class SuiteZone:
    """The suite's zone data, asked as the DNS is."""

    def __init__(self, zone: dict[str, list[Any]]) -> None:
        self.zone = {name.lower(): entries for name, entries in zone.items()}
        self.asked: list[tuple[str, str]] = []

    async def ask(self, name: str, kind: str, depth: int = 0) -> Answer:
        self.asked.append((name, kind))
        if any(len(label) > 63 or not label for label in name.rstrip(".").split(".")):
            raise BadName(name)
        entries = self.zone.get(name.lower().rstrip("."))
        if entries is None:
            return Answer((), exists=False)
        if "TIMEOUT" in entries and not any(
            isinstance(entry, dict) and entry.get(kind, "NONE") != "NONE" for entry in entries
        ):
            raise DnsFailure("timeout", is_timeout=True)
        mappings = [entry for entry in entries if isinstance(entry, dict)]
        for entry in mappings:
            if "CNAME" in entry and depth < 8:
                return await self.ask(entry["CNAME"], kind, depth + 1)
        has_text = any("TXT" in entry for entry in mappings)
        wanted = "SPF" if kind == "TXT" and not has_text else kind
        values = [entry[wanted] for entry in mappings if wanted in entry and entry[wanted] not in ("NONE", "TIMEOUT")]
        return Answer(tuple(_value(kind, value) for value in values))


def _value(kind: str, value: Any) -> Any:
    if kind == "TXT":
        text = value if isinstance(value, str) else "".join(value)
        return text.encode("utf-8")
    if kind == "MX":
        return (value[0], value[1])
    return value


def cases() -> list[Any]:
    with SUITE.open(encoding="utf-8") as file:
        return [
            pytest.param(scenario["zonedata"], case, id=name)
            for scenario in yaml.safe_load_all(file)
            for name, case in scenario["tests"].items()
        ]


@pytest.mark.parametrize(("zone", "case"), cases())
@override_settings(HOSTNAME="receiver.test")
async def test_suite(zone: dict[str, list[Any]], case: dict[str, Any]) -> None:
    sender, helo = case["mailfrom"], case["helo"]
    address = sender or f"postmaster@{helo}"
    domain = address.rpartition("@")[2]
    outcome = await check_host(SuiteZone(zone).ask, ipaddress.ip_address(case["host"]), domain, address, helo)
    wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert outcome.result in wanted, outcome.reason
    explanation = case.get("explanation")
    if explanation is not None and explanation != "DEFAULT":
        # The suite has %{i} of IPv6 in capitals; the RFC's own examples (section 7.4) do not.
        assert outcome.explanation.lower() == explanation.lower()


async def test_a_bomb_costs_a_bounded_number_of_questions() -> None:
    """Each record includes ten others: 10^10 questions, were nobody counting."""
    zone = {
        f"d{depth}-{n}.test": [{"TXT": "v=spf1 " + " ".join(f"include:d{depth + 1}-{k}.test" for k in range(10))}]
        for depth in range(12)
        for n in range(10)
    }
    dns = SuiteZone(zone)
    outcome = await check_host(dns.ask, ipaddress.ip_address("192.0.2.1"), "d0-0.test", "a@d0-0.test", "mx.test")
    assert outcome.result == "permerror"
    assert len(dns.asked) <= 12


async def test_many_mail_exchangers_are_refused_before_they_are_asked() -> None:
    zone = {"m.test": [{"TXT": "v=spf1 mx -all"}, *({"MX": [n, f"h{n}.test"]} for n in range(11))]}
    dns = SuiteZone(zone)
    outcome = await check_host(dns.ask, ipaddress.ip_address("192.0.2.1"), "m.test", "a@m.test", "mx.test")
    assert outcome.result == "permerror"
    assert len(dns.asked) == 2
