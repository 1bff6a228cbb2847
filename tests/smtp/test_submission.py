"""Ports 587 and 465: mail from our users, which must be theirs, and not too much of it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

import pytest
from django.test import override_settings

from accounts.models import Address, AddressTarget, User
from mailservers.models import DeliveryEvent, KnownRecipient, Mailbox, MailboxMessage, QueuedMessage, QueuedRecipient
from mailservers.models import RecipientState as State
from mailservers.smtp.server import SERVICES
from mailservers.store.content import read_message
from tests.conftest import PASSWORD
from tests.dialog import listening, play

from .test_relay import delivered

SUBMISSION = SERVICES[1]
SUBMISSIONS = SERVICES[2]
PLAIN = base64.b64encode(f"\0anna@harbour.test\0{PASSWORD}".encode()).decode()
OPENING = f"S: 220 *\nC: EHLO c\nS: ...\nS: 250 *\nC: AUTH PLAIN {PLAIN}\nS: 235 2.7.0 *"
ENVELOPE = "C: MAIL FROM:<anna@harbour.test>\nS: 250 *\nC: RCPT TO:<{to}>\nS: 250 *\nC: DATA\nS: 354 *"


def one(header: str, answer: str, to: str = "ben@harbour.test") -> str:
    lines = "".join(f"C: {line}\n" for line in header.splitlines())
    return f"{ENVELOPE.format(to=to)}\n{lines}C:\nC: words\nC: .\nS: {answer}"


@pytest.fixture
def people(anna: User, ben: User) -> None:
    def address(name: str, *targets: User) -> None:
        row = Address.objects.create(domain=anna.domain, address=name)
        for user in targets:
            AddressTarget.objects.create(address=row, user=user)

    address("sales@harbour.test", anna, ben)
    address("alias@harbour.test", anna)
    address("bens@harbour.test", ben)


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("From: Anna <anna@harbour.test>", "250 2.0.0 *"),
        ("From: Anna <ANNA@Harbour.TEST>", "250 2.0.0 *"),
        ("From: anna+lists@harbour.test", "250 2.0.0 *"),
        ("From: alias@harbour.test", "250 2.0.0 *"),
        ("From: Sales <sales@harbour.test>", "250 2.0.0 *"),
        ("From: ben@harbour.test", "550 5.7.1 You may not send as ben@harbour.test (in the From field)"),
        ("From: bens@harbour.test", "550 5.7.1 *bens@harbour.test*"),
        ("From: boss@elsewhere.test", "550 5.7.1 *boss@elsewhere.test*"),
        ("From: anna@harbour.test <ben@harbour.test>", "550 5.7.1 *ben@harbour.test*"),
        ('From: "anna@harbour.test" <boss@elsewhere.test>', "550 5.7.1 *boss@elsewhere.test*"),
        ("From: anna@harbour.test\nFrom: ben@harbour.test", "550 5.7.1 *more than one From*"),
        ("From: anna@harbour.test\nSender: ben@harbour.test", "550 5.7.1 *Sender*"),
        ("From: ben@harbour.test\nSender: anna@harbour.test", "550 5.7.1 *ben@harbour.test*"),
        ("From: anna@harbour.test, ben@harbour.test", "550 5.7.1 *needs a Sender*"),
        ("From: anna@harbour.test, ben@harbour.test\nSender: anna@harbour.test", "250 2.0.0 *"),
        ("From: ben@harbour.test, x@y.test\nSender: anna@harbour.test", "550 5.7.1 *"),
        ("From: undisclosed", "550 5.7.1 The From field has no address"),
        ("From: ben@harbour.test\nResent-From: anna@harbour.test", "250 2.0.0 *"),
        ("From: anna@harbour.test\nResent-From: ben@harbour.test", "550 5.7.1 *"),
        ("Subject: no author", "250 2.0.0 *"),
    ],
)
async def test_who_a_message_may_be_from(people: None, header: str, answer: str) -> None:
    async with listening(SUBMISSION) as port:
        await play(port, f"{OPENING}\n{one(header, answer)}")


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("anna@harbour.test", "250 *"),
        ("sales@harbour.test", "250 *"),
        ("", "250 *"),
        ("ben@harbour.test", "550 5.7.1 You may not send as ben@harbour.test"),
        ("x@elsewhere.test", "550 5.7.1 *"),
    ],
)
async def test_whose_the_reverse_path_may_be(people: None, path: str, answer: str) -> None:
    async with listening(SUBMISSION) as port:
        await play(port, f"{OPENING}\nC: MAIL FROM:<{path}>\nS: {answer}")


async def test_without_signing_in_nothing_goes(anna: User) -> None:
    async with listening(SUBMISSION) as port:
        await play(
            port,
            """
            S: 220 *
            C: EHLO c
            S: ...
            S: 250 AUTH *
            C: MAIL FROM:<anna@harbour.test>
            S: 530 5.7.0 *
            C! b'BDAT 4 LAST\\r\\nab\\r\\n'
            S: 503 5.5.1 *
            """,
        )


async def test_what_is_missing_is_added_and_bcc_taken_out(people: None, ben: User) -> None:
    header = "Subject: x\nBcc: secret@harbour.test,\n  another@harbour.test"
    async with listening(SUBMISSION) as port:
        await play(port, f"{OPENING}\n{one(header, '250 *')}")
    (raw,) = await asyncio.to_thread(delivered, ben)
    for name in (b"\r\nMessage-ID: <", b"\r\nDate: ", b"\r\nFrom: <anna@harbour.test>\r\n"):
        assert raw.count(name) == 1
    assert b"secret" not in raw and b"another" not in raw and b"with ESMTPA id" in raw


FROM = "From: anna@harbour.test"


async def test_messages_by_the_hour(people: None) -> None:
    with override_settings(SUBMISSION_MESSAGES_PER_HOUR=2):
        async with listening(SUBMISSION) as port:
            ok, over = one(FROM, "250 *"), one(FROM, "452 4.7.1 You may send 2 messages in one hour*")
            await play(port, f"{OPENING}\n{ok}\n{ok}\n{over}")
    assert await MailboxMessage.objects.acount() == 2
    refused = await DeliveryEvent.objects.aget(step="refused")
    assert refused.outcome == "temporary" and "2 messages" in refused.detail


async def test_recipients_by_the_day(people: None) -> None:
    with override_settings(SUBMISSION_RECIPIENTS_PER_DAY=1):
        async with listening(SUBMISSION) as port:
            await play(port, f"{OPENING}\n{one(FROM, '250 *')}\n{one(FROM, '452 4.7.1 *recipients*')}")


async def test_mail_to_very_many_strangers_is_held_and_nothing_is_lost(people: None) -> None:
    with override_settings(SUBMISSION_STRANGERS_PER_DAY=2):
        async with listening(SUBMISSION) as port:
            talk = [
                one(FROM, "250 2.0.0 *", to)
                for to in ("a@x.test", "b@x.test", "c@x.test", "a@x.test", "ben@harbour.test")
            ]
            await play(port, "\n".join([OPENING, *talk]))
    rows = [(r.address, r.state) async for r in QueuedRecipient.objects.order_by("id")]
    assert rows == [
        ("a@x.test", State.QUEUED),
        ("b@x.test", State.QUEUED),
        ("c@x.test", State.HELD),
        ("a@x.test", State.QUEUED),
    ]
    held = await DeliveryEvent.objects.aget(step="queued", recipient="c@x.test")
    assert held.detail == (
        "Held for an administrator: anna@harbour.test has written to 2 new addresses in a day, and this is to 1 more"
    )
    assert await KnownRecipient.objects.acount() == 2


def folder(user: User, name: str) -> list[bytes]:
    places = MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name=name)
    return [read_message(pk) or b"" for pk in places.values_list("message_id", flat=True)]


@pytest.mark.parametrize("stores_sent", [False, True])
async def test_a_copy_in_sent_when_the_user_wants_it(people: None, anna: User, stores_sent: bool) -> None:
    await User.objects.filter(pk=anna.pk).aupdate(stores_sent=stores_sent)
    async with listening(SUBMISSION) as port:
        await play(port, f"{OPENING}\n{one(FROM, '250 *', 'far@x.test')}")
    assert len(await asyncio.to_thread(folder, anna, "Sent")) == int(stores_sent)
    assert await QueuedMessage.objects.acount() == 1


async def test_a_later_time_holds_local_recipients_too(people: None, ben: User) -> None:
    async with listening(SUBMISSION) as port:
        talk = one(FROM, "250 *").replace("<anna@harbour.test>", "<anna@harbour.test> HOLDFOR=3600", 1)
        too_long = "C: MAIL FROM:<anna@harbour.test> HOLDFOR=999999999\nS: 501 5.5.4 *"
        await play(port, f"{OPENING}\n{too_long}\n{talk}")
    row = await QueuedRecipient.objects.aget()
    assert row.address == "ben@harbour.test" and row.state == State.QUEUED
    assert await asyncio.to_thread(delivered, ben) == []


@pytest.mark.parametrize(
    ("wishes", "seconds"),
    [({}, 0), ({"undo_s": 20}, 0), ({"undo_submitted": True}, 0), ({"undo_s": 20, "undo_submitted": True}, 23)],
)
async def test_undo_for_mail_programs(
    people: None, anna: User, ben: User, wishes: dict[str, int], seconds: int
) -> None:
    await User.objects.filter(pk=anna.pk).aupdate(stores_sent=True, **wishes)
    async with listening(SUBMISSION) as port:
        await play(port, f"{OPENING}\n{one(FROM, '250 *')}")
    if not seconds:
        assert len(await asyncio.to_thread(delivered, ben)) == 1
        return
    row = await QueuedRecipient.objects.select_related("queued").aget()
    assert abs((row.next_attempt - row.queued.created_at).total_seconds() - seconds) < 1
    assert await asyncio.to_thread(delivered, ben) == await asyncio.to_thread(folder, anna, "Sent") == []
    assert len(await asyncio.to_thread(folder, anna, "Outbox")) == 1


async def test_requiretls_only_within_tls(people: None) -> None:
    async with listening(SUBMISSIONS) as port:
        talk = f"""
            {OPENING}
            C: MAIL FROM:<anna@harbour.test> REQUIRETLS=1
            S: 501 5.5.4 *
            C: MAIL FROM:<anna@harbour.test> REQUIRETLS
            S: 250 *
            C: RCPT TO:<far@x.test>
            S: 250 *
            C: BDAT 0 LAST
            S: 250 *
        """
        await play(port, talk, tls=True)
    assert (await QueuedMessage.objects.aget()).require_tls


# ---------------------------------------------------------------- where addresses lead


@pytest.mark.parametrize(
    ("to", "wants_folders", "found_in"),
    [
        ("anna+Lists@harbour.test", True, "lists"),
        ("anna+lists@harbour.test", False, "INBOX"),
        ("anna+nowhere@harbour.test", True, "INBOX"),
        ("anything@harbour.test", True, "INBOX"),
        ("any+thing@harbour.test", True, "INBOX"),
    ],
)
async def test_tags_and_catch_all(anna: User, to: str, wants_folders: bool, found_in: str) -> None:
    def prepare() -> None:
        User.objects.filter(pk=anna.pk).update(tags_to_folders=wants_folders)
        Mailbox.objects.create(owner=anna, name="lists", uid_validity=99)
        row = Address.objects.create(domain=anna.domain, address="@harbour.test")
        AddressTarget.objects.create(address=row, user=anna)

    await asyncio.to_thread(prepare)
    async with listening(SERVICES[0]) as port:
        await play(
            port,
            f"""
            S: 220 *
            C: EHLO c
            S: ...
            S: 250 *
            C: MAIL FROM:<>
            S: 250 *
            C: RCPT TO:<{to}>
            S: 250 *
            C: RCPT TO:<other@elsewhere.test>
            S: 550 5.7.1 *
            C: BDAT 0 LAST
            S: 250 *
            """,
        )
    assert len(await asyncio.to_thread(folder, anna, found_in)) == 1
    assert await MailboxMessage.objects.acount() == 1


def test_a_catch_all_is_made_like_any_address(make_user: Callable[..., User]) -> None:
    from accounts.services import create_address
    from mailservers.delivery.routing import resolve_address
    from mailservers.store.engine import store

    make_user("root@harbour.test", role="admin")
    store.call_sync(create_address, "@Harbour.test", ["postmaster@harbour.test"], actor="tests")
    (target,) = resolve_address("nobody@harbour.test").local
    assert target.login == "root@harbour.test"
