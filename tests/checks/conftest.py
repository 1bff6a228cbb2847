"""A server that checks what comes from loopback, with a name server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from accounts.models import User
from mailservers.models import MailboxMessage
from mailservers.smtp.server import SERVICES
from mailservers.store.content import read_message
from tests.dialog import listening
from tests.outbound.stub_dns import name_server

from .zones import ed25519_key, rsa_key


def txt(record: bytes) -> str:
    """As a zone file has it: strings of up to 255 octets."""
    text = record.decode()
    return " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))


ZONE = f"""
1.0.0.127.in-addr.arpa. 60 PTR mail.sender.test.
mail.sender.test. 60 A 127.0.0.1
sender.test. 60 TXT "v=spf1 a:mail.sender.test -all"
_dmarc.sender.test. 60 TXT "v=DMARC1; p=reject"
s1._domainkey.sender.test. 60 TXT {txt(rsa_key().record)}
s2._domainkey.sender.test. 60 TXT {txt(ed25519_key().record)}
victim.test. 60 TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.victim.test. 60 TXT "v=DMARC1; p=reject"
careful.test. 60 TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.careful.test. 60 TXT "v=DMARC1; p=quarantine"
unsure.test. 60 TXT "v=spf1 ip4:192.0.2.1 ~all"
plain.test. 60 A 127.0.0.1
list.test. 60 TXT "v=spf1 ip4:127.0.0.1 -all"
k._domainkey.list.test. 60 TXT {txt(rsa_key(1024).record)}
1.0.0.127.bad.list.test. 60 A 127.0.0.2
1.0.0.127.odd.list.test. 60 A 127.255.255.254
_dmarc.nowhere.broken. 60 TXT "never told"
"""

Receiving = Callable[..., AbstractAsyncContextManager[int]]


@pytest.fixture
def receiving(settings: Any, mail: None) -> Receiving:
    """`async with receiving() as port`: port 25 of a server that checks loopback, too, and knows ZONE."""

    @contextlib.asynccontextmanager
    async def server(**changed: Any) -> AsyncIterator[int]:
        with name_server(ZONE) as (address, _):
            settings.DNS_SERVERS = [address]
            settings.CHECK_PRIVATE = True
            settings.GREYLIST = False
            for name, value in changed.items():
                setattr(settings, name, value)
            async with listening(SERVICES[0]) as port:
                yield port

    return server


async def send(
    port: int, content: bytes, sender: str = "carol@sender.test", *recipients: str, helo: str = "mail.sender.test"
) -> tuple[int, bytes]:
    """The reply to the message's end."""

    def talk() -> tuple[int, bytes]:
        with smtplib.SMTP("127.0.0.1", port, helo, timeout=60) as client:
            client.ehlo()
            assert client.mail(sender)[0] == 250
            for recipient in recipients or ("anna@harbour.test",):
                assert client.rcpt(recipient)[0] == 250
            return client.data(content)

    return await asyncio.to_thread(talk)


async def stored(user: User, mailbox: str = "INBOX") -> list[bytes]:
    def read() -> list[bytes]:
        places = MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name=mailbox).order_by("uid")
        return [read_message(pk) or b"" for pk in places.values_list("message_id", flat=True)]

    return await asyncio.to_thread(read)
