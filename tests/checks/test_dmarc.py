"""DMARC: which record counts, what is aligned, and what a fail means."""

from __future__ import annotations

import pytest

from mailservers.checks import dmarc
from mailservers.checks.dmarc import evaluate_dmarc, organizational_domain

from .zones import Records

REJECT = b"v=DMARC1; p=reject"


@pytest.mark.parametrize(
    ("domain", "organizational"),
    [
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("shop.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("deep.sender.test", "sender.test"),
    ],
)
def test_organizational_domain(domain: str, organizational: str) -> None:
    assert organizational_domain(domain) == organizational


@pytest.mark.parametrize(
    ("record", "spf", "signers", "result"),
    [
        (REJECT, "", [], "fail"),
        (REJECT, "sender.test", [], "pass"),
        (REJECT, "mail.sender.test", [], "pass"),
        (REJECT, "", ["news.sender.test"], "pass"),
        (REJECT, "evil.test", ["evil.test"], "fail"),
        (REJECT, "othersender.test", ["test"], "fail"),
        (REJECT + b"; aspf=s", "mail.sender.test", [], "fail"),
        (REJECT + b"; adkim=s", "", ["mail.sender.test"], "fail"),
        (REJECT + b"; adkim=s; aspf=s", "", ["sender.test"], "pass"),
    ],
)
async def test_alignment(record: bytes, spf: str, signers: list[str], result: str) -> None:
    dns = Records({"_dmarc.sender.test": record})
    outcome = await evaluate_dmarc(dns.ask, "sender.test", spf, signers)
    assert outcome.result == result


@pytest.mark.parametrize(
    ("records", "author", "result", "policy"),
    [
        ({}, "sender.test", "none", ""),
        ({"_dmarc.sender.test": REJECT}, "a.sender.test", "fail", "reject"),
        ({"_dmarc.sender.test": REJECT + b"; sp=none"}, "a.sender.test", "fail", "none"),
        ({"_dmarc.sender.test": b"v=DMARC1; p=none; np=reject"}, "gone.sender.test", "fail", "reject"),
        ({"_dmarc.sender.test": b"v=DMARC1; p=none; np=none; sp=reject"}, "gone.sender.test", "fail", "none"),
        ({"_dmarc.a.sender.test": b"v=DMARC1;p=quarantine", "_dmarc.sender.test": REJECT}, "a.sender.test", "fail",
         "quarantine"),
        ({"_dmarc.sender.test": b"v=spf1 -all"}, "sender.test", "none", ""),
        ({"_dmarc.sender.test": b"v=DMARC1; sp=none"}, "sender.test", "none", ""),
        ({"_dmarc.sender.test": b"v=DMARC1; p=odd; rua=mailto:r@sender.test"}, "sender.test", "fail", "none"),
        ({"_dmarc.sender.test": b"V=DMARC1; p=reject"}, "sender.test", "none", ""),
        ({"_dmarc.sender.test": b" v = DMARC1 ; p = Reject ;"}, "sender.test", "fail", "reject"),
        ({"_dmarc.sender.test": None}, "sender.test", "temperror", ""),
    ],
)  # fmt: skip
async def test_records(records: dict[str, bytes | None], author: str, result: str, policy: str) -> None:
    outcome = await evaluate_dmarc(Records(records).ask, author, "", [])
    assert (outcome.result, outcome.policy) == (result, policy)


@pytest.mark.parametrize(
    ("policy", "percent", "disposition"),
    [("reject", 100, "reject"), ("reject", 0, "quarantine"), ("quarantine", 0, "none"), ("none", 100, "none")],
)
async def test_percent(policy: str, percent: int, disposition: str) -> None:
    dns = Records({"_dmarc.sender.test": f"v=DMARC1; p={policy}; pct={percent}".encode()})
    outcome = await evaluate_dmarc(dns.ask, "sender.test", "", [])
    assert outcome.disposition == disposition


async def test_pct_is_a_share_of_the_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    dns = Records({"_dmarc.sender.test": REJECT + b"; pct=25"})
    seen = []
    for drawn in (0, 24, 25, 99):
        monkeypatch.setattr(dmarc.random, "randrange", lambda _, drawn=drawn: drawn)
        seen.append((await evaluate_dmarc(dns.ask, "sender.test", "", [])).disposition)
    assert seen == ["reject", "reject", "quarantine", "quarantine"]


async def test_what_could_not_be_looked_up_is_no_fail() -> None:
    dns = Records({"_dmarc.sender.test": REJECT})
    outcome = await evaluate_dmarc(dns.ask, "sender.test", "", [], may_change=True)
    assert (outcome.result, outcome.disposition) == ("temperror", "none")
