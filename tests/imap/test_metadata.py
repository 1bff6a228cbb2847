"""METADATA (RFC 5464), with its examples; special use as an annotation (RFC 6154 section 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.auth.door import Identity
from mailservers.formats.imap.lexer import ImapSyntaxError, Lexer
from mailservers.formats.imap.metadata import (
    GetMetadataRequest,
    SetMetadataRequest,
    chosen_entries,
    parse_getmetadata,
    parse_setmetadata,
)
from mailservers.models import Annotation
from mailservers.store.annotations import MAX_ANNOTATIONS, MAX_VALUE_OCTETS
from mailservers.store.engine import store


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        (b' "" /shared/comment', GetMetadataRequest("", ("/shared/comment",))),
        (b' "INBOX" (/shared/A /private/b)', GetMetadataRequest("INBOX", ("/shared/a", "/private/b"))),
        (b' "INBOX" (MAXSIZE 9) (/shared/a /private/b)', GetMetadataRequest("INBOX", ("/shared/a", "/private/b"), 9)),
        (b' (DEPTH infinity maxsize 5) INBOX "/private/x"', GetMetadataRequest("INBOX", ("/private/x",), 5, None)),
        (b' "INBOX" (DEPTH 1) (/private/f/v)', GetMetadataRequest("INBOX", ("/private/f/v",), None, 1)),
        (b' "INBOX" /private/a /shared/b', GetMetadataRequest("INBOX", ("/private/a", "/shared/b"))),
        (b" INBOX /private", GetMetadataRequest("INBOX", ("/private",))),
    ],
)  # fmt: skip
def test_getmetadata(text, request_):
    assert parse_getmetadata(Lexer((text,))) == request_


@pytest.mark.parametrize(
    "text",
    [b"", b" INBOX", b" INBOX ()", b" INBOX comment", b" INBOX /other/x", b" INBOX /private/", b" INBOX /private//x",
     b' INBOX "/private/a*"', b' INBOX "/private/a%"', b" INBOX (DEPTH 2) /private/a", b" INBOX (SIZE 2) /private/a",
     b" INBOX (MAXSIZE) /private/a", b" (DEPTH 1) INBOX (DEPTH 1) /private/a", b' INBOX "/private/\xc3\xbc"'],
)  # fmt: skip
def test_bad_getmetadata(text):
    with pytest.raises(ImapSyntaxError):
        parse_getmetadata(Lexer((text,)))


def test_setmetadata():
    parts = (b' INBOX (/private/comment "a" /shared/B NIL /private/c ', b"x\r\ny", b" /private/d ~", b"\0", b")")
    assert parse_setmetadata(Lexer(parts)) == SetMetadataRequest(
        "INBOX", {"/private/comment": b"a", "/shared/b": None, "/private/c": b"x\r\ny", "/private/d": b"\0"}
    )
    for bad in (
        b" INBOX ()",
        b" INBOX /private/a x",
        b" INBOX (/private x)",
        b" INBOX (/private/a)",
        b" INBOX (/private/a x)",
    ):
        with pytest.raises(ImapSyntaxError):
            parse_setmetadata(Lexer((bad,)))


@given(st.binary(max_size=60).map(lambda rest: b' INBOX (/private/a "' + rest))
def test_only_the_one_error_escapes(text):
    for parse in (parse_getmetadata, parse_setmetadata):
        try:
            parse(Lexer((text,)))
        except ImapSyntaxError as error:
            assert str(error).isascii()


def test_depth():
    names = ["/a", "/a/b", "/a/b/c", "/ab", "/d"]
    assert chosen_entries(names, ["/a"], 0) == ["/a"]
    assert chosen_entries(names, ["/a"], 1) == ["/a", "/a/b"]
    assert chosen_entries(names, ["/a"], None) == ["/a", "/a/b", "/a/b/c"]


# ---------------------------------------------------------------- dialogs


async def test_the_examples(client):
    await client.dialog(
        """
        C: a SETMETADATA INBOX (/private/comment {33}
        S: + OK
        C: My new comment across
        C: two lines.)
        S: a OK SETMETADATA completed
        C: b GETMETADATA "INBOX" /private/comment
        S: * METADATA INBOX (/private/comment {33}
        S: My new comment across
        S: two lines.)
        S: b OK GETMETADATA completed
        C: c SETMETADATA INBOX (/private/comment NIL)
        S: c OK SETMETADATA completed
        C: d GETMETADATA INBOX /private/comment
        S: * METADATA INBOX (/private/comment NIL)
        S: d OK GETMETADATA completed
        C: e SETMETADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")
        S: e OK SETMETADATA completed
        C: f GETMETADATA "INBOX" (/shared/comment /private/comment)
        S: * METADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")
        S: f OK GETMETADATA completed
        C: g GETMETADATA "INBOX" (MAXSIZE 14) (/shared/comment /private/comment)
        S: * METADATA INBOX (/private/comment "My new comment")
        S: g OK [METADATA LONGENTRIES 20] GETMETADATA completed
        C: h SETMETADATA INBOX (/private/f/v/small "SMALLER 5000" /private/f/v/boss "FROM \\"boss@example.com\\"")
        S: h OK SETMETADATA completed
        C: i GETMETADATA "INBOX" (DEPTH 1) (/private/f/v)
        S: * METADATA INBOX (/private/f/v/boss "FROM \\"boss@example.com\\"" /private/f/v/small "SMALLER 5000")
        S: i OK GETMETADATA completed
        C: j GETMETADATA "INBOX" (DEPTH 1) (/private/f)
        S: j OK GETMETADATA completed
        C: k GETMETADATA Nowhere /private/comment
        S: k NO [NONEXISTENT] ...
        C: l SETMETADATA Nowhere (/private/comment "x")
        S: l NO [NONEXISTENT] ...
        C: m SETMETADATA INBOX (/private/comment)
        S: m BAD ...
        """
    )  # fmt: skip


async def test_the_server(client, connect, ben):
    await client.dialog(
        """
        C: a GETMETADATA "" (/shared/admin /shared/comment)
        S: * METADATA "" (/shared/admin mailto:postmaster@harbour.test /shared/comment NIL)
        S: a OK GETMETADATA completed
        C: b SETMETADATA "" (/private/vendor/x/y "1")
        S: b OK SETMETADATA completed
        C: c SETMETADATA "" (/shared/comment "no")
        S: c NO [NOPERM] ...
        C: d SETMETADATA "" (/shared/admin "no")
        S: d NO [CANNOT] ...
        """.replace("mailto:postmaster@harbour.test", '"mailto:postmaster@harbour.test"')
    )
    other = await connect(ben)
    other.dialogue.session.identity = Identity(ben.pk, ben.login, "", True)
    await other.ok('SETMETADATA "" (/shared/comment "Closed on Sunday")')
    lines = await client.ok('GETMETADATA (DEPTH infinity) "" (/shared /private)')
    assert b'/shared/comment "Closed on Sunday"' in lines[0] and b'/private/vendor/x/y "1"' in lines[0]
    assert b"/private/vendor" not in (await other.ok('GETMETADATA (DEPTH infinity) "" (/shared /private)'))[0]


async def test_limits_and_all_or_nothing(client):
    big = b"x" * (MAX_VALUE_OCTETS + 1)
    lines = await client.command(b'SETMETADATA INBOX (/private/a "1" /private/b {%d+}\r\n%b)' % (len(big), big))
    assert lines[-1].startswith(b"NO [METADATA MAXSIZE %d]" % MAX_VALUE_OCTETS)
    assert (await client.ok("GETMETADATA INBOX /private/a"))[0] == b"* METADATA INBOX (/private/a NIL)"
    await client.ok(b"SETMETADATA INBOX (/private/nul ~{3+}\r\na\0b)")
    assert b"~{3}\r\na\0b" in b"\r\n".join(await client.ok("GETMETADATA INBOX /private/nul"))
    many = " ".join(f'/private/n/{number} "x"' for number in range(MAX_ANNOTATIONS - 1))
    await client.ok(f"SETMETADATA INBOX ({many})")
    lines = await client.command('SETMETADATA INBOX (/private/n/0 "changed" /private/more "x")')
    assert lines[-1].startswith(b"NO [METADATA TOOMANY]")
    assert b'/private/n/0 "x"' in (await client.ok("GETMETADATA INBOX /private/n/0"))[0]
    await client.ok('SETMETADATA INBOX (/private/n/0 NIL /private/more "x")')


async def test_annotations_go_with_their_mailbox(client, anna):
    await client.ok("CREATE Work")
    await client.ok('SETMETADATA Work (/private/comment "w")')
    await client.ok("RENAME Work Labour")
    assert b'"w"' in (await client.ok("GETMETADATA Labour /private/comment"))[0]
    await client.ok("DELETE Labour")
    await client.ok("CREATE Labour")
    assert b"NIL" in (await client.ok("GETMETADATA Labour /private/comment"))[0]
    assert not await store.read(Annotation.objects.exists)
    await client.ok('SETMETADATA INBOX (/private/comment "i")')
    await client.ok("RENAME INBOX Old")
    for name in ("INBOX", "Old"):
        assert b'"i"' in (await client.ok(f"GETMETADATA {name} /private/comment"))[0]


async def test_special_use(client):
    await client.ok("CREATE SavedDrafts")
    assert (await client.ok("GETMETADATA Drafts /private/specialuse"))[0] == (
        b'* METADATA Drafts (/private/specialuse "\\\\Drafts")'
    )
    refused = (await client.command('SETMETADATA SavedDrafts (/private/comment "x" /private/specialuse "\\\\Drafts")'))[
        -1
    ]
    assert refused.startswith(b"NO [USEATTR]")
    assert b"NIL" in (await client.ok("GETMETADATA SavedDrafts /private/comment"))[0]
    await client.ok("SETMETADATA Drafts (/private/specialuse NIL)")
    await client.ok('SETMETADATA SavedDrafts (/private/specialuse "\\\\drafts")')
    assert (await client.ok('LIST (SPECIAL-USE) "" *Drafts'))[0] == b'* LIST (\\HasNoChildren \\Drafts) "/" SavedDrafts'
    for name, value in (
        ("INBOX", "\\\\Trash"),
        ("Archive", "\\\\All"),
        ("Archive", "\\\\Sent \\\\Junk"),
        ("Archive", "x"),
    ):
        lines = await client.command(f'SETMETADATA {name} (/private/specialuse "{value}")')
        assert lines[-1].startswith(b"NO [USEATTR]"), value


# ---------------------------------------------------------------- changes


async def test_changes_are_told_to_who_enabled_it(connect, anna, ben):
    one, two, quiet = [await connect(anna) for _ in range(3)]
    await two.ok('SETMETADATA Sent (/private/before "x")')
    assert (await one.ok("ENABLE METADATA"))[0] == b"* ENABLED METADATA"
    await two.ok('SETMETADATA INBOX (/shared/comment "1" /private/comment "2")')
    await two.ok('SETMETADATA "" (/private/x "1")')
    assert await one.ok("NOOP") == [
        b'* METADATA "" /private/x',
        b"* METADATA INBOX /private/comment /shared/comment",
        b"OK NOOP completed",
    ]
    await two.ok("SETMETADATA INBOX (/private/comment NIL)")
    assert (await one.ok("NOOP"))[0] == b"* METADATA INBOX /private/comment"
    await one.ok('SETMETADATA INBOX (/private/own "x")')
    assert await one.ok("NOOP") == [b"OK NOOP completed"]
    assert await quiet.ok("NOOP") == [b"OK NOOP completed"]
    one.send("i IDLE\r\n")
    await one.until(rb"\+ idling")
    await two.ok('SETMETADATA INBOX (/private/own "y")')
    await one.until(rb"\* METADATA INBOX /private/own")
    one.send("DONE\r\n")
    await one.until(b"i OK")
    other = await connect(ben)  # what all users see reaches another user's session
    other.dialogue.session.identity = Identity(ben.pk, ben.login, "", True)
    await other.ok('SETMETADATA "" (/shared/comment "x")')
    assert (await one.ok("NOOP"))[0] == b'* METADATA "" /shared/comment'
    await two.ok("DELETE Archive")
    assert await one.ok("NOOP") == [b"OK NOOP completed"]


async def test_notify(connect, anna):
    one, two = await connect(anna), await connect(anna)
    await one.ok("NOTIFY SET (mailboxes INBOX (MailboxMetadataChange)) (personal (ServerMetadataChange))")
    await two.ok('SETMETADATA Sent (/private/comment "not asked for")')
    await two.ok('SETMETADATA INBOX (/private/comment "x")')
    assert (await one.until(rb"\* METADATA")).endswith(b"* METADATA INBOX /private/comment\r\n")
    await two.ok('SETMETADATA "" (/private/x "1")')
    assert (await one.until(rb"\* METADATA")).endswith(b'* METADATA "" /private/x\r\n')
    await one.ok("NOTIFY NONE")
    await two.ok('SETMETADATA INBOX (/private/comment "z")')
    assert await one.ok("NOOP") == [b"OK NOOP completed"]


async def test_the_watch_ends_with_the_session(connect, anna):
    client = await connect(anna)
    await client.ok("ENABLE METADATA")
    assert client.dialogue.session.metadata is not None
    await client.ok("UNAUTHENTICATE")
    assert client.dialogue.session.metadata is None
