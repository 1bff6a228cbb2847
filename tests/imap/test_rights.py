"""Every command with every right missing (RFC 4314 section 4), and rights that change while a mailbox is selected."""

from __future__ import annotations

import pytest

from accounts.services.addresses import create_address, update_address
from mailservers.store.access import RIGHTS
from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.transaction import EVERYBODY

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"
WORK = "Shared/anna@harbour.test/Work"
NOWHERE = "Shared/anna@harbour.test/Nope"

# Commands on a mailbox by its name, and the rights that each needs. "l" alone reveals that there is one.
BY_NAME = [
    ("SELECT {}", "r"),
    ("EXAMINE {}", "r"),
    ("STATUS {} (MESSAGES)", "r"),
    ("CREATE {}/Inner", "k"),
    ("DELETE {}", "x"),
    ("RENAME {} {}2", "x"),
    ("SUBSCRIBE {}", "l"),
    ("APPEND {} {{20+}}\r\nSubject: x\r\n\r\nbody\r\n", "i"),
    ("COPY 1 {}", "i"),
    ("UID COPY 1 {}", "i"),
    ("MOVE 1 {}", "i"),
    ("REPLACE 1 {} {{20+}}\r\nSubject: x\r\n\r\nbody\r\n", "i"),
    ('APPEND INBOX CATENATE (URL "/{}/;UID=1")', "r"),
    ("GETACL {}", "a"),
    ("SETACL {} anyone l", "a"),
    ("DELETEACL {} anyone", "a"),
    ("LISTRIGHTS {} anyone", "a"),
    ("GETMETADATA {} /shared/comment", "l"),
    ('SETMETADATA {} (/shared/comment "x")', "l"),
]
# Commands on the selected mailbox.
SELECTED = [
    (r"STORE 1 +FLAGS (\Seen)", "s"),
    (r"STORE 1 +FLAGS (\Deleted)", "t"),
    (r"STORE 1 FLAGS ($Word)", "w"),
    (r"UID STORE 1 -FLAGS (\Flagged)", "w"),
    ("EXPUNGE", "e"),
    ("UID EXPUNGE 1", "e"),
    ("MOVE 1 INBOX", "t"),
    ("MOVE 1 INBOX", "e"),
    ("REPLACE 1 INBOX {20+}\r\nSubject: x\r\n\r\nbody\r\n", "t"),
    ("UID REPLACE 1 INBOX {20+}\r\nSubject: x\r\n\r\nbody\r\n", "e"),
]


@pytest.fixture
async def both(connect, anna, ben):
    """Anna with a mailbox Work of three messages, and Ben, who has his own INBOX selected with one."""
    one, two = await connect(anna), await connect(ben)
    await one.ok("CREATE Work")
    for _ in range(3):
        await one.append("Work", MESSAGE)
    await two.append("INBOX", MESSAGE)
    await two.ok("SELECT INBOX")
    return one, two


async def grant(client, rights: str, who: str = "ben@harbour.test") -> None:
    await client.ok(f'SETACL Work {who} "{rights}"')


def without(*missing: str) -> str:
    return "".join(right for right in RIGHTS if right not in missing)


@pytest.mark.parametrize(("command", "right"), BY_NAME)
async def test_a_mailbox_by_its_name(both, command, right):
    one, two = both
    # Nothing is said of a mailbox on which one has no right, or which one may not list, that is not said of none.
    mine, nowhere = command.format(WORK, WORK), command.format(NOWHERE, NOWHERE)
    if "1 {}" not in command:
        await two.ok("UNSELECT")
    hidden = (await two.command(mine))[-1]
    assert hidden.startswith(b"NO [")
    assert hidden == (await two.command(nowhere))[-1].replace(b"Nope", b"Work")
    await grant(one, without("l", right))
    assert await two.command(mine) == [hidden]
    if right != "l" and "URL" not in command:
        await grant(one, without(right))
        assert await two.command(mine) == [b"NO [NOPERM] The access control list of the mailbox does not allow this"]
    elif "URL" in command:
        await grant(one, without(right))
        assert await two.command(mine) == [hidden]
    await grant(one, without())
    assert (await two.command(mine))[-1].startswith(b"NO [NOPERM] No mailbox" if "RENAME" in command else b"OK")


async def test_myrights(both):
    one, two = both
    for right in "lrikxa":
        await grant(one, right)
        assert b" " + right.encode() in (await two.ok(f"MYRIGHTS {WORK}"))[0]
    for right in ("", "s", "wte"):
        await grant(one, right)
        assert await two.command(f"MYRIGHTS {WORK}") == await two.command(f"MYRIGHTS {NOWHERE}")


@pytest.mark.parametrize(("command", "right"), SELECTED)
async def test_the_selected_mailbox(both, command, right):
    one, two = both
    await grant(one, without(right))
    await two.ok(f"SELECT {WORK}")
    assert await two.command(command) == [b"NO [NOPERM] The access control list of the mailbox does not allow this"]
    await grant(one, without())
    assert (await two.command(command))[-1].startswith(b"OK")


async def test_close_without_e(both):
    one, two = both
    await grant(one, "lrt")
    await two.ok(f"SELECT {WORK}")
    await two.ok(r"STORE 1 +FLAGS (\Deleted)")
    await two.ok("CLOSE")
    assert (await one.ok("STATUS Work (MESSAGES)"))[0] == b"* STATUS Work (MESSAGES 3)"


# ---------------------------------------------------------------- while it is selected


async def test_rights_change(both):
    one, two = both
    await grant(one, "lrswite")
    await two.ok(f"SELECT {WORK}")
    await grant(one, "lrs")
    lines = await two.command(r"STORE 1 +FLAGS (\Flagged)")
    assert lines == [
        rb"* OK [PERMANENTFLAGS (\Seen)] Your rights were changed",
        b"NO [NOPERM] The access control list of the mailbox does not allow this",
    ]
    await grant(one, "lr")
    assert (await two.ok("NOOP"))[:-1] == [
        b"* OK [PERMANENTFLAGS ()] Your rights were changed",
        b"* OK [READ-ONLY] Your rights were changed",
    ]
    await grant(one, "lrt")
    two.send("i IDLE\r\n")
    await two.until(rb"\* OK \[READ-WRITE\]")
    await two.until(rb"\+ ")
    await grant(one, "r")  # it may still be read
    await two.until(rb"\* OK \[READ-ONLY\]")
    two.send("DONE\r\n")
    await two.until(b"i OK")
    await two.ok("FETCH 1 BODY.PEEK[]")


@pytest.mark.parametrize("idles", [False, True])
async def test_the_right_to_read_is_withdrawn(both, idles):
    one, two = both
    await grant(one, "lr")
    await two.ok(f"SELECT {WORK}")
    if idles:
        two.send("i IDLE\r\n")
        await two.until(rb"\+ ")
    await grant(one, "l")
    await two.until(rb"\* BYE \[NOPERM\] Your access to the selected mailbox was withdrawn")
    assert two.closed and EVERYBODY not in hub._owners


async def test_leaving_a_group(both, anna, ben):
    one, two = both
    group = await store.call(create_address, "team@harbour.test", ["ben@harbour.test"], actor="test")
    await grant(one, "lr", "team@harbour.test")
    await two.ok(f"SELECT {WORK}")
    await store.call(update_address, group, ["anna@harbour.test"], actor="test")
    await two.until(rb"\* BYE \[NOPERM\]")


async def test_another_process_withdraws_it(both, ben):
    """No hint reaches this process: it notices that another connection has written."""
    one, two = both
    await grant(one, "lr")
    await two.ok(f"SELECT {WORK}")
    await hub._look()
    await two.ok("NOOP")
    from asgiref.sync import sync_to_async

    from mailservers.models import AclEntry

    await sync_to_async(AclEntry.objects.filter(identifier="ben@harbour.test").delete)()
    await hub._look()
    await two.until(rb"\* BYE \[NOPERM\]")


# ---------------------------------------------------------------- NOTIFY and ESEARCH


async def test_notify(both):
    one, two = both
    await two.ok("NOTIFY SET (subtree Shared (MessageNew MessageExpunge FlagChange MailboxName))")
    await grant(one, "lr")
    assert await two.until(rb"\* LIST") == b'* LIST (\\HasNoChildren) "/" ' + WORK.encode() + b"\r\n"
    await one.append("Work", MESSAGE)
    assert b"(MESSAGES 4 UIDNEXT 5 UIDVALIDITY" in await two.until(rb"\* STATUS")
    await grant(one, "l")
    assert await two.until(rb"\* LIST") == b'* LIST (\\NoAccess) "/" ' + WORK.encode() + b"\r\n"
    await one.append("Work", MESSAGE)
    assert await two.ok("NOOP") == [b"OK NOOP completed"]
    await two.dialog(
        f"""
        C: a NOTIFY SET STATUS (mailboxes {WORK} (MessageNew MessageExpunge))
        S: * LIST (\\NoAccess) "/" {WORK}
        S: a OK NOTIFY completed
        """
    )
    await two.ok("NOTIFY SET (subtree Shared (MessageNew MessageExpunge MailboxName))")
    await grant(one, "")
    assert await two.until(rb"\* LIST") == b'* LIST (\\NonExistent) "/" ' + WORK.encode() + b"\r\n"
    await two.ok("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName))")
    await grant(one, "lr")
    await one.append("Work", MESSAGE)
    assert await two.ok("NOOP") == [b"OK NOOP completed"]


async def test_metadata_changes(both):
    one, two = both
    await grant(one, "lr")
    await two.ok("ENABLE METADATA")
    await one.ok('SETMETADATA Work (/shared/comment "x" /private/comment "y")')
    assert await two.ok("NOOP") == [b"* METADATA " + WORK.encode() + b" /shared/comment", b"OK NOOP completed"]


async def test_esearch(both):
    one, two = both
    command = f"ESEARCH IN (subtree Shared mailboxes (INBOX {WORK})) RETURN (COUNT) ALL"
    assert len(await two.ok(command)) == 2
    await grant(one, "l")
    assert len(await two.ok(command)) == 2
    await grant(one, "r")
    lines = await two.ok(command)
    assert [line.rpartition(b" UID ")[2] for line in lines[:-1]] == [b"COUNT 1", b"COUNT 3"]
    assert WORK.encode() in lines[1]
    await grant(one, "lr")
    assert len(await two.ok("ESEARCH IN (personal) RETURN (COUNT) ALL")) == 2
    await two.ok(f"SUBSCRIBE {WORK}")
    assert len(await two.ok("ESEARCH IN (subscribed) RETURN (COUNT) TEXT body")) == 3
