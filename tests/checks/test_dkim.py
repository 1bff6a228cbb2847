"""DKIM signatures made by dkimpy and by the RFC's authors, whole and tampered with."""

from __future__ import annotations

import re

import pytest

from mailservers.checks import dkim as checked
from mailservers.checks.dkim import verify_dkim
from mailservers.store.spool import spooled

from .zones import MESSAGE, Key, Records, ed25519_key, rsa_key

NAME = "s1._domainkey.sender.test"

# 768 bits: made for this test, since cryptography does not make such a key any more.
_WEAK = (
    "MIIBywIBAAJhAKntaoqhTsDY2yEir0IHSrYEPcaMsQqON+43S3y+egAFjh4DqsLyn5JoQauVhVwZAdn0PzsiCG5la00iC1zh5WpY"
    "BB38tjMvMCNlUJCI3JtXVzBWT6GtP1mu2WjRF3zy9wIDAQABAmBFp3w0t0qA4mNwgbc1aafGVJa9/I3VtdZXX3Mh/zIjMCPBSd+F"
    "ac7fRL0miHPR/K2KjGSC8K/l2mu2V4cjvnVZ6+MYO9t7870ZmpVgxCYnDDV2FsVCtd/t074TZCdfeYECMQDWSZ71wNcn5rRg4Jhe"
    "reVzwAg6LDxMoar52sK/j6Ohp1RgNwo0Vul9m+7n3DvDiusCMQDLAT0rtwHLWhs98xpMrDae6SCYp+Id6E6aTAzemu3aQYCUiqfV"
    "XoswghthEZKn3SUCMBjH/M0Y1wjzQirt7lEMtTtUmt73XKXUEGzCosD6gIbiTfyugMyavHfdP5yquHKdrwIxAJuA9XS5GTzGZzvL"
    "Lwgwmx6bggauA33ZZ+y1+N3EXBLmPjKLDAlcBM9BuuteZLMFqQIxANYm6FBrfrvILkWYaebIbfOlSzkpYON0vV3dfSexg/P0r4o2"
    "0PoyaAY/uRwnhfE25w=="
)
WEAK_KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{_WEAK}\n-----END RSA PRIVATE KEY-----\n".encode()
WEAK_RECORD = (
    b"v=DKIM1; k=rsa; p=MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAKntaoqhTsDY2yEir0IHSrYEPcaMsQqON+43S3y+egAFjh4D"
    b"qsLyn5JoQauVhVwZAdn0PzsiCG5la00iC1zh5WpYBB38tjMvMCNlUJCI3JtXVzBWT6GtP1mu2WjRF3zy9wIDAQAB"
)
RFC_8463_MESSAGE = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")


async def result(message: bytes, record: bytes | None) -> tuple[str, str]:
    outcomes = await verify_dkim(Records({NAME: record}).ask, message)
    assert outcomes == await verify_dkim(Records({NAME: record}).ask, spooled([message]))  # as a large one
    assert len(outcomes) == 1
    return outcomes[0].result, outcomes[0].reason


@pytest.fixture(params=["rsa", "ed25519"])
def key(request: pytest.FixtureRequest) -> Key:
    return rsa_key() if request.param == "rsa" else ed25519_key()


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
async def test_what_was_signed_verifies(key: Key, header: bytes, body: bytes) -> None:
    assert await result(key.sign(MESSAGE, canonicalize=(header, body)), key.record) == ("pass", "")


@pytest.mark.parametrize("content", [b"", b"\r\n", b"no line end", b" \t\r\n\r\n", b"a\r\n" * 40_000])
@pytest.mark.parametrize("form", [b"simple", b"relaxed"])
async def test_odd_bodies(content: bytes, form: bytes) -> None:
    message = b"From: a@sender.test\r\nSubject: \t blank \t\r\n\tfolded\r\n\r\n" + content
    signed = ed25519_key().sign(message, canonicalize=(form, form))
    assert await result(signed, ed25519_key().record) == ("pass", "")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"at nine", b"at ten!", "the body has been changed"),
        (b"\r\n\r\n\r\n", b"\r\n\r\nAlso: send money.\r\n", "the body has been changed"),
        (b"Subject: Tide", b"Subject: Tidy", "the signature does not match"),
        (b"carol@sender", b"karol@sender", "the signature does not match"),
        (b"From: Carol", b"From: Eve <eve@evil.test>\r\nFrom: Carol", ""),
    ],
)
async def test_tampering(key: Key, old: bytes, new: bytes, reason: str) -> None:
    signed = key.sign(MESSAGE)
    assert old in signed
    got = await result(signed.replace(old, new, 1), key.record)
    if reason:
        assert got == ("fail", reason)
    else:  # From stands once in h= and counts from below: DMARC looks at every From
        assert got[0] in ("pass", "fail")


async def test_every_octet_of_the_signature_counts(key: Key) -> None:
    signed = key.sign(MESSAGE)
    found = re.search(rb"[ ;]b=([A-Za-z0-9+/=\r\n ]+)", signed)
    assert found
    for at in range(found.start(1), found.end(1) - 3, 7):
        if signed[at : at + 1] in b"\r\n =":
            continue
        changed = signed[:at] + (b"A" if signed[at : at + 1] != b"A" else b"B") + signed[at + 1 :]
        assert (await result(changed, key.record))[0] == "fail"


@pytest.mark.parametrize(
    ("record", "got"),
    [
        (None, "temperror"),
        (b"v=DKIM1; p=", "fail"),
        (b"v=DKIM1; k=rsa", "permerror"),
        (b"v=DKIM2; p=AAAA", "permerror"),
        (b"v=DKIM1; p=!!!", "permerror"),
        (b"v=DKIM1; p=AAAA", "permerror"),
        (b"v=DKIM1; k=ed25519; p=AAAA", "permerror"),
        (b"not a record", "permerror"),
        (rsa_key().record + b"; s=other", "permerror"),
        (rsa_key().record + b"; h=sha1", "permerror"),
        (rsa_key().record + b"; t=y:s; n=note", "pass"),
        (rsa_key().record.replace(b"k=rsa; ", b""), "pass"),
        pytest.param(ed25519_key().record, "permerror", id="a key of another kind"),
        (rsa_key(1024).record, "fail"),
    ],
)
async def test_keys(record: bytes | None, got: str) -> None:
    assert (await result(rsa_key().sign(MESSAGE), record))[0] == got


async def test_weak_signatures_are_not_trusted() -> None:
    """RFC 8301."""
    weak = Key(b"rsa-sha256", WEAK_KEY, WEAK_RECORD)
    assert (await result(weak.sign(MESSAGE), weak.record))[0] == "policy"
    old = Key(b"rsa-sha1", rsa_key().private, rsa_key().record)
    assert (await result(old.sign(MESSAGE), old.record))[0] == "policy"


async def test_a_part_of_the_body_is_not_the_body() -> None:
    key = ed25519_key()
    signed = key.sign(MESSAGE, length=True)
    assert await result(signed, key.record) == ("pass", "")
    got, reason = await result(signed + b"Send money.\r\n", key.record)
    assert got == "policy" and "not signed" in reason


async def test_time(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ed25519_key()
    signed = key.sign(MESSAGE)
    stamp = re.search(rb"t=(\d+)", signed)
    assert stamp
    monkeypatch.setattr(checked.time, "time", lambda: int(stamp[1]) - 3 * 24 * 3600)
    assert (await result(signed, key.record))[0] == "policy"
    monkeypatch.undo()
    expired = signed.replace(b"t=" + stamp[1], b"t=1000; x=2000")
    assert await result(expired, key.record) == ("fail", "the signature has expired")


async def test_many_signatures_cost_a_bounded_number_of_questions() -> None:
    signed = MESSAGE
    for n in range(30):
        signed = ed25519_key().sign(signed, selector=f"s{n}")
    dns = Records({f"s{n}._domainkey.sender.test": ed25519_key().record for n in range(30)})
    outcomes = await verify_dkim(dns.ask, signed)
    assert [outcome.result for outcome in outcomes] == ["pass"] * checked.MAX_SIGNATURES
    assert len(dns.asked) == checked.MAX_SIGNATURES


async def test_the_example_of_rfc_8463() -> None:
    """Appendix A: one message, an Ed25519 and an RSA signature."""
    records = {
        "brisbane._domainkey.football.example.com": (
            b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
        ),
        "test._domainkey.football.example.com": (
            b"v=DKIM1; k=rsa; "
            b"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"
            b"Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G"
            b"+2kryOTIKT+l/K4w3QIDAQAB"
        ),
    }
    outcomes = await verify_dkim(Records(records).ask, RFC_8463_MESSAGE)
    assert [(outcome.result, outcome.algorithm) for outcome in outcomes] == [
        ("pass", "ed25519-sha256"),
        ("pass", "rsa-sha256"),
    ]


async def test_signatures_of_many_parts_cost_a_bounded_number_of_passes() -> None:
    signed = MESSAGE
    for n in range(8):
        signed = ed25519_key().sign(signed + b"more\r\n", selector=f"s{n}", length=True)
    dns = Records({f"s{n}._domainkey.sender.test": ed25519_key().record for n in range(8)})
    outcomes = await verify_dkim(dns.ask, signed)
    assert [o.result for o in outcomes] == ["pass"] + ["policy"] * 7
    assert sum("too many" in o.reason for o in outcomes) == 8 - checked.MAX_BODY_FORMS
