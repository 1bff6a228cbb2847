"""A full mailbox: refused at RCPT where that is known, and at the end of the data where it is not."""

from __future__ import annotations

import asyncio

from accounts.models import Domain, User
from mailservers.models import MailboxMessage, QueuedRecipient
from mailservers.smtp.server import SERVICES
from mailservers.store.content import read_message
from mailservers.store.engine import store
from tests.dialog import listening, play

RELAY = SERVICES[0]
START = """
    S: 220 *
    C: HELO client.test
    S: 250 *
"""


def limit(user: User, **fields: int) -> None:
    User.objects.filter(pk=user.pk).update(**fields)


async def test_what_does_not_fit_is_refused_for_that_recipient(anna: User, ben: User) -> None:
    await asyncio.to_thread(limit, anna, quota_octets=1000)
    async with listening(RELAY) as port:
        await play(
            port,
            START
            + """
            C: MAIL FROM:<a@elsewhere.test> SIZE=1001
            S: 250 *
            C: RCPT TO:<anna@harbour.test>
            S: 452 4.2.2 *
            C: RCPT TO:<ben@harbour.test>
            S: 250 *
            C: DATA
            S: 354 *
            C: Subject: hello
            C: .
            S: 250 *
            C: MAIL FROM:<a@elsewhere.test> SIZE=50
            S: 250 *
            C: RCPT TO:<anna@harbour.test>
            S: 250 *
            C: DATA
            S: 354 *
            C: Subject: hello
            C: .
            S: 250 *
            """,
        )
    assert await MailboxMessage.objects.filter(mailbox__owner=anna).acount() == 1


LONG = """
            C: DATA
            S: 354 *
            C: X-Long: {}
            C: .
""".format("x" * 500)
BOTH = """
            C: MAIL FROM:<ben@harbour.test>
            S: 250 *
            C: RCPT TO:<anna@harbour.test>{}
            S: 250 *
            C: RCPT TO:<ben@harbour.test>{}
            S: 250 *
"""


def queue() -> list[tuple[str, str]]:
    return list(QueuedRecipient.objects.values_list("address", "state"))


async def test_a_size_that_was_not_told_is_found_out_at_the_end(anna: User, ben: User) -> None:
    """RFC 5321 has one reply for all recipients: who has room gets it, and it waits for the full one."""
    await asyncio.to_thread(limit, anna, quota_octets=500)
    await asyncio.to_thread(limit, ben, quota_messages=10)
    async with listening(RELAY) as port:
        await play(port, START + BOTH.format("", "") + LONG + "S: 250 *")
    assert [m async for m in MailboxMessage.objects.values_list("mailbox__owner", flat=True)] == [ben.pk]
    assert await store.read(queue) == [("anna@harbour.test", "queued")]


async def test_success_is_told_of_those_who_have_it(anna: User, ben: User) -> None:
    await asyncio.to_thread(limit, anna, quota_octets=500)
    asked = " NOTIFY=SUCCESS,FAILURE"
    async with listening(RELAY) as port:
        hello = "S: 220 *\nC: EHLO client.test\nS: ...\nS: 250 *\n"
        await play(port, hello + BOTH.format(asked, asked) + LONG + "S: 250 *")
    assert [row async for row in QueuedRecipient.objects.values_list("address", "notify")] == [
        ("anna@harbour.test", "SUCCESS,FAILURE")
    ]
    notice = await MailboxMessage.objects.select_related("message").aget(message__subject__contains="eliver")
    raw = await store.read(read_message, notice.message_id)
    assert raw is not None and b"ben@harbour.test" in raw and b"anna@harbour.test" not in raw


async def test_when_nobody_has_room_the_message_stays_with_the_client(anna: User, ben: User) -> None:
    for user in (anna, ben):
        await asyncio.to_thread(limit, user, quota_octets=500)
    async with listening(RELAY) as port:
        await play(port, START + BOTH.format("", "") + LONG + "S: 452 4.2.2 *")
    assert await MailboxMessage.objects.acount() == 0 and await store.read(queue) == []


async def test_lmtp_answers_for_each(anna: User, ben: User) -> None:
    """RFC 2033 4.2."""
    await asyncio.to_thread(limit, anna, quota_octets=500)
    async with listening(next(s for s in SERVICES if s.name == "lmtp")) as port:
        hello = "S: 220 *\nC: LHLO client.test\nS: ...\nS: 250 *\n"
        await play(port, hello + BOTH.format("", "") + LONG + "S: 452 4.2.2 *\nS: 250 *\n")
    assert await MailboxMessage.objects.acount() == 1 and await store.read(queue) == []


async def test_the_domains_last_room_goes_to_the_first(anna: User, ben: User) -> None:
    await asyncio.to_thread(lambda: Domain.objects.filter(name="harbour.test").update(quota_messages=1))
    async with listening(RELAY) as port:
        await play(port, START + BOTH.format("", "") + LONG + "S: 250 *")
    assert [m async for m in MailboxMessage.objects.values_list("mailbox__owner", flat=True)] == [anna.pk]
    assert await store.read(queue) == [("ben@harbour.test", "queued")]


async def test_a_full_mailbox_is_told_at_once(anna: User) -> None:
    await asyncio.to_thread(limit, anna, quota_messages=1)
    message = """
            C: MAIL FROM:<a@elsewhere.test>
            S: 250 *
            C: RCPT TO:<anna@harbour.test>
            S: {}
    """
    async with listening(RELAY) as port:
        await play(
            port,
            START
            + message.format("250 *")
            + """
            C: DATA
            S: 354 *
            C: Subject: hello
            C: .
            S: 250 *
            """
            + message.format("452 4.2.2 *"),
        )
