"""A full mailbox: refused at RCPT where that is known, and at the end of the data where it is not."""

from __future__ import annotations

import asyncio

from accounts.models import User
from mailservers.models import MailboxMessage
from mailservers.smtp.server import SERVICES
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


async def test_a_size_that_was_not_told_is_found_out_at_the_end(anna: User, ben: User) -> None:
    """RFC 5321 has one reply for all recipients: nothing is stored for any of them."""
    await asyncio.to_thread(limit, anna, quota_octets=500)
    await asyncio.to_thread(limit, ben, quota_messages=10)
    async with listening(RELAY) as port:
        await play(
            port,
            START
            + f"""
            C: MAIL FROM:<a@elsewhere.test>
            S: 250 *
            C: RCPT TO:<ben@harbour.test>
            S: 250 *
            C: RCPT TO:<anna@harbour.test>
            S: 250 *
            C: DATA
            S: 354 *
            C: X-Long: {"x" * 500}
            C: .
            S: 452 4.2.2 *
            """,
        )
    assert await MailboxMessage.objects.acount() == 0


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
