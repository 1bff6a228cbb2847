"""Sixty ways to ask for a relay, from port 25: every one is refused at RCPT, and nothing is queued."""

from __future__ import annotations

import pytest

from accounts.models import User
from mailservers.models import QueuedMessage
from mailservers.smtp.server import SERVICES
from tests.dialog import listening, play

RELAY = SERVICES[0]
SENDERS = (
    "a@elsewhere.test",
    "anna@harbour.test",
    "",
    "postmaster@harbour.test",
    "a@[127.0.0.1]",
    "root@mx.postroom.test",
)
FORMS = (
    # plain, and with our names in odd places
    "<spam@target.test>",
    "<spam@target.test.>",
    "<SPAM@TARGET.TEST>",
    "<spam@sub.harbour.test>",
    "<spam@harbour.test.target.test>",
    "<spam@xharbour.test>",
    "<spam@harbour.test@target.test>",
    "<harbour.test@target.test>",
    "<spam@mx.postroom.test>",
    "<spam@localhost>",
    "<spam@localhost.localdomain>",
    "<spam@target>",
    # address literals
    "<spam@[127.0.0.1]>",
    "<spam@[192.0.2.1]>",
    "<spam@[IPv6:::1]>",
    "<spam@[target.test]>",
    "<spam@127.0.0.1>",
    "<anna@[127.0.0.1]>",
    # source routes (RFC 5321 appendix C)
    "<@harbour.test:spam@target.test>",
    "<@target.test:spam@target.test>",
    "<@harbour.test,@target.test:spam@target.test>",
    "<@mx.postroom.test:spam@target.test>",
    "<@[127.0.0.1]:spam@target.test>",
    "<@harbour.test:@target.test:spam@target.test>",
    "<@harbour.test,spam@target.test>",
    # the percent hack
    "<spam%target.test@harbour.test>",
    "<spam%target.test>",
    "<spam%target.test@mx.postroom.test>",
    "<spam%target.test@[127.0.0.1]>",
    "<spam%target.test@localhost>",
    "<spam%target.test%harbour.test@harbour.test>",
    "<spam%target.test@target.test>",
    '<"spam%target.test"@harbour.test>',
    # bang paths (UUCP)
    "<target.test!spam>",
    "<target.test!spam@harbour.test>",
    "<harbour.test!target.test!spam@harbour.test>",
    "<target.test!spam@[127.0.0.1]>",
    "<harbour.test!spam@target.test>",
    "<target.test!spam%harbour.test@harbour.test>",
    # an address within an address
    '<"spam@target.test">',
    '<"spam@target.test"@harbour.test>',
    '<"spam@target.test"@mx.postroom.test>',
    '<"spam@target.test"@[127.0.0.1]>',
    '<"spam@target.test"@localhost>',
    '<"target.test!spam"@harbour.test>',
    r'<"spam\@target.test"@harbour.test>',
    "<spam@target.test@harbour.test>",
    "<spam@target.test@[127.0.0.1]>",
    "<spam@target.test@localhost>",
    # no domain, an empty one, or half a path
    "<spam>",
    "<spam@>",
    "<@target.test>",
    "<@harbour.test:spam>",
    "<spam@.target.test>",
    "<spam@target..test>",
    "spam@target.test",
    "<spam@target.test",
    "spam@target.test>",
    "<<spam@target.test>>",
    "<spam@target.test> <anna@harbour.test>",
    "<spam@target.test,anna@harbour.test>",
    "<spam @target.test>",
    "<spam(anna@harbour.test)@target.test>",
    "<spam:target.test>",
    "<smtp:spam@target.test>",
    "<spam@target.test;anna@harbour.test>",
)


def test_there_are_sixty_of_them() -> None:
    assert len(set(FORMS)) >= 60


@pytest.mark.parametrize("sender", SENDERS)
async def test_no_form_is_relayed(anna: User, sender: str) -> None:
    mail = f"C: RSET\nS: 250 *\nC: MAIL FROM:<{sender}>\nS: 250 *\n"
    talk = [f"{mail}C: RCPT TO:{form}\nS: 5?? 5.*\nC: DATA\nS: 503 5.5.1 *\n" for form in FORMS]
    parts = [talk[at : at + 8] for at in range(0, len(talk), 8)]
    async with listening(RELAY) as port:
        for part in parts:  # twenty errors end a session
            await play(port, "S: 220 *\nC: EHLO c\nS: ...\nS: 250 *\n" + "".join(part))
    assert not await QueuedMessage.objects.aexists()


async def test_after_a_good_recipient_a_bad_one_is_still_refused(anna: User) -> None:
    async with listening(RELAY) as port:
        await play(
            port,
            """
            S: 220 *
            C: EHLO c
            S: ...
            S: 250 *
            C: MAIL FROM:<anna@harbour.test>
            S: 250 *
            C: RCPT TO:<anna@harbour.test>
            S: 250 *
            C: RCPT TO:<spam@target.test>
            S: 550 5.7.1 *
            C: BDAT 0 LAST
            S: 250 *
            """,
        )
    assert not await QueuedMessage.objects.aexists()
