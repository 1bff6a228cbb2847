"""OBJECTID, SAVEDATE, PREVIEW, UIDONLY, INPROGRESS and UNAUTHENTICATE, after their RFCs' examples."""

import base64
import re

import pytest

from mailservers.imap import session as session_module
from mailservers.models import MailboxMessage
from mailservers.store.searching import finding
from tests.conftest import PASSWORD

pytestmark = pytest.mark.asyncio

MESSAGE_A = b"Message-ID: <a@x>\r\nSubject: Message A\r\n\r\nLorem ipsum\r\ndolor sit amet.\r\n"
REPLY = b"Message-ID: <b@x>\r\nReferences: <a@x>\r\nSubject: Re: Message A\r\n\r\nYes.\r\n"
MESSAGE_C = b"Message-ID: <c@x>\r\nSubject: Message C\r\nContent-Type: image/png\r\n\r\nxx\r\n"
OBJECT_ID = rb"\(([A-Za-z0-9_-]{1,255})\)"


@pytest.fixture
async def inbox(client):
    for message in (MESSAGE_A, REPLY, MESSAGE_C):
        await client.append("INBOX", message)
    await client.ok("SELECT INBOX")
    return client


# ------------------------------------------------------------------ OBJECTID (RFC 8474)


async def mailbox_id(client, name: str) -> bytes:
    return re.search(rb"MAILBOXID " + OBJECT_ID, (await client.ok(f"STATUS {name} (MAILBOXID)"))[0])[1]


async def test_mailbox_ids(client):
    foo = re.search(rb"\[MAILBOXID " + OBJECT_ID, (await client.ok("CREATE foo"))[-1])[1]
    bar = re.search(rb"\[MAILBOXID " + OBJECT_ID, (await client.ok("CREATE bar"))[-1])[1]
    assert foo != bar
    assert (await client.command("CREATE foo"))[-1].startswith(b"NO [ALREADYEXISTS]")
    assert b"* OK [MAILBOXID (%b)] Identifier" % foo in await client.ok('SELECT "foo"')
    assert b"* OK [MAILBOXID (%b)] Identifier" % foo in await client.ok('EXAMINE "foo"')
    assert await mailbox_id(client, "foo") == foo
    await client.ok("RENAME foo renamed")
    assert await mailbox_id(client, "renamed") == foo
    await client.ok("DELETE renamed")
    await client.ok("CREATE foo")
    assert await mailbox_id(client, "foo") not in (foo, bar)
    assert b"* STATUS bar (MESSAGES 0 MAILBOXID (%b))" % bar in await client.ok(
        'LIST "" "*" RETURN (STATUS (MESSAGES MAILBOXID))'
    )
    inbox = await mailbox_id(client, "INBOX")
    await client.ok("RENAME INBOX kept")  # a new mailbox, to which the messages are moved
    assert await mailbox_id(client, "INBOX") == inbox != await mailbox_id(client, "kept")


async def ids(client, numbers: str = "1:*") -> list[tuple[bytes, bytes]]:
    lines = (await client.ok(f"FETCH {numbers} (EMAILID THREADID)"))[:-1]
    return [re.search(rb"\(EMAILID " + OBJECT_ID + rb" THREADID " + OBJECT_ID, line).groups() for line in lines]


async def test_email_and_thread_ids(inbox, connect, anna):
    (a, thread_a), (b, thread_b), (c, thread_c) = before = await ids(inbox)
    assert len({a, b, c}) == 3 and thread_a == thread_b != thread_c
    await inbox.ok("CREATE foo")
    await inbox.ok("MOVE 2 foo")
    await inbox.ok("COPY 1 foo")
    await inbox.append("foo", MESSAGE_C)
    assert await ids(inbox) == [before[0], before[2]]
    other = await connect(anna)
    await other.ok("SELECT foo")
    assert await ids(other) == [before[1], before[0], before[2]]
    assert (await other.ok(f"SEARCH EMAILID {a.decode()}"))[0] == b"* SEARCH 2"
    assert (await other.ok(f"SEARCH THREADID {thread_a.decode()}"))[0] == b"* SEARCH 1 2"
    assert (await other.ok(f"UID SEARCH NOT THREADID {thread_a.decode()}"))[0] == b"* SEARCH 3"
    assert (await other.ok(f"SEARCH EMAILID {a.decode().lower()}"))[0] == b"* SEARCH"  # case matters


async def test_a_message_without_a_thread(inbox):
    place = MailboxMessage.objects.filter(uid=3)
    thread_id = (await place.aget()).thread_id
    await place.aupdate(thread_id=0)
    assert (await inbox.ok("FETCH 3 THREADID"))[0] == b"* 3 FETCH (THREADID NIL)"
    assert (await inbox.ok("SEARCH THREADID T0"))[0] == b"* SEARCH"
    await place.aupdate(thread_id=thread_id)  # the store's check asks for one


# ------------------------------------------------------------------ SAVEDATE (RFC 8514)


async def test_save_dates(client):
    await client.ok(b'APPEND INBOX " 7-Feb-1994 22:43:04 -0800" {%d+}\r\n%b' % (len(MESSAGE_A), MESSAGE_A))
    await client.ok("SELECT INBOX")
    line = (await client.ok("FETCH 1 (SAVEDATE INTERNALDATE)"))[0]
    saved = re.search(rb'SAVEDATE "([ 0-9]\d-[A-Z][a-z]{2}-\d{4}) \d\d:\d\d:\d\d \+0000"', line)[1].decode().strip()
    assert b"1994" in line and "1994" not in saved
    assert (await client.ok(f"SEARCH SAVEDON {saved}"))[0] == b"* SEARCH 1"
    assert (await client.ok(f"SEARCH SAVEDSINCE {saved}"))[0] == b"* SEARCH 1"
    assert (await client.ok(f"SEARCH SAVEDBEFORE {saved}"))[0] == b"* SEARCH"
    assert (await client.ok("SEARCH SAVEDSINCE 1-Jan-1994 NOT SAVEDON 8-Feb-1994"))[0] == b"* SEARCH 1"
    assert (await client.ok("SEARCH SAVEDATESUPPORTED"))[0] == b"* SEARCH 1"


# ------------------------------------------------------------------ PREVIEW (RFC 8970)


async def test_previews(inbox):
    await inbox.append("INBOX", b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "Grüße ".encode() * 100)
    assert await inbox.ok("FETCH 1,3 (RFC822.SIZE PREVIEW)") == [
        b'* 1 FETCH (PREVIEW "Lorem ipsum dolor sit amet." RFC822.SIZE %d)' % len(MESSAGE_A),
        b'* 3 FETCH (PREVIEW "" RFC822.SIZE %d)' % len(MESSAGE_C),
        b"OK FETCH completed",
    ]
    assert (await inbox.ok("UID FETCH 1 (UID PREVIEW (LAZY))"))[0] == (
        b'* 1 FETCH (UID 1 PREVIEW "Lorem ipsum dolor sit amet.")'
    )
    assert (await inbox.ok("FETCH 2 PREVIEW (LAZY)"))[0] == b'* 2 FETCH (PREVIEW "Yes.")'
    inbox.send("a FETCH 4 PREVIEW\r\n")
    size, text = re.search(rb"PREVIEW \{(\d+)\}\r\n(.*)\)\r\na OK", await inbox.rest(), re.DOTALL).groups()
    assert int(size) == len(text) and len(text.decode()) <= 200 and text.decode().startswith("Grüße Grüße")
    assert b"FLAGS" not in b"".join(await inbox.ok("FETCH 1 PREVIEW"))  # \Seen is not set


# ------------------------------------------------------------------ UIDONLY (RFC 9586)


async def test_uid_only(inbox, connect, anna):
    await inbox.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    await inbox.ok("EXPUNGE")
    assert (await inbox.ok("ENABLE UIDONLY"))[0] == b"* ENABLED UIDONLY"
    for command in ("FETCH 1 FLAGS", r"STORE 1 +FLAGS \Seen", "COPY 1 Sent", "MOVE 1 Sent", "SEARCH ALL",
                    "REPLACE 1 INBOX {1+}\r\nx", "UID SEARCH 1:2", "UID SEARCH OR SEEN NOT 1"):  # fmt: skip
        assert await inbox.command(command) == [b"BAD [UIDREQUIRED] Message numbers are not in use"]
    assert await inbox.ok("UID FETCH 2:3 (FLAGS)") == [
        rb"* 2 UIDFETCH (FLAGS (\Recent))",
        rb"* 3 UIDFETCH (FLAGS (\Recent))",
        b"OK FETCH completed",
    ]
    assert (await inbox.ok("UID FETCH 3 (UID EMAILID)"))[0].startswith(b"* 3 UIDFETCH (UID 3 EMAILID (M")
    assert (await inbox.ok(r"UID STORE 3 +FLAGS (\Flagged)"))[0] == rb"* 3 UIDFETCH (FLAGS (\Flagged \Recent))"
    assert (await inbox.ok("UID SEARCH RETURN (SAVE ALL) FLAGGED"))[0].endswith(b"UID ALL 3")
    assert (await inbox.ok("UID FETCH $ (RFC822.SIZE)"))[0] == b"* 3 UIDFETCH (RFC822.SIZE %d)" % len(MESSAGE_C)
    assert (await inbox.ok("UID SEARCH $"))[0] == b"* SEARCH 3"
    other = await connect(anna)
    await other.ok("SELECT INBOX")
    await other.ok(r"STORE 1 +FLAGS (\Deleted)")
    assert (await inbox.ok("NOOP"))[0] == rb"* 2 UIDFETCH (FLAGS (\Deleted \Recent))"
    assert (await inbox.ok("EXPUNGE"))[0] == b"* VANISHED 2"
    assert not any(b"UNSEEN" in line for line in await inbox.ok("SELECT INBOX"))
    await inbox.ok("ENABLE QRESYNC")
    assert await inbox.command("SELECT INBOX (QRESYNC (1 1 1:3 (1 3)))") == [
        b"BAD [UIDREQUIRED] Message numbers are not in use"
    ]
    # With CONDSTORE the mod-sequence is told, the UID stays where it is.
    assert (await inbox.ok(r"UID STORE 3 FLAGS ()"))[0] == rb"* 3 UIDFETCH (FLAGS () MODSEQ (10))"


# ------------------------------------------------------------------ INPROGRESS (RFC 9585)


async def test_progress_of_a_long_command(inbox, monkeypatch):
    assert not any(b"INPROGRESS" in line for line in await inbox.ok("SEARCH TEXT x"))
    monkeypatch.setattr(session_module, "PROGRESS_EVERY_S", 0.0)
    monkeypatch.setattr(finding, "ROWS", 1)
    lines = await inbox.ok("SEARCH TEXT x")
    told = [re.fullmatch(rb'\* OK \[INPROGRESS \("t\d+" (\d) 3\)\] Still at it', line)[1] for line in lines[:-2]]
    assert told == [b"1", b"2", b"3"]
    assert lines[-2] == b"* SEARCH 1 2 3"


# ------------------------------------------------------------------ UNAUTHENTICATE (RFC 8437)


async def test_unauthenticate(connect, anna, ben):
    client = await connect()
    assert b"UNAUTHENTICATE" not in (await client.ok("CAPABILITY"))[0]
    assert await client.command("UNAUTHENTICATE") == [b"BAD Sign in first"]
    plain = {user: base64.b64encode(f"\0{user.login}\0{PASSWORD}".encode()).decode() for user in (anna, ben)}
    assert b" UNAUTHENTICATE]" in (await client.ok(f"AUTHENTICATE PLAIN {plain[anna]}"))[-1]
    await client.append("INBOX", MESSAGE_A)
    await client.ok("ENABLE IMAP4rev2 QRESYNC UIDONLY")
    await client.ok("SELECT INBOX")
    assert await client.command("UNAUTHENTICATE now") == [b"BAD Unexpected text after the arguments"]
    # Pipelined with the next user's AUTHENTICATE (section 3).
    await client.dialog(
        f"""
        C: a UNAUTHENTICATE
        C: b AUTHENTICATE PLAIN {plain[ben]}
        S: a OK UNAUTHENTICATE completed
        S: b OK [CAPABILITY ...] Logged in
        C: c FETCH 1 FLAGS
        S: c BAD No mailbox is selected
        C: d STATUS INBOX (MESSAGES RECENT)
        S: * STATUS INBOX (MESSAGES 0 RECENT 0)
        S: d OK STATUS completed
        C: e SELECT INBOX (QRESYNC (1 1))
        S: e BAD [CLIENTBUG] ENABLE QRESYNC comes first
        """
    )
    await client.append("INBOX", MESSAGE_A)
    await client.ok("SELECT INBOX")
    assert (await client.ok("FETCH 1 FLAGS"))[0] == rb"* 1 FETCH (FLAGS (\Recent))"
    await client.ok("UNAUTHENTICATE")
    client.send(b"x LOGIN " + b"x" * 9000 + b"\r\n")  # the limits of the time before login
    assert await client.rest() == b"x BAD Command line too long\r\n"
