"""Every command, as a client sees it."""

import base64

import pytest

from tests.conftest import PASSWORD

pytestmark = pytest.mark.asyncio

MESSAGE = b"From: a@harbour.test\r\nTo: b@harbour.test\r\nSubject: Hello\r\n\r\nBody text\r\n"


async def test_before_login(connect, anna):
    client = await connect()
    await client.dialog(
        """
        C: a CAPABILITY
        S: * CAPABILITY IMAP4rev1 IMAP4rev2 ... AUTH=PLAIN AUTH=LOGIN
        S: a OK CAPABILITY completed
        C: b NOOP
        S: b OK NOOP completed
        C: c ID NIL
        S: * ID ("name" "Postroom")
        S: c OK ID completed
        C: d SELECT INBOX
        S: d BAD Sign in first
        C: e FETCH 1 FLAGS
        S: e BAD No mailbox is selected
        C: f FROBNICATE
        S: f BAD Unknown command
        C: g
        S: g BAD Missing command
        C: +
        S: * BAD Invalid tag
        C: h STARTTLS
        S: h BAD TLS is already active
        C: i LOGIN anna@harbour.test wrong
        S: i NO [AUTHENTICATIONFAILED] Invalid login or password
        C: j LOGIN anna@harbour.test {15}
        S: + OK
        C: correct horse 9
        S: j OK [CAPABILITY IMAP4rev1 ...] Logged in
        C: k LOGIN anna@harbour.test x
        S: k BAD Already signed in
        C: l LOGOUT
        S: * BYE Logging out
        S: l OK Logout completed
        """
    )
    assert client.closed


async def test_plaintext_login_is_refused_without_tls(connect, anna):
    client = await connect(tls=False)
    lines = await client.ok("CAPABILITY")
    assert b"LOGINDISABLED" in lines[0] and b"STARTTLS" in lines[0] and b"AUTH=" not in lines[0]
    for command in (f'LOGIN {anna.login} "{PASSWORD}"', "AUTHENTICATE PLAIN", "AUTHENTICATE PLAIN AGEAYg=="):
        assert (await client.command(command))[-1].startswith(b"NO [PRIVACYREQUIRED]")
    # STARTTLS; a command smuggled in behind it is forgotten.
    client.send(b"x STARTTLS\r\ny NOOP\r\n")
    assert await client.rest() == b"x OK Begin TLS negotiation now\r\n"
    assert client.tls_started
    lines = await client.ok("CAPABILITY")
    assert b"LOGINDISABLED" not in lines[0] and b"STARTTLS" not in lines[0] and b"AUTH=PLAIN" in lines[0]
    await client.ok(f'LOGIN {anna.login} "{PASSWORD}"')


async def test_loopback_may_sign_in_without_tls(connect, anna):
    client = await connect(tls=False, loopback=True)
    await client.ok(f'LOGIN {anna.login} "{PASSWORD}"')


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_authenticate(connect, anna):
    plain = b64(f"\0{anna.login}\0{PASSWORD}")
    client = await connect()
    await client.dialog(
        f"""
        C: a AUTHENTICATE CRAM-MD5
        S: a NO [CANNOT] Unsupported authentication mechanism
        C: b AUTHENTICATE PLAIN
        S: +...
        C: *
        S: b BAD Authentication cancelled
        C: c AUTHENTICATE PLAIN
        S: +...
        C: !!!
        S: c BAD Invalid base64
        C: d AUTHENTICATE PLAIN =
        S: d BAD Malformed PLAIN response
        C: e AUTHENTICATE PLAIN {b64("ben@harbour.test" + chr(0) + anna.login + chr(0) + PASSWORD)}
        S: e NO [AUTHORIZATIONFAILED] ...
        C: f AUTHENTICATE PLAIN
        S: +...
        C: {plain}
        S: f OK [CAPABILITY ...] Logged in
        """
    )
    for script in (
        f"""
        C: a AUTHENTICATE plain {plain}
        S: a OK ...
        """,
        f"""
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: {b64(anna.login)}
        S: + UGFzc3dvcmQ6
        C: {b64(PASSWORD)}
        S: a OK ...
        """,
        f"""
        C: a AUTHENTICATE LOGIN {b64(anna.login)}
        S: + UGFzc3dvcmQ6
        C: {b64(PASSWORD)}
        S: a OK ...
        """,
    ):
        await (await connect()).dialog(script)


async def test_too_many_failed_logins_end_the_connection(connect, anna):
    client = await connect()
    for _ in range(4):
        assert (await client.command("LOGIN anna@harbour.test x"))[-1].startswith(b"NO")
    client.send("z LOGIN anna@harbour.test x\r\n")
    assert (await client.rest()).startswith(b"* BYE ")
    assert client.closed


async def test_select_and_its_end(client):
    await client.append("INBOX", MESSAGE, r"(\Seen $Fwd)")
    await client.append("INBOX", MESSAGE)
    await client.dialog(
        r"""
        C: a SELECT inbox
        S: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft $Forwarded $MDNSent $Junk $NotJunk $Phishing $Fwd)
        S: * OK [PERMANENTFLAGS (... $Fwd \*)] Flags permitted
        S: * 2 EXISTS
        S: * 2 RECENT
        S: * OK [UNSEEN 2] First unseen
        S: * OK [UIDVALIDITY ...] UIDs valid
        S: * OK [UIDNEXT 3] Predicted next UID
        S: * OK [HIGHESTMODSEQ 3] Highest
        S: * OK [MAILBOXID (F...)] Identifier
        S: * OK [URLMECH INTERNAL] ...
        S: a OK [READ-WRITE] SELECT completed
        C: b EXAMINE INBOX
        S: * OK [CLOSED] Previous mailbox is now closed
        S: * FLAGS (...)
        S: * OK [PERMANENTFLAGS ()] Flags permitted
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [UNSEEN 2] First unseen
        S: * OK [UIDVALIDITY ...] UIDs valid
        S: * OK [UIDNEXT 3] Predicted next UID
        S: * OK [HIGHESTMODSEQ 3] Highest
        S: * OK [MAILBOXID (F...)] Identifier
        S: * OK [URLMECH INTERNAL] ...
        S: b OK [READ-ONLY] EXAMINE completed
        C: c STORE 1 +FLAGS (\Deleted)
        S: c NO [CANNOT] The mailbox is open read-only
        C: d EXPUNGE
        S: d NO [CANNOT] The mailbox is open read-only
        C: e UNSELECT
        S: e OK UNSELECT completed
        C: f CLOSE
        S: f BAD No mailbox is selected
        C: g SELECT Nowhere
        S: g NO [NONEXISTENT] The mailbox does not exist
        C: h CHECK
        S: h BAD No mailbox is selected
        """
    )
    await client.ok("SELECT INBOX")
    await client.dialog(
        """
        C: a SELECT Nowhere
        S: * OK [CLOSED] Previous mailbox is now closed
        S: a NO [NONEXISTENT] The mailbox does not exist
        C: b FETCH 1 FLAGS
        S: b BAD No mailbox is selected
        """
    )
    await client.ok("SELECT INBOX")
    await client.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    assert await client.command("CLOSE") == [b"OK CLOSE completed"]
    assert b"* 1 EXISTS" in await client.ok("SELECT INBOX")


async def test_mailboxes(client):
    await client.dialog(
        r"""
        C: a CREATE Work/Projects
        S: a OK [MAILBOXID (F...)] CREATE completed
        C: b CREATE work/
        S: b OK [MAILBOXID (F...)] CREATE completed
        C: c CREATE Work
        S: c NO [ALREADYEXISTS] The mailbox already exists
        C: d CREATE INBOX
        S: d NO [ALREADYEXISTS] ...
        C: e LIST "" "Work*"
        S: * LIST (\HasChildren) "/" Work
        S: * LIST (\HasNoChildren) "/" Work/Projects
        S: e OK LIST completed
        C: f DELETE Work
        S: f NO [HASCHILDREN] ...
        C: g DELETE INBOX
        S: g NO [CANNOT] ...
        C: h RENAME Work Job
        S: h OK RENAME completed
        C: i LIST "" Job/%
        S: * LIST (\HasNoChildren) "/" Job/Projects
        S: i OK LIST completed
        C: j RENAME Nowhere x
        S: j NO [NONEXISTENT] ...
        C: k RENAME Job INBOX
        S: k NO [ALREADYEXISTS] ...
        C: l DELETE Job/Projects
        S: l OK DELETE completed
        C: m DELETE Job/Projects
        S: m NO [NONEXISTENT] ...
        C: n SUBSCRIBE Job
        S: n OK SUBSCRIBE completed
        C: o LSUB "" Jo*
        S: * LSUB () "/" Job
        S: o OK LSUB completed
        C: p UNSUBSCRIBE Job
        S: p OK UNSUBSCRIBE completed
        C: q LSUB "" Jo*
        S: q OK LSUB completed
        C: r SUBSCRIBE Nowhere
        S: r NO [NONEXISTENT] ...
        C: s CREATE a&b
        S: s NO [CANNOT] Invalid mailbox name
        C: t CREATE "&ZeVnLIqe-"
        S: t OK [MAILBOXID (F...)] CREATE completed
        C: u LIST "" "&ZeVnLIqe-"
        S: * LIST (\HasNoChildren) "/" &ZeVnLIqe-
        S: u OK LIST completed
        C: v CREATE a//b
        S: v NO [CANNOT] ...
        C: w CREATE "a%b"
        S: w NO [CANNOT] ...
        C: x CREATE All (USE (\All))
        S: x NO [USEATTR] ...
        C: y LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: y OK LIST completed
        C: z NAMESPACE
        S: * NAMESPACE (("" "/")) (("Shared/" "/")) NIL
        S: z OK NAMESPACE completed
        """
    )


async def test_deleting_and_renaming_what_is_selected(client):
    await client.ok("CREATE Work")
    await client.ok("SELECT Work")
    await client.ok("RENAME Work Job")
    await client.ok("NOOP")
    await client.dialog(
        """
        C: a DELETE Job
        S: * OK [CLOSED] The mailbox was deleted
        S: a OK DELETE completed
        C: b FETCH 1 FLAGS
        S: b BAD No mailbox is selected
        """
    )


async def test_a_name_that_changes_hands_has_another_uidvalidity(client):
    """RFC 9051 section 2.3.1.1: name, UIDVALIDITY and UID are one message for good."""
    (before,) = [line for line in await client.ok("SELECT Archive") if b"UIDVALIDITY" in line]
    await client.ok("UNSELECT")
    await client.ok("DELETE Archive")
    await client.ok("RENAME Sent Archive")
    (after,) = [line for line in await client.ok("SELECT Archive") if b"UIDVALIDITY" in line]
    assert before != after


async def test_names_differ_by_case(client):
    """Only INBOX has no case (RFC 9051 section 5.1)."""
    await client.ok("CREATE work")
    await client.ok("CREATE WORK/Projects")
    await client.ok("DELETE work")


async def test_renaming_inbox_moves_its_messages(client):
    await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX")
    assert await client.ok("RENAME INBOX Old") == [b"* 1 EXPUNGE", b"OK RENAME completed"]
    assert (await client.ok("STATUS Old (MESSAGES)"))[0] == b"* STATUS Old (MESSAGES 1)"


async def test_extended_list(client):
    for name in ("Fruit/Apple", "Fruit/Banana", "Fruit/Peach", "Vegetable/Corn"):
        await client.ok(f"CREATE {name}")
    for name in ("Fruit/Banana", "Fruit/Peach", "Vegetable"):
        await client.ok(f"SUBSCRIBE {name}")
    await client.ok("DELETE Fruit/Peach")
    for name in ("Drafts", "Sent", "Archive", "Junk", "Trash"):
        await client.ok(f"UNSUBSCRIBE {name}")
    await client.dialog(
        r"""
        C: a LIST (SUBSCRIBED) "" *
        S: * LIST (\Subscribed \HasNoChildren) "/" INBOX
        S: * LIST (\Subscribed \HasNoChildren) "/" Fruit/Banana
        S: * LIST (\NonExistent \Subscribed \HasNoChildren) "/" Fruit/Peach
        S: * LIST (\Subscribed \HasChildren) "/" Vegetable
        S: a OK LIST completed
        C: b LIST (SUBSCRIBED RECURSIVEMATCH) "" %
        S: * LIST (\Subscribed \HasNoChildren) "/" INBOX
        S: * LIST (\HasChildren) "/" Fruit ("CHILDINFO" ("SUBSCRIBED"))
        S: * LIST (\Subscribed \HasChildren) "/" Vegetable
        S: b OK LIST completed
        C: c LIST "" (Fruit/% Vegetable) RETURN (SUBSCRIBED CHILDREN)
        S: * LIST (\HasNoChildren) "/" Fruit/Apple
        S: * LIST (\Subscribed \HasNoChildren) "/" Fruit/Banana
        S: * LIST (\Subscribed \HasChildren) "/" Vegetable
        S: c OK LIST completed
        C: d LIST (SPECIAL-USE) "" * RETURN (STATUS (MESSAGES UNSEEN))
        S: * LIST (\HasNoChildren \Archive) "/" Archive
        S: * STATUS Archive (MESSAGES 0 UNSEEN 0)
        S: * LIST (\HasNoChildren \Drafts) "/" Drafts
        S: * STATUS Drafts (MESSAGES 0 UNSEEN 0)
        S: * LIST (\HasNoChildren \Junk) "/" Junk
        S: * STATUS Junk (MESSAGES 0 UNSEEN 0)
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * STATUS Sent (MESSAGES 0 UNSEEN 0)
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: * STATUS Trash (MESSAGES 0 UNSEEN 0)
        S: d OK LIST completed
        C: e LSUB "" %
        S: * LSUB () "/" INBOX
        S: * LSUB (\Noselect) "/" Fruit
        S: * LSUB () "/" Vegetable
        S: e OK LSUB completed
        C: f LIST (RECURSIVEMATCH) "" %
        S: f BAD RECURSIVEMATCH needs another selection option
        C: g LIST (REMOTE) Fruit/ A%
        S: * LIST (\HasNoChildren) "/" Fruit/Apple
        S: g OK LIST completed
        C: h LIST () "" "" RETURN (CHILDREN)
        S: h OK LIST completed
        """
    )


async def test_status(client):
    await client.append("INBOX", MESSAGE, r"(\Deleted)")
    await client.append("INBOX", MESSAGE, r"(\Seen)")
    size = 2 * len(MESSAGE)
    await client.dialog(
        f"""
        C: a STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN DELETED SIZE HIGHESTMODSEQ)
        S: * STATUS INBOX (MESSAGES 2 RECENT 2 UIDNEXT 3 UNSEEN 1 DELETED 1 SIZE {size} HIGHESTMODSEQ 3)
        S: a OK STATUS completed
        C: b STATUS Nowhere (MESSAGES)
        S: b NO [NONEXISTENT] The mailbox does not exist
        C: c STATUS INBOX ()
        S: c BAD ...
        C: d STATUS INBOX (UIDVALIDITY APPENDLIMIT)
        S: * STATUS INBOX (UIDVALIDITY ... APPENDLIMIT 52428800)
        S: d OK STATUS completed
        """
    )


async def test_append(client):
    await client.dialog(
        r"""
        C: a APPEND Sent (\Seen) " 1-Feb-2020 10:00:00 +0100" {15}
        S: + OK
        C: Subject: x
        C:
        C: y
        S: a OK [APPENDUID ... 1] APPEND completed
        C: b APPEND Nowhere {1+}
        C: x
        S: b NO [TRYCREATE] The target mailbox does not exist
        C: c APPEND INBOX {99999999}
        S: c NO [TOOBIG] Message too large
        C: d APPEND INBOX hello
        S: d BAD Expected a literal or CATENATE
        C: e APPEND INBOX "31-Feb-2020 10:00:00 +0000" {1+}
        C: x
        S: e BAD Invalid date and time
        """
    )
    await client.ok("SELECT Sent")
    assert await client.ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])") == [
        rb'* 1 FETCH (FLAGS (\Seen \Recent) INTERNALDATE "01-Feb-2020 09:00:00 +0000" RFC822.SIZE 15 BODY[] {15}',
        b"Subject: x",
        b"",
        b"y)",
        b"OK FETCH completed",
    ]
    # Into the selected mailbox: announced before the tagged OK.
    lines = await client.ok(b"APPEND Sent {1+}\r\nx")
    assert lines[:2] == [b"* 2 EXISTS", b"* 2 RECENT"]


async def test_store(client):
    for _ in range(3):
        await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX")
    await client.dialog(
        r"""
        C: a STORE 1:2 +FLAGS (\Seen)
        S: * 1 FETCH (FLAGS (\Seen \Recent))
        S: * 2 FETCH (FLAGS (\Seen \Recent))
        S: a OK STORE completed
        C: b UID STORE 2 -FLAGS \Seen
        S: * 2 FETCH (UID 2 FLAGS (\Recent))
        S: b OK STORE completed
        C: c STORE 1 FLAGS ($Fwd \Draft)
        S: * FLAGS (... $Fwd)
        S: * 1 FETCH (FLAGS (\Draft $Fwd \Recent))
        S: c OK STORE completed
        C: d STORE 1 +FLAGS ($FWD)
        S: * 1 FETCH (FLAGS (\Draft $Fwd \Recent))
        S: d OK STORE completed
        C: e STORE 1 FLAGS.SILENT ()
        S: e OK STORE completed
        C: f STORE 1 +FLAGS (\Recent \Foo)
        S: * 1 FETCH (FLAGS (\Recent))
        S: f OK STORE completed
        C: g STORE 4 +FLAGS (\Seen)
        S: g BAD No message has that number
        C: h UID STORE 99 +FLAGS (\Seen)
        S: h OK STORE completed
        C: i STORE 1:* -FLAGS (\Flagged)
        S: * 1 FETCH (FLAGS (\Recent))
        S: * 2 FETCH (FLAGS (\Recent))
        S: * 3 FETCH (FLAGS (\Recent))
        S: i OK STORE completed
        """
    )


async def test_copy_move_expunge(client):
    for _ in range(4):
        await client.append("INBOX", MESSAGE)
    await client.ok("CREATE Work")
    await client.ok("SELECT INBOX")
    await client.dialog(
        r"""
        C: a COPY 1:2 Work
        S: a OK [COPYUID ... 1:2 1:2] COPY completed
        C: b UID COPY 99 Work
        S: b OK COPY completed
        C: c COPY 1 Nowhere
        S: c NO [TRYCREATE] The target mailbox does not exist
        C: d MOVE 2,4 Work
        S: * OK [COPYUID ... 2,4 3:4] Moved
        S: * 4 EXPUNGE
        S: * 2 EXPUNGE
        S: d OK MOVE completed
        C: e UID MOVE 1 Work
        S: * OK [COPYUID ... 1 5] Moved
        S: * 1 EXPUNGE
        S: e OK MOVE completed
        C: f MOVE 9 Work
        S: f BAD No message has that number
        C: g SELECT Work
        S: * OK [CLOSED] ...
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 5 EXISTS
        S: * 5 RECENT
        S: * OK [UNSEEN 1] ...
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 6] ...
        S: * OK [HIGHESTMODSEQ ...
        S: * OK [MAILBOXID ...
        S: * OK [URLMECH INTERNAL] ...
        S: g OK [READ-WRITE] SELECT completed
        C: h STORE 1:4 +FLAGS.SILENT (\Deleted)
        S: h OK STORE completed
        C: i UID EXPUNGE 2:3,5
        S: * 3 EXPUNGE
        S: * 2 EXPUNGE
        S: i OK EXPUNGE completed
        C: j EXPUNGE
        S: * 2 EXPUNGE
        S: * 1 EXPUNGE
        S: j OK EXPUNGE completed
        C: k EXPUNGE
        S: k OK EXPUNGE completed
        """
    )


async def test_idle(client):
    await client.ok("SELECT INBOX")
    await client.dialog(
        """
        C: a IDLE
        S: + idling
        C: done
        S: a OK IDLE completed
        C: b IDLE
        S: + idling
        C: b2 NOOP
        S: b BAD Expected DONE
        C: c NOOP
        S: c OK NOOP completed
        """
    )


async def test_enable(client):
    await client.dialog(
        """
        C: a ENABLE FOO
        S: * ENABLED
        S: a OK ENABLE completed
        C: b ENABLE imap4rev2 CONDSTORE X
        S: * ENABLED IMAP4rev2 CONDSTORE
        S: b OK ENABLE completed
        C: c CREATE "Größe&Co"
        S: c OK [MAILBOXID (F...)] CREATE completed
        C: d LIST "" G%
        S: * LIST (...) "/" "Größe&Co"
        S: d OK LIST completed
        C: e STATUS INBOX (RECENT)
        S: e BAD RECENT is not part of IMAP4rev2
        C: f SELECT INBOX
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 0 EXISTS
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 1] ...
        S: * OK [HIGHESTMODSEQ 1] Highest
        S: * OK [MAILBOXID (F...)] Identifier
        S: * OK [URLMECH INTERNAL] ...
        S: * LIST (\\HasNoChildren) "/" INBOX
        S: f OK [READ-WRITE] SELECT completed
        C: g SEARCH ALL
        S: * ESEARCH (TAG "g")
        S: g OK SEARCH completed
        C: h RENAME "Größe&Co" Neu
        S: * LIST () "/" Neu ("OLDNAME" ("Größe&Co"))
        S: h OK RENAME completed
        """
    )


async def test_condstore(client):
    for _ in range(3):
        await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX (CONDSTORE)")
    await client.dialog(
        r"""
        C: a FETCH 1 (FLAGS MODSEQ)
        S: * 1 FETCH (FLAGS (\Recent) MODSEQ (2))
        S: a OK FETCH completed
        C: b STORE 1 +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 MODSEQ (5))
        S: b OK STORE completed
        C: c STORE 1:2 (UNCHANGEDSINCE 4) +FLAGS (\Flagged)
        S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (6))
        S: c OK [MODIFIED 1] ...
        C: d UID FETCH 1:* (FLAGS) (CHANGEDSINCE 4)
        S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent) MODSEQ (5))
        S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (6))
        S: d OK FETCH completed
        C: e SEARCH MODSEQ 5
        S: * SEARCH 1 2 (MODSEQ 6)
        S: e OK SEARCH completed
        C: f SEARCH RETURN (COUNT) MODSEQ "/flags/\\seen" all 6
        S: * ESEARCH (TAG "f") COUNT 1 MODSEQ 6
        S: f OK SEARCH completed
        C: g UID STORE 1 (UNCHANGEDSINCE 0) FLAGS ()
        S: g OK [MODIFIED 1] ...
        C: h STORE 3 +FLAGS.SILENT (\Deleted)
        S: * 3 FETCH (UID 3 MODSEQ (7))
        S: h OK STORE completed
        C: i EXPUNGE
        S: * 3 EXPUNGE
        S: i OK [HIGHESTMODSEQ 8] EXPUNGE completed
        """
    )


async def test_enabling_condstore_later_tells_where_the_mailbox_stands(client):
    await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX")
    assert await client.ok("ENABLE CONDSTORE") == [
        b"* ENABLED CONDSTORE",
        b"* OK [HIGHESTMODSEQ 2] Highest",
        b"OK ENABLE completed",
    ]


async def test_pipelining_keeps_the_order(client):
    client.send(
        b"a APPEND INBOX {1+}\r\nx\r\nb SELECT INBOX\r\nc FETCH 1 RFC822.SIZE\r\nd STORE 1 +FLAGS (\\Seen)\r\n"
        b"e SEARCH SEEN\r\nf LOGOUT\r\ng NOOP\r\n"
    )
    output = await client.rest()
    tags = [line.split()[0] for line in output.split(b"\r\n") if line[:1].isalpha()]
    assert tags == [b"a", b"b", b"c", b"d", b"e", b"f"]
    assert b"* 1 FETCH (RFC822.SIZE 1)\r\n" in output and b"* SEARCH 1\r\n" in output
    assert client.closed
