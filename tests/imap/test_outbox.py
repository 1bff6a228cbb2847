"""The Outbox over IMAP: a mailbox like others to look at; deleting cancels, moving out too, and nothing comes in."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.auth.door import Identity
from mailservers.delivery.submission import submit
from mailservers.models import MailboxMessage, QueuedMessage, QueuedRecipient
from mailservers.outbound.leases import claim
from mailservers.store.engine import store
from tests.conftest import mailbox_id

LETTER = b"From: anna@harbour.test\r\nTo: bob@remote.test\r\nSubject: %b\r\nMessage-ID: <%b@x.test>\r\n\r\nbody\r\n"


def hold(user, subject: bytes = b"later", wait: timedelta = timedelta(hours=1)) -> str:
    return submit(
        Identity(user.pk, user.login, "", False),
        LETTER % (subject, subject),
        ["bob@remote.test"],
        sent_mailbox_id=mailbox_id(user, "Sent"),
        not_before=timezone.now() + wait,
    )


@pytest.fixture
async def held(client, anna):
    """Anna's client, with two messages that wait."""
    await asyncio.to_thread(hold, anna, b"one")
    await asyncio.to_thread(hold, anna, b"two")
    return client


def queued() -> int:
    return QueuedMessage.objects.count()


async def test_it_looks_like_any_mailbox(held):
    await held.dialog(
        """
        C: a LIST "" "Out*" RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN) MYRIGHTS)
        S: * LIST (\\HasNoChildren \\Scheduled) "/" Outbox
        S: * MYRIGHTS Outbox lrsted
        S: * STATUS Outbox (MESSAGES 2 UNSEEN 0)
        S: a OK LIST completed
        """
    )
    opened = await held.ok("SELECT Outbox")
    assert any(b"[PERMANENTFLAGS (\\Seen \\Deleted)]" in line for line in opened), opened
    assert any(b"[READ-WRITE]" in line for line in opened)
    assert b"Subject: one" in b"".join(await held.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]"))


async def test_nothing_else_can_be_done_to_it(held):
    await held.append("INBOX", LETTER % (b"x", b"x"))
    await held.ok("SELECT INBOX")
    for command, code in (
        ("COPY 1 Outbox", b"NO [NOPERM]"),
        ("MOVE 1 Outbox", b"NO [NOPERM]"),
        ("RENAME Outbox Elsewhere", b"NO [NOPERM]"),
        ("DELETE Outbox", b"NO [NOPERM]"),
        ("SETACL Outbox ben@harbour.test lr", b"NO [NOPERM]"),
        ('SETMETADATA Outbox (/private/specialuse "\\\\Archive")', b"NO "),
        ("CREATE Mine (USE (\\Scheduled))", b"NO [USEATTR]"),
    ):
        assert code in (await held.command(command))[-1], command
    await held.ok("SELECT Outbox")
    assert b"NO [NOPERM]" in (await held.command("STORE 1 +FLAGS (\\Flagged)"))[-1]
    assert await store.read(queued) == 2


async def test_deleting_cancels(held, connect, anna):
    other = await connect(anna)
    await other.ok("SELECT Outbox")
    other.send("i IDLE\r\n")
    await other.until(rb"\+ ")
    await held.ok("SELECT Outbox")
    await held.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert b"* 1 EXPUNGE" in await held.ok("EXPUNGE")
    await other.until(rb"\* 1 EXPUNGE")
    assert await store.read(queued) == 1
    await held.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await held.ok("CLOSE")
    assert await store.read(queued) == 0


async def test_moving_out_makes_a_draft(held, anna):
    await held.ok("SELECT Outbox")
    assert any(b"COPYUID" in line for line in await held.ok("MOVE 1:2 Drafts"))
    assert await store.read(queued) == 0
    await held.ok("SELECT Drafts")
    assert b"\\Draft" in b"".join(await held.ok("FETCH 1:* FLAGS"))


def claim_all(tx) -> int:
    QueuedRecipient.objects.update(next_attempt=tx.now)
    return len(claim(tx, "r.1", 10, {}))


@pytest.mark.parametrize("command", ["EXPUNGE", "UID EXPUNGE 1:*", "MOVE 1:* Drafts", "CLOSE"])
async def test_what_is_being_sent_stays(held, command):
    await held.ok("SELECT Outbox")
    await held.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    assert await store.call(claim_all) == 2
    answer = (await held.command(command))[-1]
    assert answer.startswith(b"OK " if command == "CLOSE" else b"NO [INUSE] Some of the messages"), answer
    assert await store.read(queued) == 2
    assert await store.read(MailboxMessage.objects.filter(mailbox__name="Outbox").count) == 2


async def test_a_mailbox_of_that_name_is_left_alone(client, anna):
    await client.ok("CREATE Outbox")
    await asyncio.to_thread(hold, anna)
    listed = b"".join(await client.ok('LIST "" "Outbox*" RETURN (SPECIAL-USE)'))
    assert b'(\\HasNoChildren \\Scheduled) "/" "Outbox 2"' in listed
