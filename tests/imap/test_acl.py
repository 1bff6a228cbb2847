"""ACL (RFC 4314) and LIST-MYRIGHTS (RFC 8440): what others may do with Anna's mailboxes, command by command."""

from __future__ import annotations

import asyncio

import pytest

from accounts.models import Address, AddressTarget
from accounts.services.removal import remove_user
from mailservers.formats.imap.acl import AclRequest, parse_identifier, parse_setacl, write_rights
from mailservers.formats.imap.lexer import ImapSyntaxError, Lexer
from mailservers.models import AclEntry
from mailservers.store.access import combine
from mailservers.store.engine import store

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"
WORK = "Shared/anna@harbour.test/Work"
DENIED = b"NO [NOPERM] "


@pytest.fixture
async def both(connect, anna, ben):
    """Anna, who has a mailbox Work with three messages, and Ben."""
    one, two = await connect(anna), await connect(ben)
    await one.ok("CREATE Work")
    for flags in ("(\\Draft \\Deleted)", "(\\Answered)", "($Forwarded \\Seen)"):
        await one.append("Work", MESSAGE, flags)
    return one, two


async def grant(client, rights: str, who: str = "ben@harbour.test", mailbox: str = "Work") -> None:
    await client.ok(f'SETACL {mailbox} {who} "{rights}"')


# ---------------------------------------------------------------- grammar and sums


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        (b" INBOX Fred lrs", AclRequest("INBOX", b"Fred", "fred", "=", frozenset("lrs"))),
        (b" INBOX -Fred +cd", AclRequest("INBOX", b"-Fred", "-fred", "+", frozenset("kxte"))),
        (b' INBOX fred ""', AclRequest("INBOX", b"fred", "fred", "=", frozenset())),
        (b" INBOX fred -a", AclRequest("INBOX", b"fred", "fred", "-", frozenset("a"))),
    ],
)
def test_setacl_grammar(text, request_):
    assert parse_setacl(Lexer((text,))) == request_


@pytest.mark.parametrize(
    "text", [b"", b" INBOX", b" INBOX fred", b" INBOX fred lrQ", b" INBOX fred lrq", b" INBOX fred 0", b' INBOX "" l',
             b" INBOX - l", b' INBOX "\xff" l', b" INBOX fred l x"]
)  # fmt: skip
def test_bad_setacl(text):
    with pytest.raises(ImapSyntaxError):
        parse_setacl(Lexer((text,)))


def test_identifier_grammar():
    assert parse_identifier(Lexer((b" INBOX Fred",))).identifier == b"Fred"
    for bad in (b" INBOX", b" INBOX fred lr", b' INBOX ""', b" INBOX -"):
        with pytest.raises(ImapSyntaxError):
            parse_identifier(Lexer((bad,)))


def test_rights():
    assert write_rights("taerl") == b"lrtead" and write_rights("k") == b"kc" and write_rights("") == b'""'
    assert combine([(False, "lr"), (False, "ws"), (True, "w")]) == set("lrs")
    assert combine([]) == set()


# ---------------------------------------------------------------- managing the list


async def test_the_commands(both):
    one, two = both
    await one.dialog(
        """
        C: a GETACL Work
        S: * ACL Work anna@harbour.test lrswipkxteacd
        S: a OK GETACL completed
        C: b SETACL Work Ben@Harbour.Test lrswi
        S: b OK SETACL completed
        C: c SETACL Work ben@harbour.test +cda
        S: c OK SETACL completed
        C: d GETACL Work
        S: * ACL Work anna@harbour.test lrswipkxteacd ben@harbour.test lrswikxteacd
        S: d OK GETACL completed
        C: e SETACL Work ben@harbour.test -kxa
        S: e OK SETACL completed
        C: f SETACL Work -ben@harbour.test w
        S: f OK SETACL completed
        C: g GETACL Work
        S: * ACL Work anna@harbour.test lrswipkxteacd ben@harbour.test lrswited -ben@harbour.test w
        S: g OK GETACL completed
        C: h LISTRIGHTS Work BEN@harbour.test
        S: * LISTRIGHTS Work BEN@harbour.test "" l r s w i p k x t e a c d
        S: h OK LISTRIGHTS completed
        C: i LISTRIGHTS Work anna@harbour.test
        S: * LISTRIGHTS Work anna@harbour.test lrswipkxteacd
        S: i OK LISTRIGHTS completed
        C: j DELETEACL Work ben@harbour.test
        S: j OK DELETEACL completed
        C: k GETACL Work
        S: * ACL Work anna@harbour.test lrswipkxteacd -ben@harbour.test w
        S: k OK GETACL completed
        C: l SETACL Work ben@harbour.test lrQswicda
        S: l BAD Uppercase rights are not allowed
        C: m SETACL Work ben@harbour.test lrqswicda
        S: m BAD That right is not supported
        C: n SETACL Work nobody@harbour.test lr
        S: n NO [CANNOT] There is no such user or group
        C: o SETACL Work anna@harbour.test l
        S: o NO [CANNOT] The owner always has every right
        C: p MYRIGHTS Work
        S: * MYRIGHTS Work lrswipkxteacd
        S: p OK MYRIGHTS completed
        C: q GETACL Nowhere
        S: q NO [NONEXISTENT] ...
        """
    )
    # Nothing is told about what somebody has no right on: it is not there.
    for command in ("GETACL", "MYRIGHTS", "SELECT", "DELETE"):
        assert (await two.command(f"{command} {WORK}"))[-1].startswith(b"NO [NONEXISTENT]"), command
    assert (await two.command(f"SETACL {WORK} ben@harbour.test lr"))[-1].startswith(b"NO [NONEXISTENT]")
    await grant(one, "lr")
    await one.ok("DELETEACL Work -ben@harbour.test")
    assert (await two.ok(f"MYRIGHTS {WORK}"))[0] == b"* MYRIGHTS " + WORK.encode() + b" lr"
    for command in (f"GETACL {WORK}", f"SETACL {WORK} ben@harbour.test a", f"DELETEACL {WORK} ben@harbour.test",
                    f"LISTRIGHTS {WORK} anyone"):  # fmt: skip
        assert (await two.command(command))[-1].startswith(DENIED), command
    await grant(one, "+a")
    await two.ok(f"SETACL {WORK} anyone l")


async def test_groups_anyone_and_negative_rights(both, anna, ben):
    one, two = both
    await store.call(_make_group, anna.domain_id, ben.pk)
    await grant(one, "lr", "team@harbour.test")
    assert (await two.ok(f"MYRIGHTS {WORK}"))[0].endswith(b" lr")
    await grant(one, "s", "anyone")
    assert (await two.ok(f"MYRIGHTS {WORK}"))[0].endswith(b" lrs")
    await grant(one, "r", "-ben@harbour.test")
    assert (await two.ok(f"MYRIGHTS {WORK}"))[0].endswith(b" ls")
    assert (await two.command(f"SELECT {WORK}"))[-1].startswith(DENIED)
    await grant(one, "lr", "-anyone")
    assert (await two.command(f"SELECT {WORK}"))[-1].startswith(b"NO [NONEXISTENT]")


def _make_group(tx, domain_id, user_id):
    group = Address.objects.create(domain_id=domain_id, address="team@harbour.test")
    AddressTarget.objects.create(address=group, user_id=user_id)


# ---------------------------------------------------------------- the hierarchy


async def test_list_subscribe_status(both):
    one, two = both
    assert await two.ok('LIST "" Shared*') == [b"OK LIST completed"]
    await grant(one, "l")
    await two.dialog(
        f"""
        C: a LIST "" Shared*
        S: * LIST (\\NonExistent \\Noselect \\HasChildren) "/" Shared
        S: * LIST (\\NonExistent \\Noselect \\HasChildren) "/" Shared/anna@harbour.test
        S: * LIST (\\HasNoChildren) "/" {WORK}
        S: a OK LIST completed
        C: b LIST "" %
        S: * LIST (\\HasNoChildren) "/" INBOX
        S: * LIST (\\HasNoChildren \\Archive) "/" Archive
        S: * LIST (\\HasNoChildren \\Drafts) "/" Drafts
        S: * LIST (\\HasNoChildren \\Junk) "/" Junk
        S: * LIST (\\HasNoChildren \\Sent) "/" Sent
        S: * LIST (\\NonExistent \\Noselect \\HasChildren) "/" Shared
        S: * LIST (\\HasNoChildren \\Trash) "/" Trash
        S: b OK LIST completed
        C: c STATUS {WORK} (MESSAGES)
        S: c NO [NOPERM] ...
        C: d LIST "" Shared/*/Work RETURN (STATUS (MESSAGES) MYRIGHTS)
        S: * LIST (\\HasNoChildren) "/" {WORK}
        S: * MYRIGHTS {WORK} l
        S: d OK LIST completed
        C: e SUBSCRIBE {WORK}
        S: e OK SUBSCRIBE completed
        C: f LSUB "" Shared*
        S: * LSUB () "/" {WORK}
        S: f OK LSUB completed
        C: g LIST (SUBSCRIBED) "" Shared*
        S: * LIST (\\Subscribed \\HasNoChildren) "/" {WORK}
        S: g OK LIST completed
        C: h UNSUBSCRIBE {WORK}
        S: h OK UNSUBSCRIBE completed
        C: i LSUB "" Shared*
        S: i OK LSUB completed
        C: j GETQUOTAROOT {WORK}
        S: * QUOTAROOT {WORK}...
        S: j OK GETQUOTAROOT completed
        """
    )
    await grant(one, "lr")
    assert (await two.ok(f"STATUS {WORK} (MESSAGES)"))[0] == b"* STATUS " + WORK.encode() + b" (MESSAGES 3)"
    await grant(one, "i")  # without "l"
    assert await two.ok('LIST "" Shared*') == [b"OK LIST completed"]
    await two.append(WORK, MESSAGE)


async def test_list_myrights_of_ones_own(client):
    lines = await client.ok('LIST "" INBOX RETURN (MYRIGHTS)')
    assert lines[:2] == [b'* LIST (\\HasNoChildren) "/" INBOX', b"* MYRIGHTS INBOX lrswipkxteacd"]


async def test_create_rename_delete(both):
    one, two = both
    await grant(one, "lr")
    for command in (f"CREATE {WORK}/New", f"DELETE {WORK}", f"RENAME {WORK} {WORK}2"):
        assert (await two.command(command))[-1].startswith(DENIED), command
    for command in ("CREATE Shared/anna@harbour.test/Top", "CREATE Shared/nobody@harbour.test/Top"):
        assert (await two.command(command))[-1].startswith(DENIED), command
    assert (await two.command("CREATE Shared"))[-1].startswith(b"NO [CANNOT]")
    await grant(one, "lrkx")
    await two.ok(f"CREATE {WORK}/New")
    assert b"ben@harbour.test lrkxc" in (await one.ok("GETACL Work/New"))[0]  # inherited
    assert (await two.command(f"CREATE {WORK}/Bad (USE (\\Junk))"))[-1].startswith(b"NO [USEATTR]")
    await two.ok(f"RENAME {WORK}/New {WORK}/Newer")
    assert b"ben@harbour.test lrkxc" in (await one.ok("GETACL Work/Newer"))[0]
    assert (await two.command(f"RENAME {WORK}/Newer Mine"))[-1].startswith(b"NO [CANNOT]")
    assert (await two.command(f"RENAME Sent {WORK}/Sent"))[-1].startswith(b"NO [CANNOT]")
    await two.ok(f"DELETE {WORK}/Newer")
    assert (await one.command("STATUS Work/Newer (MESSAGES)"))[-1].startswith(b"NO [NONEXISTENT]")
    await one.ok("SETACL INBOX ben@harbour.test lrx")
    assert (await two.command("RENAME Shared/anna@harbour.test/INBOX Mine"))[-1].startswith(b"NO [CANNOT]")
    await one.ok("DELETE Work")
    await one.ok("CREATE Work")
    assert (await two.command(f"SELECT {WORK}"))[-1].startswith(b"NO [NONEXISTENT]")


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("rights", "code", "flags"),
    [
        ("lr", b"READ-ONLY", b"()"),
        ("lrs", b"READ-WRITE", rb"(\Seen)"),
        ("lrt", b"READ-WRITE", rb"(\Deleted)"),
        ("lrsw", b"READ-WRITE", rb"(\Seen \Answered \Flagged \Draft $Forwarded $MDNSent $Junk $NotJunk $Phishing \*)"),
        ("lri", b"READ-WRITE", b"()"),
    ],
)
async def test_permanent_flags(both, rights, code, flags):
    one, two = both
    await grant(one, rights)
    lines = await two.ok(f"SELECT {WORK}")
    assert lines[-1].startswith(b"OK [" + code + b"]")
    assert any(line.startswith(b"* OK [PERMANENTFLAGS " + flags + b"]") for line in lines), lines
    await two.ok("FETCH 1 BODY[]")
    fetched = (await two.ok("FETCH 1 FLAGS"))[0]
    assert (rb"\Seen" in fetched) == ("s" in rights)


async def test_store(both):
    one, two = both
    await grant(one, "lrs")
    await two.ok(f"SELECT {WORK}")
    await two.ok(r"STORE 2 +FLAGS.SILENT (\Seen \Flagged $Work)")
    assert rb"FLAGS (\Seen \Answered)" in (await two.ok("FETCH 2 FLAGS"))[0].replace(rb" \Recent", b"")
    for flags in (r"+FLAGS (\Deleted)", r"+FLAGS (\Flagged)", r"FLAGS (\Draft)", "-FLAGS ($Forwarded)"):
        assert (await two.command(f"STORE 3 {flags}"))[-1].startswith(DENIED), flags
    await two.ok("STORE 3 FLAGS.SILENT ()")  # what may not be changed stays
    assert b"FLAGS ($Forwarded)" in (await two.ok("FETCH 3 FLAGS"))[0].replace(rb" \Recent", b"")
    await grant(one, "lrwi")
    await two.ok(f"SELECT {WORK}")
    await two.ok(r"STORE 1 FLAGS.SILENT (\Flagged \Deleted $New)")
    fetched = b"".join(await two.ok("FETCH 1 FLAGS")).replace(rb" \Recent", b"")
    assert rb"FETCH (FLAGS (\Flagged \Deleted $New)" in fetched  # \Deleted was there
    assert (await two.command(r"STORE 1 -FLAGS (\Deleted)"))[-1].startswith(DENIED)


async def test_expunge_close_move(both):
    one, two = both
    await grant(one, "lrs")
    await two.ok(f"SELECT {WORK}")
    for command in ("EXPUNGE", "UID EXPUNGE 1", "MOVE 1 INBOX"):
        assert (await two.command(command))[-1].startswith(DENIED), command
    await two.ok("CLOSE")  # without a word, and nothing is expunged
    assert (await one.ok("STATUS Work (MESSAGES)"))[0].endswith(b"(MESSAGES 3)")
    await grant(one, "lrte")
    await two.ok(f"SELECT {WORK}")
    await two.ok("MOVE 2 INBOX")
    await two.ok("EXPUNGE")
    assert (await one.ok("STATUS Work (MESSAGES)"))[0].endswith(b"(MESSAGES 1)")
    assert (await two.ok("STATUS INBOX (MESSAGES)"))[0].endswith(b"(MESSAGES 1)")


@pytest.mark.parametrize(
    ("rights", "kept"),
    [("rwis", [rb"\Draft", rb"\Answered", rb"\Seen $Forwarded"]), ("rsti", [rb"\Deleted", b"", rb"\Seen"])],
)
async def test_copy_as_the_rfc_shows(both, rights, kept):
    """RFC 4314 section 4: flags that may not be set there are lost on COPY; so with APPEND."""
    one, two = both
    await two.ok("CREATE Target")
    await two.ok(f"SETACL Target anna@harbour.test {rights}")
    target = "Shared/ben@harbour.test/Target"
    await one.ok("SELECT Work")
    assert b"COPYUID" in (await one.ok(f"COPY 1:3 {target}"))[-1]
    for flags in (r"(\Draft \Deleted)", r"(\Answered)", r"($Forwarded \Seen)"):
        await one.append(target, MESSAGE, flags)
    await two.ok("EXAMINE Target")
    lines = await two.ok("FETCH 1:6 FLAGS")
    for line, flags in zip(lines, [*kept, *kept], strict=False):
        assert line.replace(rb" \Recent", b"").replace(rb"\Recent", b"").endswith(b"FLAGS (" + flags + b"))"), line
    await two.ok(f"SETACL Target anna@harbour.test {rights.replace('i', '')}")
    assert (await one.command(f"COPY 1 {target}"))[-1].startswith(b"NO [TRYCREATE] ")  # there is no "l"
    assert (await one.command(f"APPEND {target} {{1+}}\r\nx"))[-1].startswith(b"NO [TRYCREATE] ")


async def test_changes_are_heard_across_users(both):
    one, two = both
    await grant(one, "lrsw")
    await two.ok(f"SELECT {WORK}")
    two.send("i IDLE\r\n")
    await two.until(rb"\+ idling")
    await one.append("Work", MESSAGE)
    await two.until(rb"\* 4 EXISTS")


async def test_annotations(both):
    """RFC 5464 section 3.3: "l" and one of "rswip"; private ones are each user's own."""
    one, two = both
    for rights, refused in (("l", DENIED), ("rsw", b"NO [NONEXISTENT] ")):
        await grant(one, rights)
        for command in (f"GETMETADATA {WORK} /shared/comment", f'SETMETADATA {WORK} (/private/comment "x")'):
            assert (await two.command(command))[-1].startswith(refused), rights
    await grant(one, "lr")
    await one.ok('SETMETADATA Work (/shared/comment "for all" /private/comment "mine")')
    assert (await two.command(f'SETMETADATA {WORK} (/private/specialuse "\\\\Junk")'))[-1].startswith(b"NO [USEATTR]")
    await two.ok(f'SETMETADATA {WORK} (/private/comment "Ben\'s")')
    lines = await two.ok(f"GETMETADATA {WORK} (/shared/comment /private/comment)")
    assert lines[0].endswith(b'(/private/comment "Ben\'s" /shared/comment "for all")')
    assert b'"mine"' in (await one.ok("GETMETADATA Work /private/comment"))[0]


# ---------------------------------------------------------------- when people go


async def test_entries_go_with_the_user(both, ben):
    one, _ = both
    await grant(one, "lr")
    await asyncio.to_thread(remove_user, ben.pk, actor="test")
    assert not await store.read(AclEntry.objects.exists)
