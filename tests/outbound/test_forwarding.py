"""Mail that is sent on for others: its reverse-path, its ARC set, and what bounces."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Iterator
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from accounts.keys import generate, make_dkim_keys, record_value
from accounts.models import Address, AddressTarget, DkimKey, Domain, User
from mailservers.checks.arc import verify_arc
from mailservers.delivery.rewriting import onward_path
from mailservers.formats.arc_sealing import Sealer, arc_set
from mailservers.models import DeliveryEvent
from mailservers.smtp import defences
from mailservers.smtp.server import SERVICES
from mailservers.store.engine import store
from mailservers.store.events import Step
from tests.checks.test_arc import RECORDS, seal
from tests.checks.zones import MESSAGE, Records, rsa_key
from tests.dialog import listening

from .conftest import running
from .fake_smtp import FakeHost, Script
from .stub_dns import name_server

RELAY = SERVICES[0]
ZONE = """
sender.test. 60 IN TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.sender.test. 60 IN TXT "v=DMARC1; p=reject"
sender.test. 60 IN A 127.0.0.1
"""


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    yield
    defences.errors_by_address.clear()
    defences.messages_by_address.clear()


@pytest.fixture
def alias(anna: User) -> Address:
    """club@harbour.test leads to bob@remote.test."""
    row = Address.objects.create(domain=anna.domain, address="club@harbour.test")
    AddressTarget.objects.create(address=row, remote="bob@remote.test")
    return row


def send(port: int, sender: str, recipient: str, raw: bytes = MESSAGE) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="mail.sender.test") as client:
        client.sendmail(sender, [recipient], raw)


async def keys_of(domain: Domain) -> dict[str, bytes]:
    """New ones; name -> record, of the RSA key alone: ARC knows no other."""
    await store.call(make_dkim_keys, domain.pk, generate("pr1"))
    row = await DkimKey.objects.select_related("domain").aget(algorithm="rsa-sha256")
    return {f"pr1._domainkey.{domain.name}": record_value(row).encode()}


async def test_a_forward_comes_from_the_forwarder_and_its_bounce_goes_home(alias: Address, settings: Any) -> None:
    refusing = Script(recipients={"bob@remote.test": "550 5.1.1 no bob here"})
    async with FakeHost(refusing) as far, FakeHost() as home, listening(RELAY) as port:
        settings.ROUTES = {"remote.test": f"127.0.0.1:{far.port}", "sender.test": f"127.0.0.1:{home.port}"}
        async with running():
            await asyncio.to_thread(send, port, "Carol@sender.test", "club@harbour.test")
            async with asyncio.timeout(30):
                await home.arrived.wait()
    (mail,) = [command for command in far.commands if command.startswith("MAIL")]
    assert mail.startswith("MAIL FROM:<SRS0=") and "=sender.test=Carol@harbour.test>" in mail
    (bounce,) = home.transactions
    assert bounce.mail.startswith("MAIL FROM:<>") and bounce.recipients == ["Carol@sender.test"]
    assert b"no bob here" in bounce.content
    queued = [event async for event in DeliveryEvent.objects.filter(step=Step.QUEUED, recipient="bob@remote.test")]
    assert "as from SRS0=" in queued[0].detail


async def test_a_bounce_from_the_next_host_goes_home(alias: Address, settings: Any) -> None:
    rewritten = onward_path("Carol@sender.test", "harbour.test")
    assert rewritten is not None
    async with FakeHost() as home, listening(RELAY) as port:
        settings.ROUTES = {"sender.test": f"127.0.0.1:{home.port}"}
        async with running():
            await asyncio.to_thread(send, port, "", rewritten.upper().replace("HARBOUR.TEST", "harbour.test"))
            await asyncio.to_thread(send, port, "", rewritten)
            async with asyncio.timeout(30):
                while len(home.transactions) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    assert sorted(t.recipients[0] for t in home.transactions) == ["CAROL@sender.test", "Carol@sender.test"]
    assert all(t.mail.startswith("MAIL FROM:<>") for t in home.transactions)


@pytest.mark.parametrize("change", ["forged", "expired", "catch-all"])
async def test_forged_and_expired(alias: Address, anna: User, settings: Any, monkeypatch: Any, change: str) -> None:
    address = onward_path("carol@sender.test", "harbour.test") or ""
    if change == "expired":
        monkeypatch.setattr("mailservers.delivery.rewriting._today", lambda: 10)
        address = onward_path("carol@sender.test", "harbour.test") or ""
        monkeypatch.undo()
    else:
        address = address.replace("=carol@", "=victim@")
    if change == "catch-all":
        row = await Address.objects.acreate(domain=anna.domain, address="@harbour.test")
        await AddressTarget.objects.acreate(address=row, user=anna)
    async with listening(RELAY) as port:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            await asyncio.to_thread(send, port, "", address)
    assert refused.value.recipients[address][0] == 550
    assert refused.value.recipients[address][1].startswith(b"5.1.1")


@pytest.mark.parametrize(("sender", "days"), [("", 21), ("anna@harbour.test", 21), ("carol@sender.test", 0)])
async def test_what_keeps_its_reverse_path(alias: Address, settings: Any, sender: str, days: int) -> None:
    settings.SRS_DAYS = days
    async with FakeHost() as far, listening(RELAY) as port:
        settings.ROUTES = {"remote.test": f"127.0.0.1:{far.port}"}
        async with running():
            await asyncio.to_thread(send, port, sender, "club@harbour.test")
            async with asyncio.timeout(30):
                await far.arrived.wait()
    assert far.transactions[0].mail.startswith(f"MAIL FROM:<{sender}>")


# ---------------------------------------------------------------- ARC


async def test_a_forward_is_sealed(alias: Address, anna: User, settings: Any) -> None:
    """What arrives at the next host verifies there: by our own verifier and by dkimpy."""
    records = await keys_of(anna.domain)
    settings.CHECK_PRIVATE, settings.GREYLIST = True, False
    with name_server(ZONE) as (address, _):
        settings.DNS_SERVERS = [address]
        async with FakeHost() as far, listening(RELAY) as port:
            settings.ROUTES = {"remote.test": f"127.0.0.1:{far.port}"}
            async with running():
                await asyncio.to_thread(send, port, "carol@sender.test", "club@harbour.test")
                async with asyncio.timeout(30):
                    await far.arrived.wait()
    sent = far.transactions[0].content
    assert sent.startswith(b"ARC-Seal: i=1; cv=none; a=rsa-sha256; d=harbour.test; s=pr1;")
    assert b"dmarc=pass" in sent.partition(b"Received:")[0]
    outcome = await verify_arc(Records(records).ask, sent)
    assert (outcome.result, outcome.reason, outcome.sealers) == ("pass", "", ("harbour.test",))
    assert outcome.seen is not None and outcome.seen.authserv_id == "mx.postroom.test"
    assert by_dkimpy(sent, records) == b"pass"
    assert by_dkimpy(sent.replace(b"at nine", b"at ten."), records) == b"fail"


def by_dkimpy(message: bytes, records: dict[str, bytes]) -> bytes:
    status, _, _ = dkim.arc_verify(message, dnsfunc=lambda name, timeout=5: records.get(name.decode().rstrip(".")))
    return bytes(status)


KEY = rsa_key()
OURS = {**RECORDS, "k2._domainkey.ours.test": KEY.record}


def sealed(message: bytes, results: bytes = b"spf=pass smtp.mailfrom=carol@sender.test") -> bytes:
    key = load_pem_private_key(KEY.private, None)
    assert isinstance(key, RSAPrivateKey)
    sealer = Sealer("ours.test", "k2", lambda data: key.sign(data, PKCS1v15(), SHA256()))
    seen = b"Authentication-Results: mx.postroom.test;\r\n\t" + results + b"\r\n" + message
    return arc_set(seen, "mx.postroom.test", sealer, 1_790_000_000) + seen


async def test_our_seal_goes_on_top_of_others() -> None:
    twice = sealed(seal(MESSAGE, "list.test"), b"arc=pass")
    thrice = sealed(twice, b"arc=pass")
    for message, sealers in ((twice, ("list.test", "ours.test")), (thrice, ("list.test", "ours.test", "ours.test"))):
        outcome = await verify_arc(Records(OURS).ask, message)
        assert (outcome.result, outcome.reason, outcome.sealers) == ("pass", "", sealers)
        assert by_dkimpy(message, OURS) == b"pass"
    tampered = thrice.replace(b"header.from=sender.test", b"header.from=victim.test")
    assert by_dkimpy(tampered, OURS) == b"fail"
    assert (await verify_arc(Records(OURS).ask, tampered)).result == "fail"


async def test_a_broken_chain_is_sealed_as_broken_once() -> None:
    broken = seal(MESSAGE, "list.test").replace(b"at nine", b"at ten!")
    once = sealed(broken, b"arc=fail")
    assert once.startswith(b"ARC-Seal: i=2; cv=fail;")
    assert (await verify_arc(Records(OURS).ask, once)).result == "fail"
    assert sealed(once, b"arc=fail").startswith(b"Authentication-Results:")


def test_nothing_is_sealed_that_was_not_looked_at() -> None:
    assert sealed(seal(MESSAGE, "list.test"), b"spf=pass").startswith(b"Authentication-Results:")
    sealer = Sealer("ours.test", "k2", lambda data: b"")
    assert arc_set(MESSAGE, "mx.postroom.test", sealer, 0) == b""
    theirs = b"Authentication-Results: other.test; spf=pass\r\n" + MESSAGE
    assert arc_set(theirs, "mx.postroom.test", sealer, 0) == b""
