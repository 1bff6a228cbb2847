"""SEARCH: the keys as a truth table, the forms of the answer, saved results."""

import pytest

from mailservers.store.searching.indexer import index_waiting

pytestmark = pytest.mark.asyncio

MESSAGES = [
    (  # 1
        b"From: Karin <karin@harbour.test>\r\nTo: ben@harbour.test\r\nCc: cc@harbour.test\r\nSubject: Invoice 7\r\n"
        b"Date: Sat, 01 Feb 2020 23:30:00 -0500\r\nMessage-ID: <m1@x>\r\n\r\nPlease pay the bill.\r\n",
        r'(\Seen) "03-Feb-2020 10:00:00 +0000"',
    ),
    (  # 2
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@harbour.test>\r\nTo: anna@harbour.test\r\n"
        b"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nDate: Sun, 02 Feb 2020 12:00:00 +0000\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"U2Now7ZuZSBHcsO8w59l\r\n",
        r'(\Flagged $Work) "01-Feb-2020 00:00:00 +0000"',
    ),
    (  # 3
        b"Bcc: secret@harbour.test\r\nX-Empty:\r\nSubject: Re:  invoice\r\n seven\r\n\r\n" + b"x" * 5000 + b"\r\n",
        r'(\Deleted \Draft \Answered)',
    ),
    (  # 4: two parts, one of them HTML
        b'Subject: Mixed\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nplain words\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>some <b>mark</b>up</p>\r\n--b--\r\n",
        "",
    ),
]  # fmt: skip

TABLE = [
    ("ALL", "1 2 3 4"),
    ("SEEN", "1"),
    ("UNSEEN", "2 3 4"),
    ("FLAGGED", "2"),
    ("UNFLAGGED", "1 3 4"),
    ("DELETED", "3"),
    ("UNDELETED", "1 2 4"),
    ("DRAFT", "3"),
    ("UNDRAFT", "1 2 4"),
    ("ANSWERED", "3"),
    ("UNANSWERED", "1 2 4"),
    ("RECENT", "1 2 3 4"),
    ("NEW", "2 3 4"),
    ("OLD", ""),
    ("KEYWORD $work", "2"),
    ("UNKEYWORD $Work", "1 3 4"),
    ("FROM karin", "1"),
    ("FROM KARIN@HARBOUR", "1"),
    ("TO anna", "2"),
    ("CC cc@", "1"),
    ("BCC secret", "3"),
    ("SUBJECT invoice", "1 3"),
    ('SUBJECT "invoice seven"', "3"),
    ("HEADER Message-ID <m1", "1"),
    ('HEADER X-Empty ""', "3"),
    ('HEADER Date ""', "1 2"),
    ("HEADER X-None x", ""),
    ("BODY pay", "1"),
    ("BODY invoice", ""),
    ("TEXT invoice", "1 3"),
    ("TEXT pay", "1"),
    ("TEXT m1@x", "1"),
    ("BODY words", "4"),
    ("BODY markup", "4"),
    ("BODY nosuch", ""),
    ("BODY wo", "4"),  # too short for the index
    ('BODY "ain wor"', "4"),  # any part of the text
    ("OR BODY pay BODY markup", "1 4"),
    ("OR BODY pay UNSEEN", "1 2 3 4"),
    ("NOT TEXT invoice", "2 4"),
    ("TEXT harbour BODY pay", "1"),
    ("TEXT subject:", "1 2 3 4"),
    ("SAVEDSINCE 1-Jan-2021", "1 2 3 4"),
    ("SAVEDBEFORE 1-Jan-2021", ""),
    ("SAVEDON 1-Jan-2021", ""),
    ("SAVEDATESUPPORTED", "1 2 3 4"),
    ("LARGER 4999", "3"),
    ("SMALLER 100", ""),
    ("BEFORE 2-Feb-2020", "2"),
    ("ON 3-Feb-2020", "1"),
    ('SINCE "3-Feb-2020"', "1 3 4"),
    ("SENTBEFORE 2-Feb-2020", "1"),
    ("SENTON 1-Feb-2020", "1"),
    ("SENTSINCE 1-Feb-2020", "1 2"),
    ("YOUNGER 3600", "3 4"),
    ("OLDER 3600", "1 2"),
    ("UID 2:3", "2 3"),
    ("UID 99", ""),
    ("UID 99:*", "4"),
    ("1,3:4", "1 3 4"),
    ("*", "4"),
    ("NOT 1", "2 3 4"),
    ("NOT NOT SEEN", "1"),
    ("OR SEEN FLAGGED", "1 2"),
    ("OR FROM karin BODY markup", "1 4"),
    ("OR BODY markup SEEN", "1 4"),
    ("NOT BODY pay", "2 3 4"),
    ("SUBJECT invoice UNSEEN", "3"),
    ("(OR (1:2 SEEN) DELETED) NOT DRAFT", "1"),
    ("CHARSET UTF-8 SUBJECT grüße", "2"),
    ("CHARSET UTF-8 SUBJECT GRÜSSE", "2"),
    ("CHARSET UTF-8 BODY schöne", "2"),
    ("CHARSET UTF-8 FROM Jürgen", "2"),
    ("CHARSET US-ASCII FROM karin", "1"),
]


@pytest.fixture
async def filled(client):
    for message, options in MESSAGES:
        await client.append("INBOX", message, options)
    await client.ok("SELECT INBOX")
    return client


def quoted(key: str) -> bytes:
    """Words with 8-bit characters as literals."""
    words = [w.encode() if w.isascii() else b"{%d+}\r\n%b" % (len(w.encode()), w.encode()) for w in key.split(" ")]
    return b" ".join(words)


@pytest.mark.parametrize("indexed", [False, True])
async def test_keys(filled, indexed):
    if indexed:
        assert await index_waiting() == len(MESSAGES)
    for key, expected in TABLE:
        lines = await filled.ok(b"SEARCH " + quoted(key))
        assert lines[0].decode() == f"* SEARCH {expected}".rstrip(), key


async def test_errors(filled):
    await filled.dialog(
        """
        C: a SEARCH CHARSET KOI8-R SUBJECT x
        S: a NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset
        C: b SEARCH FOO
        S: b BAD Unknown search key
        C: c SEARCH 5
        S: * SEARCH
        S: c OK SEARCH completed
        C: d SEARCH
        S: d BAD Expected a space
        """
    )


async def test_extended_answers(filled):
    await filled.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)")
    await filled.ok("UID EXPUNGE 2")
    await filled.dialog(
        """
        C: a SEARCH RETURN (MIN MAX COUNT ALL) ALL
        S: * ESEARCH (TAG "a") MIN 1 MAX 3 ALL 1:3 COUNT 3
        S: a OK SEARCH completed
        C: b UID SEARCH RETURN () ALL
        S: * ESEARCH (TAG "b") UID ALL 1,3:4
        S: b OK SEARCH completed
        C: c SEARCH RETURN (COUNT MIN) FROM nobody
        S: * ESEARCH (TAG "c") COUNT 0
        S: c OK SEARCH completed
        C: d UID SEARCH NOT 2
        S: * SEARCH 1 4
        S: d OK SEARCH completed
        C: e SEARCH RETURN (SAVE) SUBJECT invoice
        S: e OK SEARCH completed
        C: f UID FETCH $ UID
        S: * 1 FETCH (UID 1)
        S: * 2 FETCH (UID 3)
        S: f OK FETCH completed
        C: g SEARCH $ SEEN
        S: * SEARCH 1
        S: g OK SEARCH completed
        C: h SEARCH RETURN (SAVE MIN COUNT) NOT $
        S: * ESEARCH (TAG "h") MIN 3 COUNT 1
        S: h OK SEARCH completed
        C: i FETCH $ UID
        S: * 3 FETCH (UID 4)
        S: i OK FETCH completed
        C: j SEARCH RETURN (SAVE MAX) ALL
        S: * ESEARCH (TAG "j") MAX 3
        S: j OK SEARCH completed
        C: k SEARCH UID $
        S: * SEARCH 3
        S: k OK SEARCH completed
        C: l SEARCH RETURN (SAVE) CHARSET x ALL
        S: l NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset
        C: m STORE $ +FLAGS.SILENT (x)
        S: m OK STORE completed
        """
    )


async def test_numbers_that_are_not_in_use_match_nothing(client):
    await client.ok("SELECT Sent")
    for command in ("SEARCH 1:*", "UID SEARCH 1:* NOT DELETED", "SEARCH *", "SEARCH 1"):
        assert await client.ok(command) == [b"* SEARCH", b"OK SEARCH completed"]
    assert await client.command("FETCH 1:* FLAGS") == [b"BAD No message has that number"]


async def test_an_age_beside_what_has_to_be_read(client):
    """The index cannot settle it, so the rows are judged one by one."""
    await client.append("INBOX", b"Subject: x\r\n\r\nbody\r\n")
    await client.append("INBOX", b"Subject: y\r\n\r\nbody\r\n", '"01-Jan-2020 00:00:00 +0000"')
    await client.ok("SELECT INBOX")
    for key, found in (
        ("OR YOUNGER 600 HEADER X-None z", b" 1"),
        ("OR OLDER 600 HEADER X-None z", b" 2"),
        ("OR BEFORE 2-Jan-2020 HEADER X-None z", b" 2"),
        ("OR SAVEDBEFORE 2-Jan-2020 HEADER X-None z", b""),
    ):
        assert (await client.ok(f"SEARCH {key}"))[0] == b"* SEARCH" + found
