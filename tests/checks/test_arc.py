"""ARC chains sealed by dkimpy: whole, tampered with, and what is believed of them."""

from __future__ import annotations

import dkim
import pytest

from mailservers.checks.arc import verify_arc

from .zones import MESSAGE, Records, rsa_key

RESULTS = "Authentication-Results: {}; spf=pass smtp.mailfrom=carol@{}; dmarc=pass (p=reject) header.from={}\r\n"
RECORDS = {f"k._domainkey.{domain}": rsa_key(1024).record for domain in ("list.test", "forward.test")}


def seal(message: bytes, domain: str, author: str = "sender.test") -> bytes:
    """As a forwarder does: its Authentication-Results, then an ARC set."""
    seen = RESULTS.format(domain, author, author).encode() + message
    fields = dkim.arc_sign(seen, b"k", domain.encode(), rsa_key(1024).private, domain.encode())
    assert fields
    return b"".join(fields) + message


async def test_none() -> None:
    assert (await verify_arc(Records(RECORDS).ask, MESSAGE)).result == "none"


async def test_two_hops() -> None:
    sealed = seal(MESSAGE, "list.test")
    again = seal_second(sealed)
    outcome = await verify_arc(Records(RECORDS).ask, again)
    assert (outcome.result, outcome.reason) == ("pass", "")
    assert outcome.sealers == ("list.test", "forward.test")
    assert outcome.seen is not None
    assert outcome.seen.authserv_id == "list.test"
    assert [(r.method, r.result, r.property("header.from")) for r in outcome.seen.results] == [
        ("spf", "pass", ""),
        ("dmarc", "pass", "sender.test"),
    ]
    assert outcome.is_trusted(["List.test", "forward.test"])
    assert not outcome.is_trusted(["forward.test"])


def seal_second(sealed: bytes) -> bytes:
    """dkimpy takes cv= from an arc= result and looks keys up itself."""
    seen = b"Authentication-Results: forward.test; arc=pass\r\n" + sealed
    fields = dkim.ARC(seen).sign(
        b"k",
        b"forward.test",
        rsa_key(1024).private,
        b"forward.test",
    )
    return b"".join(fields) + sealed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"at nine", b"at ten!"),
        (b"header.from=sender.test", b"header.from=victim.test"),
        (b"cv=none", b"cv=pass"),
        (b"i=1; a=rsa", b"i=2; a=rsa"),
        (b"ARC-Seal:", b"X-Seal:"),
        (b"ARC-Message-Signature:", b"X-Signature:"),
        (
            b"ARC-Authentication-Results:",
            b"ARC-Authentication-Results: i=1; x.test; none\r\nARC-Authentication-Results:",
        ),
    ],
)
async def test_tampering(old: bytes, new: bytes) -> None:
    sealed = seal(MESSAGE, "list.test")
    assert (await verify_arc(Records(RECORDS).ask, sealed)).result == "pass"
    assert old in sealed
    outcome = await verify_arc(Records(RECORDS).ask, sealed.replace(old, new, 1))
    assert outcome.result == "fail"
    assert outcome.reason
    assert not outcome.is_trusted(["list.test"])


@pytest.mark.parametrize("record", [None, b"v=DKIM1; p=", b"nonsense"])
async def test_without_the_key_the_chain_fails(record: bytes | None) -> None:
    """RFC 8617 section 5.2.1: a DNS failure, too."""
    sealed = seal(MESSAGE, "list.test")
    outcome = await verify_arc(Records({"k._domainkey.list.test": record}).ask, sealed)
    assert outcome.result == "fail"
