"""The maildrop: its lock, what QUIT does, sizes, \\Seen, other clients, slow clients."""

import asyncio
from collections.abc import Callable

import pytest
import pytest_asyncio

from accounts.models import User
from mailservers.models import Flag
from mailservers.pop3 import maildrop, reading, session, sizes, transaction
from mailservers.pop3.lock import maildrop_locks
from mailservers.store.copying import move
from mailservers.store.engine import store
from mailservers.store.errors import StoreUnavailable
from mailservers.store.mailboxes import create_mailbox
from mailservers.store.queries import mailbox_by_name
from mailservers.store.removing import expunge
from tests.conftest import PASSWORD, mailbox_id
from tests.pop3.conftest import SEEN, WAIT_S, Client, left_in, put

Connect = Callable[..., Client]

# ---------------------------------------------------------------- the lock


async def test_one_session_at_a_time(connect: Connect, client: Client, inbox: User, ben: User) -> None:
    other = await connect()
    await other.ok("USER anna@harbour.test")
    assert await other.command(f"PASS {PASSWORD}") == b"-ERR [IN-USE] Maildrop is locked by another session\r\n"
    assert await other.command("STAT") == b"-ERR Sign in first\r\n"
    await connect(ben)  # his is another maildrop
    await client.ok("QUIT")
    await other.ok("USER anna@harbour.test")
    await other.ok(f"PASS {PASSWORD}")


@pytest.mark.parametrize(
    "end",
    [
        lambda client: client.vanish(),
        lambda client: client.session.finish(),
        lambda client: client.session.time_out(),
        lambda client: client.session.goodbye(),
        lambda client: client.send("XYZZ\r\n" * session.MAX_BAD_COMMANDS),
    ],
)
async def test_every_end_unlocks_and_deletes_nothing(
    connect: Connect, client: Client, inbox: User, end: Callable[[Client], None]
) -> None:
    await client.ok("DELE 1")
    end(client)
    await client.rest()
    again = await connect(inbox)
    assert await again.command("STAT") == b"+OK 3 165\r\n"
    assert await left_in(inbox) == {1: 0, 2: 0, 3: 0}


async def test_gone_while_signing_in(connect: Connect, inbox: User) -> None:
    client = await connect()
    client.send(f"USER anna@harbour.test\r\nPASS {PASSWORD}\r\n")
    client.vanish()
    await client.rest()
    assert await maildrop_locks.acquire(inbox.pk)
    maildrop_locks.release(inbox.pk)


async def test_a_maildrop_that_cannot_be_opened_is_not_locked(
    connect: Connect, inbox: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailable("the mail store is not available; please try again later")

    with monkeypatch.context() as patch:
        patch.setattr(maildrop, "uids", fail)
        client = await connect()
        await client.ok("USER anna@harbour.test")
        reply = await client.command(f"PASS {PASSWORD}")
    assert reply == b"-ERR [SYS/TEMP] The mail store is not available; please try again later\r\n"
    await client.ok("USER anna@harbour.test")
    await client.ok(f"PASS {PASSWORD}")


# ---------------------------------------------------------------- QUIT


async def test_quit_deletes_what_is_marked(client: Client, connect: Connect, inbox: User) -> None:
    await client.ok("DELE 1")
    await client.ok("DELE 3")
    assert sorted(await left_in(inbox)) == [1, 2, 3]
    assert await client.command("QUIT") == b"+OK Goodbye (2 messages deleted)\r\n"
    assert await left_in(inbox) == {2: 0}
    again = await connect(inbox)
    assert await again.command("STAT") == b"+OK 1 52\r\n"
    assert (await again.command("UIDL 1")).endswith(b".2\r\n")


async def test_rset_forgets_marks(client: Client, inbox: User) -> None:
    for command in ("DELE 1", "RSET", "DELE 2", "QUIT"):
        await client.ok(command)
    assert sorted(await left_in(inbox)) == [1, 3]


async def test_a_failed_commit(client: Client, inbox: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(maildrop, "expunge", fail)
    await client.ok("DELE 1")
    assert (await client.command("QUIT")).startswith(b"-ERR [SYS/TEMP] ")
    assert client.closed
    assert sorted(await left_in(inbox)) == [1, 2, 3]
    assert await maildrop_locks.acquire(inbox.pk)
    maildrop_locks.release(inbox.pk)


async def test_gone_during_the_commit(client: Client, inbox: User) -> None:
    """QUIT was reached: the client may have left without waiting for the answer."""
    client.send("DELE 2\r\nQUIT\r\n")
    client.vanish()
    await client.rest()
    assert sorted(await left_in(inbox)) == [1, 3]


async def test_no_update_state_before_signing_in(connect: Connect, inbox: User) -> None:
    client = await connect()
    client.send("DELE 1\r\nQUIT\r\n")
    assert await client.rest() == b"-ERR Sign in first\r\n+OK Goodbye\r\n"
    assert sorted(await left_in(inbox)) == [1, 2, 3]


# ---------------------------------------------------------------- \\Seen


async def test_retr_marks_seen_at_quit(client: Client, inbox: User) -> None:
    await client.ok("RETR 1")
    await client.ok("RETR 2")
    await client.ok("TOP 3 1000")
    await client.ok("DELE 2")
    assert set((await left_in(inbox)).values()) == {0}
    await client.ok("QUIT")
    assert await left_in(inbox) == {1: SEEN, 3: 0}


async def test_retr_marks_seen_when_the_connection_breaks(client: Client, inbox: User) -> None:
    await client.ok("RETR 1")
    await client.ok("RETR 2")
    await client.ok("DELE 2")
    client.vanish()
    await client.rest()
    assert await left_in(inbox) == {1: SEEN, 2: SEEN, 3: 0}


async def test_seen_messages_cost_no_write(connect: Connect, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(anna, b"Subject: x\r\n\r\n", SEEN)
    client = await connect(anna)
    await client.ok("RETR 1")

    async def call(*_: object, **__: object) -> None:
        raise AssertionError("written")

    monkeypatch.setattr(store, "call", call)
    await client.ok("QUIT")


# ---------------------------------------------------------------- others at the same mailbox


async def test_deleted_messages_are_shown(connect: Connect, anna: User) -> None:
    await put(anna, b"Subject: x\r\n\r\n", Flag.DELETED)
    client = await connect(anna)
    assert await client.command("STAT") == b"+OK 1 14\r\n"
    await client.ok("QUIT")
    assert await left_in(anna) == {1: Flag.DELETED}


async def test_new_messages_wait_for_the_next_session(client: Client, connect: Connect, inbox: User) -> None:
    await put(inbox, b"Subject: new\r\n\r\n")
    assert await client.command("STAT") == b"+OK 3 165\r\n"
    assert await client.command("RETR 4") == b"-ERR No such message\r\n"
    await client.ok("DELE 3")
    await client.ok("QUIT")
    again = await connect(inbox)
    assert await again.command("STAT") == b"+OK 3 128\r\n"
    assert (await again.command("UIDL 3")).endswith(b".4\r\n")


async def test_expunged_by_another(client: Client, inbox: User, settings) -> None:
    settings.UNDELETE_DAYS = 0  # else the octets are still there, and served
    await store.call(expunge, inbox.pk, await store.read(mailbox_id, inbox), [1, 2], deleted_only=False)
    assert (await client.command("RETR 1")).startswith(b"-ERR ")
    assert (await client.command("TOP 1 0")).startswith(b"-ERR ")
    assert (await client.command("TOP 2 5")).startswith(b"-ERR ")
    await client.ok("RETR 3")
    await client.ok("DELE 1")
    await client.ok("QUIT")
    assert await left_in(inbox) == {3: SEEN}


async def test_moved_by_another(client: Client, inbox: User) -> None:
    """What was filed away meanwhile is not deleted there."""

    def file_away(tx) -> None:
        move(tx, inbox.pk, mailbox_id(inbox), [1], create_mailbox(tx, inbox.pk, "Kept"))

    await store.call(file_away)
    await client.ok("RETR 1")
    await client.ok("DELE 1")
    await client.ok("QUIT")
    assert (await store.read(mailbox_by_name, inbox.pk, "Kept")).messages == 1
    assert sorted(await left_in(inbox)) == [2, 3]


# ---------------------------------------------------------------- sizes and octets

ODD = (
    b"",
    b"\n",
    b"Subject: x\n\nbare\nline\nfeeds\n",
    b"Subject: x\r\n\r\nno end",
    b"Subject: x\r\n\r\nmixed\nends\r\nand\rCR\r",
    b"Subject: x\n\n.\n.\r\n..\n.x",
    b"no header at all",
    b"Subject: nul \0 and \xff\xfe\r\n\r\n\0\r\n",
    b"Subject: only a header\r\n",
    b".",
    b"X: y\r\n\r\n" + b"long" * 100_000,
)


async def test_sizes_are_what_retr_sends(connect: Connect, anna: User) -> None:
    for raw in ODD:
        await put(anna, raw)
    for _ in range(2):  # the second session remembers
        client = await connect(anna)
        total = 0
        for number, raw in enumerate(ODD, 1):
            lines = await client.lines(f"RETR {number}")
            octets = sum(len(line) + 2 for line in lines)
            assert await client.command(f"LIST {number}") == b"+OK %d %d\r\n" % (number, octets)
            assert b"\n".join(lines) == raw.replace(b"\r\n", b"\n").removesuffix(b"\n")
            assert await client.lines(f"TOP {number} 1000") == lines
            total += octets
        assert await client.command("STAT") == b"+OK %d %d\r\n" % (len(ODD), total)
        await client.ok("QUIT")


async def test_the_same_content_twice(connect: Connect, anna: User) -> None:
    for _ in range(3):
        await put(anna, b"Subject: again\n\nand again")
    client = await connect(anna)
    assert await client.command("STAT") == b"+OK 3 87\r\n"
    for number in (1, 2, 3):
        assert await client.lines(f"RETR {number}") == [b"Subject: again", b"", b"and again"]


async def test_what_is_remembered_of_sizes_is_bounded(
    connect: Connect, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "MAX_REMEMBERED", 2)
    monkeypatch.setattr(sizes, "READ_MESSAGES", 2)
    sizes._known.clear()
    for i in range(5):
        await put(anna, b"Subject: %d\n\n" % i)
    client = await connect(anna)
    assert await client.command("STAT") == b"+OK 5 70\r\n"
    assert len(sizes._known) == 2


# ---------------------------------------------------------------- many messages, big messages, slow clients


@pytest_asyncio.fixture
async def many(anna: User) -> User:
    for i in range(1, 31):
        await put(anna, b"Subject: %d\r\n\r\n%b\r\n" % (i, b"x" * i * 10))
    return anna


async def test_reading_ahead_gives_each_message_its_own(connect: Connect, many: User) -> None:
    client = await connect(many)
    order = [*range(1, 31), 30, 7, 8, 9, 10, 3, 29, 30, 1, 1, *range(20, 31)]
    for number in order:
        assert await client.lines(f"RETR {number}") == [b"Subject: %d" % number, b"", b"x" * number * 10]
        assert await client.lines(f"TOP {number} 0") == [b"Subject: %d" % number, b""]


async def test_reading_ahead_saves_turns(connect: Connect, many: User, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    read = store.read

    async def count(query, *args):
        turns.append(len(args[0]))
        return await read(query, *args)

    client = await connect(many)
    monkeypatch.setattr(store, "read", count)
    for number in range(1, 31):
        await client.ok(f"RETR {number}")
    assert turns == [8, 16, 6]
    turns.clear()
    await client.ok("RETR 12")
    await client.ok("RETR 5")
    assert turns == [1, 1]


async def test_reading_ahead_is_bounded(connect: Connect, many: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AHEAD_OCTETS", 500)
    client = await connect(many)
    for number in range(1, 31):
        await client.ok(f"RETR {number}")
        assert sum(map(len, client.session.messages._ready.values())) <= 500


async def test_a_broken_neighbour_does_not_matter(
    connect: Connect, many: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect(many)
    broken = client.session.maildrop.message_ids[2]
    read_messages = reading.read_messages

    def fail(ids: list[int]):
        if broken in ids:
            raise OSError("unreadable")
        return read_messages(ids)

    monkeypatch.setattr(reading, "read_messages", fail)
    await client.ok("RETR 1")
    await client.ok("RETR 2")
    reply = await client.err("RETR 3")
    assert reply == b"-ERR [SYS/TEMP] The mail store is not available; please try again later\r\n"
    await client.ok("RETR 4")


async def test_all_commands_in_one_packet(connect: Connect, many: User) -> None:
    client = await connect()
    commands = [b"USER anna@harbour.test", b"PASS " + PASSWORD.encode(), b"LIST", b"UIDL"]
    commands += [b"RETR %d" % i for i in range(1, 31)] + [b"NOOP"] * 1000 + [b"DELE %d" % i for i in range(1, 31)]
    client.send(b"\r\n".join([*commands, b"QUIT", b""]))
    reply = await client.rest()
    assert reply.count(b"+OK") == len(commands) + 1
    assert reply.endswith(b"+OK Goodbye (30 messages deleted)\r\n")
    assert await left_in(many) == {}


async def test_a_client_that_does_not_read(connect: Connect, many: User) -> None:
    """Answers stop, then reading stops; nothing is lost when the client reads again."""
    client = await connect(many)
    client.stop_reading()
    client.send(b"NOOP\r\n")
    for _ in range(20):
        client.send(b"NOOP\r\n" * 1000)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not client.reading
    assert len(client.output) < 2 * session.FLUSH_OCTETS
    client.read_again()
    reply = await client.rest()
    assert reply.count(b"+OK") == 20_001
    assert client.reading


async def test_a_slow_client_and_a_big_message(connect: Connect, anna: User) -> None:
    raw = b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000
    await put(anna, raw)
    client = await connect(anna)
    client.stop_reading()
    client.send(b"RETR 1\r\nTOP 1 0\r\n")
    await asyncio.wait_for(client.answering.wait(), WAIT_S)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(client.output) < 2 * transaction.PIECE_OCTETS
    client.deadlines.clear()
    client.read_again()
    reply = await client.rest()
    assert reply == b"+OK %d octets\r\n%b.\r\n+OK\r\nSubject: big\r\n\r\n.\r\n" % (len(raw), raw)
    assert client.deadlines


async def test_gone_in_the_middle_of_a_message(connect: Connect, anna: User) -> None:
    await put(anna, b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000)
    client = await connect(anna)
    client.stop_reading()
    client.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
    await asyncio.wait_for(client.answering.wait(), WAIT_S)
    client.vanish()
    await client.rest()
    assert list(await left_in(anna)) == [1]
    assert await maildrop_locks.acquire(anna.pk)
    maildrop_locks.release(anna.pk)


async def test_a_long_listing_comes_in_pieces(connect: Connect, many: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "LISTED_AT_ONCE", 7)
    client = await connect(many)
    assert [int(line.split()[0]) for line in await client.lines("LIST")] == list(range(1, 31))
    client.stop_reading()
    client.send("UIDL\r\n")
    await asyncio.sleep(0)
    client.read_again()
    assert (await client.rest()).count(b"\r\n") == 32
