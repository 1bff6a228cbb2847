"""UTF8=ACCEPT (RFC 6855), and mailbox names in modified UTF-7 without it."""

from __future__ import annotations

import pytest

from mailservers.formats.imap.mailbox_names import decode_utf7, encode_utf7

MESSAGE = "From: Zoë <zoë@harbour.test>\r\nSubject: Grüße\r\n\r\nHallo\r\n".encode()


async def test_names(client):
    await client.dialog(
        """
        C: a CREATE Entw&APw-rfe
        S: a OK [MAILBOXID ...
        C: b LIST "" Entw*
        S: * LIST (\\HasNoChildren) "/" Entw&APw-rfe
        S: b OK ...
        C: c ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: c OK ...
        C: d LIST "" "Entwü*"
        S: * LIST (\\HasNoChildren) "/" "Entwürfe"
        S: d OK ...
        C: e STATUS "Entwürfe" (MESSAGES RECENT)
        S: * STATUS "Entwürfe" (MESSAGES 0 RECENT 0)
        S: e OK ...
        C: f CREATE "Bücher/日本語"
        S: f OK ...
        C: g LSUB "" "*ü*"
        S: g OK ...
        C: h SUBSCRIBE "Bücher/日本語"
        S: h OK ...
        C: i LSUB "" "B*"
        S: * LSUB () "/" "Bücher/日本語"
        S: i OK ...
        C: j SELECT "Bücher"
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 0 EXISTS
        S: * 0 RECENT
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT ...
        S: * OK [HIGHESTMODSEQ ...
        S: * OK [MAILBOXID ...
        S: * OK [URLMECH INTERNAL] ...
        S: j OK [READ-WRITE] ...
        C: k SEARCH CHARSET UTF-8 SUBJECT x
        S: k BAD No charset may be named after ENABLE UTF8=ACCEPT
        C: l SEARCH SUBJECT "ü"
        S: * SEARCH
        S: l OK ...
        """
    )
    client.send(b'm STATUS "B\xfccher" (MESSAGES)\r\n')
    assert await client.until(b"m ") == b"m BAD Invalid UTF-8 in a quoted string\r\n"


async def test_append_utf8(client):
    assert (await client.command(b"APPEND INBOX UTF8 (~{%d+}\r\n%b)" % (len(MESSAGE), MESSAGE)))[-1].startswith(
        b"NO [CANNOT]"
    )
    await client.ok("ENABLE UTF8=ACCEPT")
    size = len(MESSAGE)
    lines = await client.ok(b"APPEND INBOX (\\Seen) UTF8 (~{%d+}\r\n%b)" % (size, MESSAGE))
    assert b"APPENDUID" in lines[-1]
    head, body = MESSAGE.split(b"\r\n\r\n")
    await client.ok(
        b"APPEND INBOX CATENATE (UTF8 (~{%d+}\r\n%b) TEXT {%d+}\r\n%b)"
        % (len(head) + 4, head + b"\r\n\r\n", len(body), body)
    )
    await client.ok("SELECT INBOX")
    for number in (1, 2):
        fetched = b"\r\n".join(await client.ok(f"FETCH {number} BODY.PEEK[]"))
        assert MESSAGE in fetched
    assert (await client.ok('SEARCH SUBJECT "Grüße"'))[0] == b"* SEARCH 1 2"
    for bad in (b"UTF8 {1+}\r\nx", b"UTF8 (x)", b"UTF8 ({1+}\r\nx)", b"UTF8 (~{1+}\r\nx", b"UTF9 (~{1+}\r\nx)"):
        assert (await client.command(b"APPEND INBOX " + bad))[-1].startswith(b"BAD"), bad


async def test_old_mail_with_eight_bits_is_kept_as_it_came(client):
    old = b"Subject: Gr\xfc\xdfe\r\n\r\nx\r\n"
    await client.append("INBOX", old)
    await client.ok("SELECT INBOX")
    assert old in b"\r\n".join(await client.ok("FETCH 1 BODY[]"))


async def test_unauthenticate_takes_it_back(client, anna):
    await client.ok("ENABLE UTF8=ACCEPT")
    await client.ok("UNAUTHENTICATE")
    assert not client.dialogue.session.utf8


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 section 5.1.3
        ("A&B", b"A&-B"),
        ("😀", b"&2D3eAA-"),
        ("", b""),
    ],
)
def test_modified_utf7(name, raw):
    assert encode_utf7(name) == raw and decode_utf7(raw) == name


@pytest.mark.parametrize(
    "raw", [b"&Jjo!", b"&U,BTFw-&ZeVnLIqe-", b"&AGE-", b"&", b"a&b", b"&AA-", b"&2D0-", b"&APx-", b"&AP-", b"\xfc"]
)
def test_what_is_not_modified_utf7(raw):
    """A superfluous shift, encoded ASCII, stray surrogates, pad bits."""
    with pytest.raises(ValueError):
        decode_utf7(raw)
