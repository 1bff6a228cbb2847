"""APPEND in all its forms and REPLACE, after the examples of RFC 3502, RFC 3516, RFC 4469 and RFC 8508."""

import re

import pytest
from django.test import override_settings

pytestmark = pytest.mark.asyncio

FIRST = b"Subject: afternoon meeting\r\n\r\nHello Joe, do you think we can meet at 3:30 tomorrow?\r\n"
SECOND = b"Subject: Re: afternoon meeting\r\n\r\n3:30 is fine with me.\r\n"
DRAFT = (
    b'Subject: trip\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nSee the schedule.\r\n"
    b"--b\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n--b--\r\n"
)


def literal(data: bytes) -> bytes:
    return b"{%d+}\r\n%b" % (len(data), data)


async def octets(client, mailbox: str, uid: int) -> bytes:
    """A message as FETCH gives it."""
    await client.ok(f"SELECT {mailbox}")
    client.send(f"f UID FETCH {uid} BODY.PEEK[]\r\n")
    output = await client.rest()
    size = int(re.search(rb"\{(\d+)\}\r\n", output)[1])
    return output.partition(b"}\r\n")[2][:size]


async def test_a_mailbox_renamed_or_removed_between_two_appends(client, connect, anna):
    """The second APPEND does not look the mailbox up again, and still puts nothing into the wrong one."""
    other = await connect(anna)
    await client.ok("CREATE one")
    await client.append("one", FIRST)
    await other.ok("RENAME one two")
    await client.dialog("""
        C: b APPEND one {1+}
        C: x
        S: b NO [TRYCREATE] The target mailbox does not exist
        """)
    await other.ok("CREATE one")
    await client.append("one", SECOND)
    assert await octets(client, "one", 1) == SECOND
    await client.ok("UNSELECT")
    await other.ok("DELETE one")
    await other.ok("CREATE one")
    await client.append("one", FIRST)
    assert await octets(client, "one", 1) == FIRST
    assert await octets(client, "two", 1) == FIRST


# ------------------------------------------------------------------ MULTIAPPEND


async def test_several_messages_at_once(client):
    await client.ok("CREATE saved-messages")
    lines = await client.ok(
        b"APPEND saved-messages (\\Seen) "
        + literal(FIRST)
        + b' (\\Flagged $Work) " 7-Feb-1994 22:43:04 -0800" '
        + literal(SECOND)
        + b" "
        + literal(FIRST)
    )
    assert re.fullmatch(rb"OK \[APPENDUID \d+ 1:3\] APPEND completed", lines[-1])
    await client.ok("SELECT saved-messages")
    lines = await client.ok("FETCH 1:3 (FLAGS INTERNALDATE RFC822.SIZE)")
    assert b"FLAGS (\\Seen \\Recent)" in lines[0] and b"RFC822.SIZE %d" % len(FIRST) in lines[0]
    assert b"FLAGS (\\Flagged $Work \\Recent)" in lines[1] and b'"08-Feb-1994 06:43:04 +0000"' in lines[1]
    assert b"FLAGS (\\Recent)" in lines[2]


async def test_synchronising_literals_are_asked_for_one_by_one(client):
    await client.dialog(
        """
        C: a APPEND INBOX {15}
        S: + OK
        C: Subject: x
        C:
        C: y (\\Draft) {15}
        S: + OK
        C: Subject: y
        C:
        C: y
        S: a OK [APPENDUID ... 1:2] APPEND completed
        C: b APPEND bogusname (\\Flagged) {1+}
        C: x
        S: b NO [TRYCREATE] The target mailbox does not exist
        """
    )


async def test_all_or_nothing(client):
    await client.append("INBOX", FIRST)
    before = await client.ok("STATUS INBOX (MESSAGES UIDNEXT HIGHESTMODSEQ)")
    many = b" ".join(b"k%d" % n for n in range(100))
    for second, answer in (
        (literal(b""), b"NO The message is empty"),
        (b"CATENATE (URL /INBOX/;UID=9)", b"NO [BADURL /INBOX/;UID=9] The message or part does not exist"),
        (b"(%b x%b) " % (many, many.replace(b" k", b" x")) + literal(SECOND), b"BAD Too many flags"),
        (b"(%b) " % many + literal(SECOND) + b" (x%b) " % many.replace(b" k", b" x") + literal(SECOND) + b" (one more) "
         + literal(SECOND), b"NO [LIMIT] A mailbox can hold 200 different keywords"),
    ):  # fmt: skip
        lines = await client.command(b"APPEND INBOX (\\Seen) " + literal(FIRST) + b" " + second)
        assert lines == [answer]
        assert await client.ok("STATUS INBOX (MESSAGES UIDNEXT HIGHESTMODSEQ)") == before


async def test_an_empty_message_cancels(client):
    assert await client.command(b"APPEND INBOX {0+}\r\n") == [b"NO The message is empty"]


@pytest.mark.parametrize(
    "rest", [b" {3+}\r\nabc x", b" (\\Seen)", b" {3+}\r\nabc (\\Seen)", b' "1-Feb-2020" {1+}\r\nx']
)
async def test_wrong_arguments(client, rest):
    assert (await client.command(b"APPEND INBOX" + rest))[-1].startswith(b"BAD ")


# ------------------------------------------------------------------ BINARY


async def test_literal8(client):
    binary = (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\0\1\r\n--b--\r\n"
    )
    await client.ok(b"APPEND INBOX ~" + literal(binary))
    await client.ok("SELECT INBOX")
    client.send("a FETCH 1 (BODY BINARY.SIZE[1] BINARY.PEEK[1])\r\n")
    output = await client.rest()
    # BODYSTRUCTURE describes what BODY gives (RFC 3516 section 6), BINARY gives what was sent.
    assert b'("IMAGE" "PNG" NIL NIL NIL "BASE64" 8)' in output.upper()
    assert b"BINARY.SIZE[1] 6" in output and b"BINARY[1] ~{6}\r\n\x89PNG\0\1" in output
    client.send("b FETCH 1 BODY.PEEK[1]\r\n")
    assert b"BODY[1] {8}\r\niVBORwAB" in await client.rest()
    # Without NUL nothing is changed.
    await client.ok(b"APPEND INBOX ~" + literal(DRAFT))
    assert await octets(client, "INBOX", 2) == DRAFT
    lines = await client.command(b"APPEND INBOX ~" + literal(b"Subject: \0\r\n\r\nx"))
    assert lines == [b"NO [UNKNOWN-CTE] NUL outside of a part's body"]


# ------------------------------------------------------------------ CATENATE


async def test_an_attachment_is_replaced_without_a_download(client):
    uid = await client.append("Drafts", DRAFT)
    validity = re.search(rb"UIDVALIDITY (\d+)", (await client.ok("STATUS Drafts (UIDVALIDITY)"))[0])[1].decode()
    url = f"/Drafts;UIDVALIDITY={validity}/;UID={uid}"
    other = await client.append("Drafts", SECOND)
    await client.dialog(
        rf"""
        C: A003 APPEND Drafts (\Seen \Draft $MDNSent) CATENATE (URL "{url}/;section=HEADER" TEXT {{5}}
        S: + OK
        C: --b
        C:  URL "{url}/;section=1.MIME" URL "{url}/;Section=1" TEXT {{7}}
        S: + OK
        C!
        """.replace("C!", "").rstrip()
    )
    client.send(f'\r\n--b\r\n URL "/Drafts/;UID={other}" TEXT {{9+}}\r\n\r\n--b--\r\n)\r\n')
    assert (await client.until(rb"A003 ")).startswith(b"A003 OK [APPENDUID ")
    header = DRAFT.partition(b"--b\r\n")[0]
    assert await octets(client, "Drafts", 3) == (
        header + b"--b\r\nContent-Type: text/plain\r\n\r\nSee the schedule.\r\n--b\r\n" + SECOND + b"\r\n--b--\r\n"
    )
    assert await client.ok("UID FETCH 1,3 (FLAGS)") == [
        rb"* 1 FETCH (UID 1 FLAGS (\Recent))",  # not \Seen
        rb"* 3 FETCH (UID 3 FLAGS (\Seen \Draft $MDNSent \Recent))",
        b"OK FETCH completed",
    ]


async def test_urls_relative_to_the_selected_mailbox(client):
    await client.append("INBOX", FIRST)
    await client.ok("CREATE Work/A")
    await client.ok("CREATE Work/B")
    await client.append("Work/B", SECOND)
    assert (await client.command("APPEND INBOX CATENATE (URL /;UID=1)"))[-1].startswith(b"NO [BADURL ")
    await client.ok("SELECT Work/A")
    await client.ok(
        'APPEND Work/A CATENATE (URL /INBOX/;UID=1/;PARTIAL=0.9 URL "B/;UID=1/;SECTION=HEADER.FIELDS%20(X)")'
    )
    assert await octets(client, "Work/A", 1) == b"Subject: \r\n"
    await client.ok("APPEND Work/A CATENATE (URL /;UID=1 URL ;UID=1)")
    assert await octets(client, "Work/A", 2) == b"Subject: \r\nSubject: \r\n"


@pytest.mark.parametrize(
    "url",
    [
        "/INBOX/;UID=77", "/Nowhere/;UID=1", "/INBOX;UIDVALIDITY=1/;UID=1", "/INBOX/;UID=1/;section=1.5.9",
        "imap://localhost/INBOX/;UID=1", "/INBOX", '"/INBOX/;UID=1]"', '"/IN BOX/;UID=1"', '"/IN%00BOX/;UID=1"',
    ],
)  # fmt: skip
async def test_bad_urls_are_named(client, url):
    await client.append("INBOX", FIRST)
    shown = url.strip('"').replace("]", "%5D").encode()
    assert await client.command(f"APPEND INBOX CATENATE (URL {url})") == [
        b"NO [BADURL %b] The message or part does not exist" % shown
    ]


async def test_other_peoples_messages_do_not_exist(connect, anna, ben):
    one, two = await connect(anna), await connect(ben)
    await one.append("INBOX", FIRST)
    assert (await two.command("APPEND INBOX CATENATE (URL /INBOX/;UID=1)"))[-1].startswith(b"NO [BADURL ")


async def test_catenated_messages_have_the_limit_of_all(client):
    with override_settings(MESSAGE_SIZE_LIMIT=200):
        await client.append("INBOX", FIRST)
        lines = await client.command("APPEND INBOX CATENATE (URL /INBOX/;UID=1 URL /INBOX/;UID=1 URL /INBOX/;UID=1)")
    assert lines == [b"NO [TOOBIG] The message would be too large"]


# ------------------------------------------------------------------ REPLACE


@pytest.fixture
async def drafts(client):
    """Four messages in the selected Drafts; the last by UID is 4."""
    for _ in range(4):
        await client.append("Drafts", FIRST, r"(\Flagged)")
    await client.ok("SELECT Drafts")
    return client


async def test_replace(drafts):
    lines = await drafts.ok(b"REPLACE 4 Drafts (\\Seen \\Draft) " + literal(SECOND))
    assert re.fullmatch(rb"\* OK \[APPENDUID \d+ 5\] Replacement message ready", lines[0])
    assert lines[1:] == [b"* 4 EXPUNGE", b"* 4 EXISTS", b"* 4 RECENT", b"OK REPLACE completed"]
    # Nothing is inherited from the message that was replaced.
    assert (await drafts.ok("UID FETCH 5 FLAGS"))[0] == rb"* 4 FETCH (UID 5 FLAGS (\Seen \Draft \Recent))"


async def test_uid_replace_into_another_mailbox_with_catenate(drafts):
    await drafts.ok("ENABLE QRESYNC")
    lines = await drafts.ok(b"UID REPLACE 2 Sent CATENATE (TEXT " + literal(b"To: x\r\n") + b" URL /Drafts/;UID=2)")
    assert lines[0].startswith(b"* OK [APPENDUID ") and lines[1] == b"* VANISHED 2"
    assert lines[-1] == b"OK [HIGHESTMODSEQ 6] REPLACE completed"
    assert await octets(drafts, "Sent", 1) == b"To: x\r\n" + FIRST


async def test_replace_by_the_same_content(drafts):
    await drafts.ok(b"UID REPLACE 1:1 Drafts " + literal(FIRST))
    assert await octets(drafts, "Drafts", 5) == FIRST


async def test_replace_refused(drafts, connect, anna):
    assert await drafts.command(b"REPLACE 5 Drafts " + literal(SECOND)) == [b"BAD No message has that number"]
    assert await drafts.command(b"UID REPLACE 9 Drafts " + literal(SECOND)) == [
        b"NO [NONEXISTENT] The message to be replaced does not exist"
    ]
    assert await drafts.command(b"REPLACE 1:2 Drafts " + literal(SECOND)) == [b"BAD Expected one message"]
    assert await drafts.command(b"REPLACE 1 Nowhere " + literal(SECOND)) == [
        b"NO [TRYCREATE] The target mailbox does not exist"
    ]
    other = await connect(anna)
    assert await other.command(b"REPLACE 1 Drafts " + literal(SECOND)) == [b"BAD No mailbox is selected"]
    await other.ok("EXAMINE Drafts")
    assert (await other.command(b"REPLACE 1 Drafts " + literal(SECOND)))[-1].startswith(b"NO [CANNOT]")
    await drafts.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    await other.ok("SELECT Drafts")
    await drafts.ok("EXPUNGE")
    lines = await other.command(b"REPLACE 1 Drafts " + literal(SECOND))
    assert lines == [b"* 1 EXPUNGE", b"NO [EXPUNGEISSUED] The message to be replaced no longer exists"]
    assert b"(MESSAGES 3)" in (await drafts.ok("STATUS Drafts (MESSAGES)"))[0]
