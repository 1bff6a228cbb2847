"""End to end: a message over SMTP, a name server on loopback, and where the message ends up."""

from __future__ import annotations

import asyncio
import time

import pytest

from accounts.models import Address, AddressTarget, Domain, User
from mailservers.checks.clamav import ClamAv
from mailservers.checks.opinion import Reason, Refusal
from mailservers.formats.authentication_results import parse_results
from mailservers.formats.headers import fields_by_name, header_end
from mailservers.models import DeliveryEvent, MailboxMessage, MessageVerdict, QueuedRecipient
from mailservers.smtp.server import SERVICES
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.removing import expunge
from mailservers.store.sender_rules import set_rule
from tests.conftest import mailbox_id
from tests.dialog import listening
from tests.outbound.conftest import running, until

from .conftest import Receiving, send, stored
from .test_arc import seal
from .zones import MESSAGE, ed25519_key, rsa_key


def by(author: str, body: bytes = b"Hello.\r\n") -> bytes:
    return f"From: <{author}>\r\nTo: anna@harbour.test\r\nSubject: Hello\r\n\r\n".encode() + body


def results(raw: bytes) -> dict[str, str]:
    """method -> result of the Authentication-Results at the top."""
    fields = fields_by_name(raw[: header_end(raw)])
    (field,) = fields[b"authentication-results"]
    parsed = parse_results(field.partition(b":")[2])
    assert parsed.authserv_id == "mx.postroom.test"
    return {result.method: result.result for result in reversed(parsed.results)}


async def steps(step: str) -> list[DeliveryEvent]:
    return [event async for event in DeliveryEvent.objects.filter(step=step).order_by("id")]


async def test_a_message_that_is_vouched_for(anna: User, receiving: Receiving) -> None:
    signed = ed25519_key().sign(rsa_key().sign(MESSAGE), selector="s2")
    async with receiving() as port:
        assert (await send(port, signed))[0] == 250
    (raw,) = await stored(anna)
    assert raw.startswith(
        b"Return-Path: <carol@sender.test>\r\nAuthentication-Results: mx.postroom.test;\r\n\tiprev=pass"
    )
    assert raw.count(b"dkim=pass") == 2 and b"header.a=ed25519-sha256" in raw and b"header.a=rsa-sha256" in raw
    assert results(raw) == {"iprev": "pass", "spf": "pass", "dkim": "pass", "dmarc": "pass"}
    (event,) = await steps(Step.CHECKED)
    assert event.data["score"] == 0
    verdict = await MessageVerdict.objects.aget()
    assert verdict.trace_id == event.trace_id and verdict.data == event.data


async def test_a_forwarded_message_is_vouched_for_by_its_signature(anna: User, receiving: Receiving) -> None:
    async with receiving() as port:
        assert (await send(port, rsa_key().sign(MESSAGE), "bounces@victim.test"))[0] == 250
    (raw,) = await stored(anna)
    assert results(raw) == {"iprev": "pass", "spf": "fail", "dkim": "pass", "dmarc": "pass"}


async def test_a_reject_policy_refuses(anna: User, receiving: Receiving) -> None:
    async with receiving() as port:
        code, text = await send(port, by("boss@victim.test"), "boss@victim.test")
        assert code == 550 and text.startswith(b"5.7.1 Refused as the DMARC policy of victim.test asks")
    assert await stored(anna) == [] == await stored(anna, "Junk")
    (refused,) = await steps(Step.REFUSED)
    assert refused.detail == f"550 {text.decode()}"
    (checked,) = await steps(Step.CHECKED)
    assert checked.trace_id == refused.trace_id and "dmarc.reject" in checked.detail


async def test_two_froms_do_not_help(anna: User, receiving: Receiving) -> None:
    """Whichever of them a client shows: the worse author counts."""
    forged = b"From: boss@victim.test\r\n" + MESSAGE
    async with receiving() as port:
        assert (await send(port, forged))[0] == 550
        two = MESSAGE.replace(b"<carol@sender.test>", b"<carol@sender.test>, boss@victim.test")
        assert (await send(port, two))[0] == 550


@pytest.mark.parametrize(
    ("author", "reject", "folder"),
    [
        ("boss@careful.test", True, "Junk"),
        ("boss@victim.test", False, "Junk"),
        ("boss@unsure.test", True, "INBOX"),
        ("boss@plain.test", True, "INBOX"),
    ],
)
async def test_folders(anna: User, receiving: Receiving, author: str, reject: bool, folder: str) -> None:
    async with receiving(DMARC_REJECT=reject) as port:
        assert (await send(port, by(author), author))[0] == 250
    assert len(await stored(anna, folder)) == 1
    (filed,) = await steps(Step.FILED)
    assert filed.detail == f"Put into {folder}"


async def test_the_empty_reverse_path_is_judged_by_helo(anna: User, receiving: Receiving) -> None:
    """RFC 7208 section 2.4."""
    async with receiving() as port:
        assert (await send(port, by("carol@sender.test"), "", helo="sender.test"))[0] == 250
        assert (await send(port, by("boss@victim.test"), "", helo="victim.test"))[0] == 550
    (raw,) = await stored(anna)
    assert b"spf=pass" in raw and b"smtp.helo=sender.test" in raw and b"smtp.mailfrom" not in raw
    assert results(raw)["dmarc"] == "pass"


async def test_without_a_junk_mailbox_it_is_in_the_inbox(anna: User, receiving: Receiving) -> None:
    await anna.mailboxes.filter(special_use="\\Junk").aupdate(special_use="", name="Bin")
    async with receiving() as port:
        assert (await send(port, by("boss@careful.test"), "boss@careful.test"))[0] == 250
    assert len(await stored(anna)) == 1


async def test_the_dns_fails_and_the_message_comes_all_the_same(anna: User, receiving: Receiving) -> None:
    async with receiving() as port:
        assert (await send(port, by("dave@nowhere.broken"), "dave@nowhere.broken", helo="host.broken"))[0] == 250
    (raw,) = await stored(anna)
    assert results(raw) == {"iprev": "pass", "spf": "temperror", "dkim": "none", "dmarc": "temperror"}


async def test_no_name_server_at_all(anna: User, receiving: Receiving, settings: object) -> None:
    async with receiving(CHECK_TIMEOUT_S=0.5, DNS_TIMEOUT_S=0.2) as port:
        settings.DNS_SERVERS = ["127.0.0.1:1"]  # type: ignore[attr-defined]
        assert (await send(port, rsa_key().sign(MESSAGE)))[0] == 250
    (raw,) = await stored(anna)
    assert set(results(raw).values()) == {"temperror"}


FORGED = b"Authentication-Results: %s; dmarc=pass header.from=victim.test\r\n"


@pytest.mark.parametrize(
    ("field", "stays"),
    [
        (FORGED % b"mx.postroom.test", False),
        (FORGED % b"MX.Postroom.TEST", False),
        (FORGED % b'"mx.postroom.test"', False),
        (FORGED % b"(a comment)\r\n\tmx.postroom.test 1", False),
        (FORGED % b"", False),
        (FORGED % b"mx.elsewhere.test", True),
    ],
)
@pytest.mark.parametrize("checked", [True, False])
async def test_forged_results(anna: User, receiving: Receiving, field: bytes, stays: bool, checked: bool) -> None:
    """Also from peers that are not checked."""
    async with receiving(CHECK_PRIVATE=checked) as port:
        assert (await send(port, field + by("carol@sender.test")))[0] == 250
    (raw,) = await stored(anna)
    assert (field in raw) is stays
    assert raw.lower().count(b"authentication-results:") == checked + stays


async def test_trusted_forwarders(anna: User, receiving: Receiving) -> None:
    """A list changes a message of a domain that says reject, and seals what it saw."""
    sealed = seal(MESSAGE.replace(b"Subject: ", b"Subject: [List] "), "list.test")
    forged = sealed.replace(b"carol@sender.test", b"carol@victim.test").replace(
        b"header.from=sender.test", b"header.from=victim.test"
    )
    other = seal(by("boss@victim.test"), "list.test")  # what was seen was about another author
    async with receiving() as port:
        assert (await send(port, sealed, "list@list.test"))[0] == 550
    async with receiving(ARC_TRUSTED_SEALERS=["list.test"]) as port:
        assert (await send(port, forged, "list@list.test"))[0] == 550
        assert (await send(port, other, "list@list.test"))[0] == 550
        assert (await send(port, sealed, "list@list.test"))[0] == 250
    (raw,) = await stored(anna)
    assert results(raw)["arc"] == "pass" and results(raw)["dmarc"] == "fail"


async def test_greylisting(anna: User, receiving: Receiving) -> None:
    """Doubtful and never seen: again later. Then it comes, and so does all that follows."""
    doubtful = by("frank@unsure.test")
    async with receiving(GREYLIST=True, GREYLIST_DELAY_S=3600, GREYLIST_SCORE=1.5) as port:
        code, text = await send(port, doubtful, "frank@unsure.test")
        assert code == 451 and text.startswith(b"4.7.1 ")
        assert (await send(port, doubtful, "frank@unsure.test"))[0] == 451
        assert (await send(port, rsa_key().sign(MESSAGE)))[0] == 250  # vouched for: no doubt
    async with receiving(GREYLIST=True, GREYLIST_DELAY_S=0, GREYLIST_SCORE=1.5) as port:
        assert (await send(port, doubtful, "frank@unsure.test"))[0] == 250
    async with receiving(GREYLIST=True, GREYLIST_DELAY_S=3600, GREYLIST_SCORE=1.5) as port:
        assert (await send(port, doubtful, "frank@unsure.test"))[0] == 250
        assert (await send(port, doubtful, "other@unsure.test"))[0] == 451


async def test_dns_lists(anna: User, receiving: Receiving) -> None:
    lists = {"bad.list.test": 6.0, "odd.list.test": 50.0, "absent.test": 50.0, "list.broken": 50.0}
    async with receiving(DNS_LISTS=lists) as port:
        assert (await send(port, rsa_key().sign(MESSAGE)))[0] == 250
    assert len(await stored(anna, "Junk")) == 1
    (event,) = await steps(Step.CHECKED)
    assert {r["name"]: r["weight"] for r in event.data["reasons"] if r["name"].startswith("dns_list")} == {
        "dns_list.bad.list.test": 6.0,
        "dns_list.list.broken.temperror": 0.0,
    }


# ---------------------------------------------------------------- allow and block lists


async def test_a_users_own_lists(anna: User, ben: User, receiving: Receiving) -> None:
    """Each for themselves: what Anna blocks, Ben gets."""
    await store.call(set_rule, "carol@sender.test", is_block=True, user_id=anna.pk)
    await store.call(set_rule, "careful.test", is_block=False, user_id=ben.pk)
    async with receiving() as port:
        both = ("anna@harbour.test", "ben@harbour.test")
        assert (await send(port, rsa_key().sign(MESSAGE), "carol@sender.test", *both))[0] == 250
        # The allow rule does not let in who only claims to be from there.
        assert (await send(port, by("boss@careful.test"), "boss@careful.test", *both))[0] == 250
    assert [len(await stored(anna, box)) for box in ("INBOX", "Junk")] == [0, 2]
    assert [len(await stored(ben, box)) for box in ("INBOX", "Junk")] == [1, 1]


async def test_an_administrators_block_refuses(anna: User, receiving: Receiving) -> None:
    await store.call(set_rule, "sender.test", is_block=True)
    await store.call(set_rule, "carol@sender.test", is_block=False, user_id=anna.pk)
    async with receiving() as port:
        assert await send(port, rsa_key().sign(MESSAGE)) == (550, b"5.7.1 Sender refused")


async def test_a_block_for_one_domain(anna: User, receiving: Receiving, make_user: object) -> None:
    """The other domain's reader gets the message; those of the domain find it in Junk."""
    olga = await asyncio.to_thread(make_user, "olga@office.test")  # type: ignore[arg-type]
    harbour = await Domain.objects.aget(name="harbour.test")
    await store.call(set_rule, "127.0.0.0/8", is_block=True, domain_id=harbour.pk)
    async with receiving() as port:
        both = ("anna@harbour.test", "olga@office.test")
        assert (await send(port, rsa_key().sign(MESSAGE), "carol@sender.test", *both))[0] == 250
        assert (await send(port, rsa_key().sign(MESSAGE)))[0] == 550
    assert len(await stored(anna, "Junk")) == 1
    assert len(await stored(olga)) == 1


async def test_a_forwarder_on_the_allow_list_overrules_dmarc(anna: User, receiving: Receiving) -> None:
    await store.call(set_rule, "list.test", is_block=False)
    async with receiving() as port:
        assert (await send(port, by("boss@victim.test"), "list@list.test"))[0] == 250
        assert (await send(port, by("boss@victim.test"), "boss@victim.test"))[0] == 550
    assert len(await stored(anna)) == 1


# ---------------------------------------------------------------- junk for other hosts


def make_alias(address: str, *remote: str, user: User | None = None) -> None:
    alias = Address.objects.create(address=address, domain=Domain.objects.get(name="harbour.test"))
    for target in remote:
        AddressTarget.objects.create(address=alias, remote=target)
    if user is not None:
        AddressTarget.objects.create(address=alias, user=user)


async def queued() -> list[tuple[str, str]]:
    return [row async for row in QueuedRecipient.objects.order_by("pk").values_list("address", "state")]


async def test_junk_is_not_sent_on(anna: User, receiving: Receiving) -> None:
    await asyncio.to_thread(make_alias, "both@harbour.test", "a@far.test", user=anna)
    await asyncio.to_thread(make_alias, "away@harbour.test", "b@far.test")
    junk, fine = by("boss@careful.test"), rsa_key().sign(MESSAGE)
    async with receiving() as port:
        assert (await send(port, junk, "boss@careful.test", "both@harbour.test"))[0] == 250
        assert len(await stored(anna, "Junk")) == 1 and await queued() == []
        (event,) = await steps(Step.CANCELLED)
        assert event.recipient == "a@far.test" and "lies in Junk" in event.detail

        code, text = await send(port, junk, "boss@careful.test", "away@harbour.test")
        assert (code, text[:5]) == (550, b"5.7.1") and await queued() == []

        assert (await send(port, junk, "boss@careful.test", "away@harbour.test", "anna@harbour.test"))[0] == 250
        assert len(await stored(anna, "Junk")) == 2 and await queued() == [("b@far.test", "held")]
        (event,) = await steps(Step.HELD)
        assert event.recipient == "b@far.test"

        assert (await send(port, fine, "carol@sender.test", "both@harbour.test", "away@harbour.test"))[0] == 250
    assert await queued() == [("b@far.test", "held"), ("a@far.test", "queued"), ("b@far.test", "queued")]


async def test_what_the_reader_wants_is_sent_on(anna: User, receiving: Receiving) -> None:
    await asyncio.to_thread(make_alias, "both@harbour.test", "a@far.test", user=anna)
    await store.call(set_rule, "127.0.0.1", is_block=False, user_id=anna.pk)
    async with receiving() as port:
        assert (await send(port, by("boss@careful.test"), "boss@careful.test", "both@harbour.test"))[0] == 250
    assert len(await stored(anna)) == 1 and await queued() == [("a@far.test", "queued")]


async def test_junk_for_a_full_mailbox_is_junk_later_too(anna: User, ben: User, receiving: Receiving) -> None:
    await asyncio.to_thread(lambda: User.objects.filter(pk=anna.pk).update(quota_octets=10))
    both = ("anna@harbour.test", "ben@harbour.test")
    async with receiving() as port:
        assert (await send(port, by("boss@careful.test"), "boss@careful.test", *both))[0] == 250
    assert await queued() == [("anna@harbour.test", "queued")] and len(await stored(ben, "Junk")) == 1
    await asyncio.to_thread(lambda: User.objects.filter(pk=anna.pk).update(quota_octets=0))
    async with running():
        await until(lambda: not QueuedRecipient.objects.exists())
    assert len(await stored(anna, "Junk")) == 1


# ---------------------------------------------------------------- the interface


class Late(ClamAv):
    name = "late"

    def is_on(self) -> bool:
        return True

    async def examine(self, facts: object) -> list[Reason]:
        await asyncio.sleep(3600)
        return []


class Broken(Late):
    async def examine(self, facts: object) -> list[Reason]:
        raise RuntimeError("a check with a fault")


@pytest.mark.parametrize("check", [Late, Broken])
@pytest.mark.parametrize(("required", "code"), [(False, 250), (True, 451)])
async def test_a_check_that_fails(
    anna: User, receiving: Receiving, monkeypatch: pytest.MonkeyPatch, check: type[Late], required: bool, code: int
) -> None:
    monkeypatch.setattr("mailservers.checks.examination.CHECKS", (check(),))
    async with receiving(CHECK_TIMEOUT_S=0.5, CLAMAV_REQUIRED=required) as port:
        began = time.monotonic()
        assert (await send(port, rsa_key().sign(MESSAGE)))[0] == code
        assert time.monotonic() - began < 30


async def test_a_check_of_someone_elses(anna: User, receiving: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interface for a content filter: facts in, reasons out; a permanent refusal comes before a temporary one."""

    class Words(Late):
        name = "words"

        async def examine(self, facts: object) -> list[Reason]:
            return [
                Reason("words.later", 0.0, "x", refusal=Refusal(451, "4.7.1", "Later")),
                Reason("words.money", 9.0, "money", refusal=Refusal(550, "5.7.1", "No\r\nmoney")),
            ]

    monkeypatch.setattr("mailservers.checks.examination.CHECKS", (Words(),))
    async with receiving() as port:
        assert await send(port, rsa_key().sign(MESSAGE)) == (550, b"5.7.1 No  money")


async def test_loopback_is_not_checked(anna: User, settings: object) -> None:
    settings.DNS_SERVERS = ["127.0.0.1:1"]  # type: ignore[attr-defined]
    async with listening(SERVICES[0]) as port:
        assert (await send(port, by("boss@victim.test"), "boss@victim.test"))[0] == 250
    (raw,) = await stored(anna)
    assert b"Authentication-Results" not in raw
    assert await steps(Step.CHECKED) == []
    assert not await MessageVerdict.objects.aexists()


async def test_the_verdict_goes_with_the_message(anna: User, receiving: Receiving) -> None:
    async with receiving(UNDELETE_DAYS=0) as port:
        assert (await send(port, rsa_key().sign(MESSAGE)))[0] == 250
    assert await MessageVerdict.objects.acount() == 1
    inbox = await asyncio.to_thread(mailbox_id, anna)
    uids = [uid async for uid in MailboxMessage.objects.values_list("uid", flat=True)]
    await store.call(expunge, anna.pk, inbox, uids, deleted_only=False)
    assert await MessageVerdict.objects.acount() == 0
