"""NOTIFY, after the examples and the rules of RFC 5465."""

import asyncio
import re

import pytest

from mailservers.imap import notifying
from mailservers.store.errors import StoreUnavailable

pytestmark = pytest.mark.asyncio

MESSAGE = b"From: alice@example.org\r\nTo: bob@example.org\r\nSubject: Re: good morning\r\n\r\nHello\r\n"
SELECTED = "(selected (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge))"


@pytest.fixture
async def pair(connect, anna):
    """A client that will listen, and another that acts. There are mailboxes below Lists, each with a message."""
    one, two = await connect(anna), await connect(anna)
    await two.ok("CREATE Lists/Lemonade")
    await two.ok("CREATE Lists/Im2000")
    await two.append("Lists/Lemonade", MESSAGE)
    await two.append("INBOX", MESSAGE)
    return one, two


def counts(line: bytes) -> dict[str, int]:
    items = re.search(rb"\* STATUS \S+ \((.*)\)", line)[1].decode().split()
    return {name: int(value) for name, value in zip(items[::2], items[1::2], strict=True)}


async def test_the_example_of_section_3(pair):
    one, two = pair
    lines = await one.ok(f"notify set status {SELECTED} (subtree Lists (MessageNew MessageExpunge))")
    status = {line.split()[2]: counts(line) for line in lines[:-1]}
    assert set(status) == {b"Lists", b"Lists/Lemonade", b"Lists/Im2000"}
    assert set(status[b"Lists/Lemonade"]) == {"UIDVALIDITY", "UIDNEXT", "MESSAGES"}
    assert status[b"Lists/Lemonade"]["UIDNEXT"] == 2 and status[b"Lists/Im2000"]["MESSAGES"] == 0
    await one.ok("SELECT INBOX")
    await two.append("Lists/Lemonade", MESSAGE)
    told = counts(await one.until(rb"\* STATUS Lists/Lemonade "))
    assert told == {"UIDVALIDITY": status[b"Lists/Lemonade"]["UIDVALIDITY"], "UIDNEXT": 3, "MESSAGES": 2}
    await two.append("INBOX", MESSAGE)
    await one.until(rb"\* 2 EXISTS")
    header = b"From: alice@example.org\r\nTo: bob@example.org\r\nSubject: Re: good morning\r\n\r\n"
    got = await one.until(rb"\)")
    assert got.endswith(
        b"* 2 FETCH (UID 2 BODY[HEADER.FIELDS (from to subject)] {%d}\r\n%b)\r\n" % (len(header), header)
    )
    await two.ok("SELECT INBOX")
    await two.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")  # FlagChange was not asked for
    await two.ok("EXPUNGE")
    assert await one.until(rb"\* 1 EXPUNGE") == b"* 1 EXPUNGE\r\n"
    assert (await one.ok("UID FETCH 2 FLAGS"))[0] == rb"* 1 FETCH (UID 2 FLAGS (\Recent))"  # \Seen is not set


async def test_flag_changes(pair):
    one, two = pair
    await one.ok("SELECT INBOX")
    await one.ok(
        "NOTIFY SET (selected (MessageNew MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge FlagChange))"
    )
    await two.ok("SELECT INBOX")
    await two.ok("STORE 1 +FLAGS ($Junk)")
    assert await one.until(rb"\* 1 FETCH") == b"* 1 FETCH (UID 1 FLAGS ($Junk \\Recent))\r\n"
    await two.ok("SELECT Lists/Lemonade")
    await two.ok(r"STORE 1 +FLAGS (\Seen)")
    told = counts(await one.until(rb"\* STATUS Lists/Lemonade "))
    assert set(told) == {"UIDVALIDITY", "UNSEEN"} and told["UNSEEN"] == 0
    await one.ok("ENABLE CONDSTORE")
    await two.ok(r"STORE 1 -FLAGS (\Seen)")
    told = counts(await one.until(rb"\* STATUS Lists/Lemonade "))
    assert set(told) == {"UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ"} and told["UNSEEN"] == 1
    await two.ok(r"STORE 1 +FLAGS (\Deleted)")
    await one.until(rb"\* STATUS Lists/Lemonade ")
    await two.ok("EXPUNGE")
    told = counts(await one.until(rb"\* STATUS Lists/Lemonade "))
    assert told["MESSAGES"] == 0 and told["UIDNEXT"] == 2 and "HIGHESTMODSEQ" in told


async def test_selected_delayed_keeps_message_numbers(pair):
    one, two = pair
    await two.append("INBOX", MESSAGE)
    await one.ok("SELECT INBOX")
    await one.ok("NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange))")
    await two.ok("SELECT INBOX")
    await two.ok(r"STORE 1 +FLAGS (\Deleted)")
    await one.until(rb"\* 1 FETCH \(UID 1 FLAGS \(\\Deleted")
    await two.ok("EXPUNGE")
    await two.append("INBOX", MESSAGE)
    assert await one.until(rb"\* \d RECENT") == b"* 3 EXISTS\r\n* 3 RECENT\r\n"
    assert (await one.ok("FETCH 2 UID"))[0] == b"* 2 FETCH (UID 2)"
    assert await one.ok("NOOP") == [b"* 1 EXPUNGE", b"OK NOOP completed"]
    # IDLE lets it through, too.
    await two.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    one.send(b"i IDLE\r\n")
    await one.until(rb"\+ idling")
    await two.ok("EXPUNGE")
    await one.until(rb"\* 1 EXPUNGE")
    one.send(b"DONE\r\n")
    await one.until(b"i OK")


async def test_selected_tells_expunges_after_a_command_that_may_not(pair):
    one, two = pair
    await one.ok("SELECT INBOX")
    await one.ok("NOTIFY SET (selected (MessageNew MessageExpunge))")
    await two.ok("SELECT INBOX")
    await two.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    await one.ok("NOOP")
    one.dialogue.session.selected.view.mark_gone([1])
    one.send(b"a FETCH 1 UID\r\n")
    assert await one.rest() == b"* 1 FETCH (UID 1)\r\na OK FETCH completed\r\n* 1 EXPUNGE\r\n"
    one.dialogue.session.selected.view.add([1])  # back to the truth


async def test_none_is_silence_and_what_piled_up_is_told_later(pair):
    one, two = pair
    await one.ok("SELECT INBOX")
    assert await one.ok("NOTIFY NONE") == [b"OK NOTIFY completed"]
    await two.append("INBOX", MESSAGE)
    await two.append("INBOX", MESSAGE)
    await two.ok("SELECT INBOX")
    await two.ok(r"STORE 2 +FLAGS (\Flagged)")
    await two.ok(r"STORE 1 +FLAGS (\Deleted)")
    assert await one.ok("NOOP") == [b"OK NOOP completed"]
    assert await one.ok("FETCH 1:* UID") == [b"* 1 FETCH (UID 1)", b"OK FETCH completed"]
    # Its own EXPUNGE is answered all the same.
    assert await one.ok("EXPUNGE") == [b"* 1 EXPUNGE", b"OK EXPUNGE completed"]
    assert await one.ok("NOTIFY SET (selected (MessageNew MessageExpunge))") == [
        b"* 2 EXISTS",
        b"* 2 RECENT",
        b"OK NOTIFY completed",
    ]
    await two.ok(r"UID STORE 3 +FLAGS (\Seen)")
    assert await one.ok("NOOP") == [b"OK NOOP completed"]
    assert await one.ok("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))") == [
        rb"* 2 FETCH (UID 3 FLAGS (\Seen \Recent))",
        b"OK NOTIFY completed",
    ]
    assert await one.ok("NOTIFY SET (personal NONE)") == [b"OK NOTIFY completed"]
    await two.ok(r"UID STORE 3 -FLAGS (\Seen)")
    assert await one.ok("NOOP") == [b"OK NOOP completed"]


async def test_mailbox_names(pair):
    one, two = pair
    await one.ok("NOTIFY SET (personal (MailboxName))")
    await two.ok("CREATE NewMailbox")
    assert await one.until(rb"\* LIST") == b'* LIST (\\HasNoChildren) "/" NewMailbox\r\n'
    await two.ok("CREATE NewMailbox/Child")
    assert await one.until(rb"\* LIST.*/Child") == (
        b'* LIST (\\HasChildren) "/" NewMailbox\r\n* LIST (\\HasNoChildren) "/" NewMailbox/Child\r\n'
    )
    await two.ok("RENAME NewMailbox Renamed")
    assert await one.until(rb"\* LIST") == b'* LIST (\\HasChildren) "/" Renamed ("OLDNAME" (NewMailbox))\r\n'
    await two.ok("DELETE Renamed/Child")
    assert await one.until(rb"\* LIST") == b'* LIST (\\NonExistent) "/" Renamed/Child\r\n'
    assert await one.until(rb"\* LIST") == b'* LIST (\\HasNoChildren) "/" Renamed\r\n'
    await two.ok("DELETE Renamed")
    assert await one.until(rb"\* LIST") == b'* LIST (\\NonExistent) "/" Renamed\r\n'
    await two.ok("SUBSCRIBE Lists")  # another event
    await two.append("Lists", MESSAGE)
    assert await one.ok("NOOP") == [b"OK NOOP completed"]


async def test_subscriptions(pair):
    one, two = pair
    await one.ok("NOTIFY SET (mailboxes (Lists/Lemonade Nowhere) (SubscriptionChange))")
    await two.ok("SUBSCRIBE Lists/Im2000")
    await two.ok("SUBSCRIBE Lists/Lemonade")
    assert await one.until(rb"\* LIST") == b'* LIST (\\Subscribed \\HasNoChildren) "/" Lists/Lemonade\r\n'
    await two.ok("UNSUBSCRIBE Lists/Lemonade")
    assert await one.until(rb"\* LIST") == b'* LIST (\\HasNoChildren) "/" Lists/Lemonade\r\n'
    # The list of the subscribed is looked at anew (section 6.4).
    await one.ok("NOTIFY SET (subscribed (MessageNew MessageExpunge SubscriptionChange))")
    await two.append("Lists/Lemonade", MESSAGE)
    assert await one.ok("NOOP") == [b"OK NOOP completed"]
    await two.ok("SUBSCRIBE Lists/Lemonade")
    assert await one.until(rb"\* LIST") == b'* LIST (\\Subscribed \\HasNoChildren) "/" Lists/Lemonade\r\n'
    await two.append("Lists/Lemonade", MESSAGE)
    assert counts(await one.until(rb"\* STATUS Lists/Lemonade"))["MESSAGES"] == 3


async def test_own_changes_are_no_news(pair):
    one, two = pair
    await one.ok("SELECT INBOX")
    await one.ok(
        "NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange))"
        " (inboxes (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))"
    )
    for command in ("CREATE Mine/Own", "RENAME Mine Ours", "SUBSCRIBE Ours", "UNSUBSCRIBE Ours", "DELETE Ours/Own"):
        assert await one.ok(command) and await one.ok("NOOP") == [b"OK NOOP completed"]
    assert len(await one.ok(b"APPEND Sent {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))) == 1
    assert len(await one.ok("COPY 1 Sent")) == 1
    assert await one.ok("NOOP") == [b"OK NOOP completed"]
    # In the selected mailbox the message is told, but not fetched.
    lines = await one.ok(b"APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
    assert lines[:-1] == [b"* 2 EXISTS", b"* 2 RECENT"]
    # Somebody else's change at the same time is not lost.
    await two.append("Sent", MESSAGE)
    assert counts(await one.until(rb"\* STATUS Sent"))["MESSAGES"] == 3
    await two.append("INBOX", MESSAGE)
    assert await one.until(rb"\* 3 FETCH") == (b"* 3 EXISTS\r\n* 3 RECENT\r\n* 3 FETCH (UID 3 FLAGS (\\Recent))\r\n")


async def test_qresync_and_uidonly(pair):
    one, two = pair
    await one.ok("ENABLE QRESYNC UIDONLY")
    await one.ok("SELECT INBOX")
    await one.ok(
        "NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge)) (mailboxes Sent (MessageNew MessageExpunge))"
    )
    await two.append("INBOX", MESSAGE)
    await one.until(rb"\* 2 UIDFETCH \(FLAGS \(\\Recent\)\)")
    await two.ok("SELECT INBOX")
    await two.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    await two.ok("EXPUNGE")
    assert await one.until(rb"\* VANISHED") == b"* VANISHED 1\r\n"
    await two.append("Sent", MESSAGE)
    assert "HIGHESTMODSEQ" in counts(await one.until(rb"\* STATUS Sent"))


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("", b"BAD "),
        ("SET", b"BAD "),
        ("SET STATUS", b"BAD "),
        ("SET ()", b"BAD "),
        ("NONE now", b"BAD "),
        ("SET (personal)", b"BAD "),
        ("SET (everything (MailboxName))", b"BAD "),
        ("SET (personal (MessageNew))", b"BAD MessageNew and MessageExpunge go together"),
        ("SET (personal (MessageExpunge))", b"BAD "),
        ("SET (personal (FlagChange))", b"BAD "),
        ("SET (personal (MessageNew (UID) MessageExpunge))", b"BAD "),
        ("SET (selected (MailboxName))", b"BAD "),
        ("SET (selected NONE) (selected-delayed NONE)", b"BAD "),
        ("SET (mailboxes (MailboxName))", b"BAD "),
        ("SET (subtree () (MailboxName))", b"BAD "),
        ("SET (personal NONE)(inboxes NONE)", b"BAD "),
        (
            "SET (personal (MessageNew MessageExpunge AnnotationChange))",
            b"NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange "
            b"MailboxMetadataChange ServerMetadataChange)] ",
        ),
        ("SET (personal (VacationStart))", b"NO [BADEVENT (MessageNew "),
        (f"SET (mailboxes ({' '.join(f'm{n}' for n in range(1001))}) (MailboxName))", b"NO [NOTIFICATIONOVERFLOW] "),
    ],
)
async def test_refusals(pair, arguments, answer):
    lines = await pair[0].command(f"NOTIFY {arguments}".rstrip())
    assert lines[-1].startswith(answer), lines
    # Nothing has changed: the session is told as one that never gave NOTIFY.
    await pair[0].ok("SELECT INBOX")
    await pair[1].append("INBOX", MESSAGE)
    assert (await pair[0].ok("NOOP"))[0] == b"* 2 EXISTS"


async def test_an_overflow_is_told_and_ends_it(pair, monkeypatch):
    one, two = pair
    await one.ok("NOTIFY SET (personal (MailboxName))")

    def broken(owner_id: int):
        raise StoreUnavailable("the disk is on fire")

    monkeypatch.setattr(notifying, "all_access", broken)
    await two.ok("SUBSCRIBE Lists")
    assert await one.until(rb"\* OK") == b"* OK [NOTIFICATIONOVERFLOW] The mail store is not available\r\n"
    monkeypatch.undo()
    await two.ok("CREATE Other")
    assert await one.ok("NOOP") == [b"OK NOOP completed"]


async def test_unauthenticate_and_the_end_of_a_session(pair):
    from mailservers.store.changes import hub

    one, two = pair
    await one.ok("NOTIFY SET (personal (MailboxName))")
    assert hub._owners
    await one.ok("UNAUTHENTICATE")
    assert not hub._owners
    await two.ok("NOTIFY SET (personal (MailboxName))")
    await two.command("LOGOUT")
    assert not hub._owners


@pytest.mark.parametrize(
    "command", ["SELECT INBOX", "NOTIFY SET (personal (MailboxMetadataChange))", "ENABLE METADATA"]
)
async def test_a_client_that_goes_during_the_command(pair, command):
    """It leaves no subscription behind, whatever the command was about to listen to."""
    from mailservers.store.changes import hub

    one, _ = pair
    one.send(f"a {command}\r\n")
    await asyncio.sleep(0)  # the command has begun
    assert one.dialogue._task is not None
    one.closed = True
    one.dialogue.lost()
    await one.rest()
    assert not hub._owners and not hub._mailboxes


async def test_other_users_hear_nothing(connect, pair, ben):
    other = await connect(ben)
    await other.ok("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName))")
    await pair[1].append("INBOX", MESSAGE)
    await pair[1].ok("CREATE Secret")
    assert await other.ok("NOOP") == [b"OK NOOP completed"]
