"""Several sessions on one account: whoever else should see it, sees it."""

import asyncio
import random
import threading

import pytest

from mailservers.formats.imap.sequences import parse_sequence_set
from mailservers.imap import mailboxes, notifying
from mailservers.imap.tracker import View

pytestmark = pytest.mark.asyncio

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
async def pair(connect, anna):
    """Two sessions of Anna's in INBOX, which has three messages."""
    one, two = await connect(anna), await connect(anna)
    for _ in range(3):
        await one.append("INBOX", MESSAGE)
    await one.ok("SELECT INBOX")
    await two.ok("SELECT INBOX")
    return one, two


async def test_new_messages_flags_and_expunges_are_seen(pair):
    one, two = pair
    await one.append("INBOX", MESSAGE)
    assert await two.ok("NOOP") == [b"* 4 EXISTS", b"* 1 RECENT", b"OK NOOP completed"]
    await one.ok(r"STORE 2 +FLAGS (\Flagged $Work)")
    assert await two.ok("NOOP") == [
        rb"* FLAGS (\Seen \Answered \Flagged \Deleted \Draft $Forwarded $MDNSent $Junk $NotJunk $Phishing $Work)",
        rb"* 2 FETCH (UID 2 FLAGS (\Flagged $Work))",
        b"OK NOOP completed",
    ]
    await one.ok(r"STORE 1,3 +FLAGS.SILENT (\Deleted)")
    await one.ok("EXPUNGE")
    assert await two.ok("NOOP") == [b"* 3 EXPUNGE", b"* 1 EXPUNGE", b"OK NOOP completed"]
    assert await two.ok("NOOP") == [b"OK NOOP completed"]


async def test_expunge_waits_for_a_command_that_lets_it_through(pair):
    one, two = pair
    await one.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    await one.ok("EXPUNGE")
    await one.append("INBOX", MESSAGE)
    lines = await two.ok("FETCH 1:3 (UID)")
    assert lines == [
        b"* 2 FETCH (UID 2)",
        b"* 3 FETCH (UID 3)",
        b"* 4 EXISTS",
        b"* 1 RECENT",
        b"OK [EXPUNGEISSUED] Some of the messages no longer exist",
    ]
    assert (await two.ok("SEARCH ALL"))[0] == b"* SEARCH 2 3 4"
    assert (await two.command(r"STORE 1 +FLAGS (\Seen)"))[-1].startswith(b"NO [EXPUNGEISSUED]")
    assert (await two.ok(r"STORE 1:2 +FLAGS.SILENT (\Seen)"))[-1] == b"OK STORE completed"
    assert await two.ok("UID FETCH 4 (UID)") == [
        b"* 4 FETCH (UID 4)",
        b"* 1 EXPUNGE",
        b"OK FETCH completed",
    ]


async def test_own_silent_changes_are_not_echoed_but_others_are(pair):
    one, two = pair
    await two.ok(r"STORE 1 +FLAGS.SILENT (\Flagged)")
    assert await one.ok("NOOP") == [rb"* 1 FETCH (UID 1 FLAGS (\Flagged \Recent))", b"OK NOOP completed"]
    assert await one.ok(r"STORE 2 +FLAGS.SILENT (\Seen)") == [b"OK STORE completed"]
    assert await one.ok("NOOP") == [b"OK NOOP completed"]
    assert await two.ok("NOOP") == [rb"* 2 FETCH (UID 2 FLAGS (\Seen))", b"OK NOOP completed"]
    # Both change one message: whoever was silent learns of the other's flag.
    await two.ok(r"STORE 3 +FLAGS.SILENT (\Answered)")
    lines = await one.ok(r"STORE 3 +FLAGS.SILENT (\Draft)")
    assert lines == [rb"* 3 FETCH (UID 3 FLAGS (\Answered \Draft \Recent))", b"OK STORE completed"]


async def test_idle_hears_within_a_second(pair):
    one, two = pair
    two.send(b"i IDLE\r\n")
    await two.until(rb"\+ idling")
    assert two.dialogue._task is None or await two.rest() == b""  # no task while nothing happens
    started = asyncio.get_running_loop().time()
    await one.append("INBOX", MESSAGE)
    assert await two.until(rb"\* 1 RECENT") == b"* 4 EXISTS\r\n* 1 RECENT\r\n"
    await one.ok(r"STORE 4 +FLAGS (\Deleted)")
    await two.until(rb"\* 4 FETCH \(UID 4 FLAGS \(\\Deleted \\Recent\)\)")
    await one.ok("EXPUNGE")
    await two.until(rb"\* 4 EXPUNGE")
    assert asyncio.get_running_loop().time() - started < 20  # a second on a quiet machine
    two.send(b"DONE\r\n")
    assert await two.until(b"i OK") == b"i OK IDLE completed\r\n"


async def test_move_between_sessions(connect, pair, anna):
    one, two = pair
    await one.ok("CREATE Work")
    three = await connect(anna)
    await three.ok("SELECT Work")
    await one.ok("UID MOVE 1:2 Work")
    assert await two.ok("NOOP") == [b"* 2 EXPUNGE", b"* 1 EXPUNGE", b"OK NOOP completed"]
    assert await three.ok("NOOP") == [b"* 2 EXISTS", b"* 2 RECENT", b"OK NOOP completed"]


async def test_a_deleted_mailbox_ends_the_session(connect, anna):
    one, two = await connect(anna), await connect(anna)
    await one.ok("CREATE Work")
    await two.ok("SELECT Work")
    await one.ok("DELETE Work")
    two.send(b"a NOOP\r\n")
    assert (await two.rest()).startswith(b"* BYE ")
    assert two.closed


async def test_condstore_session_is_told_mod_sequences(connect, pair):
    one, two = pair
    await two.ok("ENABLE CONDSTORE")
    await one.ok(r"STORE 1 +FLAGS (\Seen)")
    assert (await two.ok("NOOP"))[0] == rb"* 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (5))"


async def test_other_users_see_nothing(connect, pair, ben):
    other = await connect(ben)
    assert b"* 0 EXISTS" in await other.ok("SELECT INBOX")
    await pair[0].append("INBOX", MESSAGE)
    assert await other.ok("NOOP") == [b"OK NOOP completed"]


async def test_recent_is_told_to_one_session(connect, anna):
    one = await connect(anna)
    await one.append("INBOX", MESSAGE)
    assert b"* 1 RECENT" in await one.ok("EXAMINE INBOX")
    assert b"* 1 RECENT" in await one.ok("SELECT INBOX")
    two = await connect(anna)
    assert b"* 0 RECENT" in await two.ok("SELECT INBOX")
    await two.ok("UNSELECT")
    await one.append("INBOX", MESSAGE)
    await one.ok("CLOSE")
    assert b"* 0 RECENT" in await two.ok("SELECT INBOX")


@pytest.mark.parametrize("seed", range(3))
async def test_stale_view_plus_changes_equals_a_fresh_select(connect, anna, seed):
    """Two sessions act at random; what each was told adds up to what a third one finds."""
    choose = random.Random(seed)
    clients = [await connect(anna) for _ in range(2)]
    for _ in range(4):
        await clients[0].append("INBOX", MESSAGE)
    views = []
    for client in clients:
        await client.ok("SELECT INBOX")
        views.append({})
        take_in(views[-1], await client.ok("FETCH 1:* (UID FLAGS)"), [0])
    sizes = [[len(view)] for view in views]
    for _ in range(40):
        index = choose.randrange(2)
        client, view, size = clients[index], views[index], sizes[index]
        number = choose.randint(1, max(1, size[0]))
        command = choose.choice(
            (
                "NOOP", "EXPUNGE", "UID SEARCH ALL",
                rf"STORE {number} +FLAGS (\Flagged)", rf"STORE {number} -FLAGS (\Flagged $Word)",
                rf"STORE {number} FLAGS (\Deleted $Word)", f"FETCH {number} (UID FLAGS)",
                f"COPY {number} INBOX", f"MOVE {number} INBOX", b"APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE),
            )
        )  # fmt: skip
        take_in(view, await client.command(command), size)
    fresh: dict[int, tuple] = {}
    third = await connect(anna)
    await third.ok("EXAMINE INBOX")
    lines = await third.command("FETCH 1:* (UID FLAGS)")
    take_in(fresh, lines, [0])
    for client, view, size in zip(clients, views, sizes):
        take_in(view, await client.ok("NOOP"), size)
        take_in(view, await client.command("FETCH 1:* (UID FLAGS)") if size[0] else [], size)
        assert {n: uid for n, (uid, _) in view.items()} == {n: uid for n, (uid, _) in fresh.items()}
        for number, (_, flags) in view.items():
            assert flags - {b"\\Recent"} == fresh[number][1] - {b"\\Recent"}


def take_in(view: dict, lines: list[bytes], size: list[int]) -> None:
    """A client's bookkeeping: number -> (uid, flags); ``size`` is the number of messages."""
    for line in lines:
        words = line.split()
        if len(words) < 3 or not words[1].isdigit():
            continue
        number = int(words[1])
        if words[2] == b"EXPUNGE":
            assert 1 <= number <= size[0]
            size[0] -= 1
            for later in range(number, size[0] + 2):
                view.pop(later, None)
                if later + 1 in view:
                    view[later] = view[later + 1]
        elif words[2] == b"EXISTS":
            assert number >= size[0]
            size[0] = number
        elif words[2] == b"FETCH":
            uid = (
                int(line.partition(b"UID ")[2].split()[0].strip(b")")) if b"UID " in line else view.get(number, (0,))[0]
            )
            flags = frozenset(line.partition(b"FLAGS (")[2].partition(b")")[0].split())
            size[0] = max(size[0], number)
            view[number] = (uid, flags)


# ------------------------------------------------------------------ the tracker alone


@pytest.mark.parametrize(
    ("uids", "text", "by_number", "by_uid"),
    [
        ([2, 5, 9], b"1", [2], []),
        ([2, 5, 9], b"*", [9], [9]),
        ([2, 5, 9], b"2:*", [5, 9], [2, 5, 9]),
        ([2, 5, 9], b"1:3", [2, 5, 9], [2]),
        ([2, 5, 9], b"3,1", [2, 9], []),
        ([2, 5, 9], b"10:*", None, [9]),
        ([2, 5, 9], b"4", None, []),
        ([], b"1", None, []),
        ([], b"*", None, []),
    ],
)
async def test_numbers_and_uids(uids, text, by_number, by_uid):
    from array import array

    from mailservers.formats.imap.lexer import ImapSyntaxError

    view = View(array("I", uids))
    assert list(view.by_uid(parse_sequence_set(text))) == by_uid
    if by_number is None:
        with pytest.raises(ImapSyntaxError):
            view.by_number(parse_sequence_set(text))
    else:
        assert list(view.by_number(parse_sequence_set(text))) == by_number


async def test_expunging_from_the_view():
    from array import array

    view = View(array("I", [2, 5, 9, 11]))
    view.mark_gone([5, 7, 11])
    assert len(view) == 4 and view.number_of(5) == 2
    assert view.remove_gone() == [4, 2]
    assert list(view.uids) == [2, 9] and view.number_of(5) == 0
    assert view.remove_gone() == []


async def test_what_happens_while_select_reads_is_told_with_it(connect, anna, monkeypatch):
    one, two = await connect(anna), await connect(anna)
    has_read, may_go = threading.Event(), threading.Event()
    read = mailboxes._open

    def read_slowly(*args):
        opened = read(*args)
        has_read.set()
        assert may_go.wait(20)
        return opened

    monkeypatch.setattr(mailboxes, "_open", read_slowly)
    one.send("a SELECT INBOX\r\n")
    assert await asyncio.to_thread(has_read.wait, 20)
    await two.append("INBOX", b"Subject: x\r\n\r\nx\r\n")
    may_go.set()
    said = await one.until(rb"a OK")
    assert said.index(b"* 0 EXISTS") < said.index(b"* 1 EXISTS")


async def test_close_of_a_mailbox_that_was_deleted(connect, anna):
    """RFC 9051 section 6.4.1: CLOSE has no NO."""
    one, two = await connect(anna), await connect(anna)
    await one.ok("CREATE Work")
    await one.ok("SELECT Work")
    await two.ok("DELETE Work")
    one.dialogue.session.selected.hinted = 0  # the hint has not come yet
    assert await one.ok("CLOSE") == [b"OK CLOSE completed"]
    await one.dialog("C: a EXPUNGE\nS: a BAD No mailbox is selected")


@pytest.mark.parametrize("command", ["FETCH 1:* FLAGS", "UID STORE 1 +FLAGS ($Word)", "EXPUNGE", "SEARCH ALL", "IDLE"])
async def test_a_client_that_goes_during_a_command_is_no_error(pair, command, caplog):
    one, _ = pair
    one.send(f"a {command}\r\n")
    await asyncio.sleep(0)  # the command has begun
    assert one.dialogue._task is not None
    one.closed = True
    one.dialogue.lost()
    await one.rest()
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_client_that_goes_while_notify_fetches_is_no_error(pair, caplog, monkeypatch):
    one, two = pair
    await one.ok("NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge))")
    fetch = notifying.fetch_new

    async def fetch_for_the_gone(session, items, uids):
        one.closed = True
        one.dialogue.lost()
        await fetch(session, items, uids)

    monkeypatch.setattr(notifying, "fetch_new", fetch_for_the_gone)
    await two.append("INBOX", MESSAGE)
    await two.ok("NOOP")
    await one.rest()
    assert one.closed
    assert not [record for record in caplog.records if record.exc_info]
