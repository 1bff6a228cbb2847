"""Delivery status notifications as senders ask for them (RFC 3461), from RCPT to the notice."""

from __future__ import annotations

import asyncio
import email
import email.policy
from email.message import EmailMessage

import pytest

from accounts.models import Address, AddressTarget, User
from mailservers.models import DeliveryEvent, QueuedMessage, QueuedRecipient
from mailservers.smtp.server import SERVICES
from mailservers.store.events import Step
from tests.dialog import listening, play

from .test_relay import delivered

RELAY = SERVICES[0]
TALK = """
    S: 220 *
    C: EHLO c
    S: ...
    S: 250 *
    C: MAIL FROM:<{sender}> {mail}
    S: 250 *
    C: RCPT TO:<{to}> {rcpt}
    S: 250 *
    C! b'BDAT 22 LAST\\r\\nSubject: asked\\r\\n\\r\\nhi\\r\\n'
    S: 250 *
"""


async def send(to: str, rcpt: str, *, sender: str = "ben@harbour.test", mail: str = "ENVID=e+2B1") -> None:
    async with listening(RELAY) as port:
        await play(port, TALK.format(sender=sender, mail=mail, to=to, rcpt=rcpt))


def notices(user: User) -> list[EmailMessage]:
    parsed = [email.message_from_bytes(raw, policy=email.policy.default) for raw in delivered(user)]
    return [m for m in parsed if isinstance(m, EmailMessage) and m.get_content_type() == "multipart/report"]


def fields(message: EmailMessage) -> list[str]:
    _, status, _ = message.iter_parts()
    whole, *each = status.get_payload()
    return [str(whole["Original-Envelope-Id"]), *(f"{e['Action']} {e['Original-Recipient']}" for e in each)]


@pytest.fixture
def group(anna: User, ben: User) -> None:
    everyone = Address.objects.create(domain=anna.domain, address="all@harbour.test")
    AddressTarget.objects.create(address=everyone, user=anna)
    AddressTarget.objects.create(address=everyone, remote="far@away.test")
    alias = Address.objects.create(domain=anna.domain, address="alias@harbour.test")
    AddressTarget.objects.create(address=alias, remote="far@away.test")


@pytest.mark.parametrize(
    ("to", "rcpt", "told", "queued"),
    [
        ("anna@harbour.test", "NOTIFY=SUCCESS", ["e+1", "delivered None"], None),
        (
            "anna@harbour.test",
            "NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;first+2Bx@old.test",
            ["e+1", "delivered rfc822;first+x@old.test"],
            None,
        ),
        ("anna@harbour.test", "NOTIFY=FAILURE,DELAY", None, None),
        ("anna@harbour.test", "NOTIFY=NEVER", None, None),
        ("anna@harbour.test", "", None, None),
        (
            "all@harbour.test",
            "NOTIFY=SUCCESS,DELAY",
            ["e+1", "expanded None"],
            ("DELAY", "rfc822;all@harbour.test"),
        ),
        ("all@harbour.test", "NOTIFY=SUCCESS", ["e+1", "expanded None"], ("NEVER", "rfc822;all@harbour.test")),
        ("alias@harbour.test", "NOTIFY=SUCCESS", None, ("SUCCESS", "rfc822;alias@harbour.test")),
        ("alias@harbour.test", "ORCPT=rfc822;x@y.test", None, ("", "rfc822;x@y.test")),
        ("alias@harbour.test", "", None, ("", "")),
    ],
)
async def test_success_as_asked(
    group: None, ben: User, to: str, rcpt: str, told: list[str] | None, queued: tuple[str, str] | None
) -> None:
    await send(to, rcpt)
    found = await asyncio.to_thread(notices, ben)
    assert [fields(message) for message in found] == ([told] if told else [])
    rows = [(row.notify, row.orcpt) async for row in QueuedRecipient.objects.all()]
    assert rows == ([queued] if queued else [])
    assert await DeliveryEvent.objects.filter(step=Step.BOUNCED).acount() == len(found)


async def test_nobody_is_told_about_a_null_reverse_path(anna: User) -> None:
    await send("anna@harbour.test", "NOTIFY=SUCCESS", sender="")
    assert not await QueuedMessage.objects.aexists()
    assert len(await asyncio.to_thread(delivered, anna)) == 1


async def test_a_sender_elsewhere_is_told_by_mail_that_asks_for_no_notice(anna: User) -> None:
    await send("anna@harbour.test", "NOTIFY=SUCCESS", sender="far@away.test", mail="RET=FULL ENVID=77")
    row = await QueuedRecipient.objects.select_related("queued").aget()
    assert (row.address, row.notify, row.queued.reverse_path) == ("far@away.test", "NEVER", "")
