"""Quick resynchronisation, after the examples of RFC 7162 section 3.2."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.imap.sequences import clipped, merge, missing, within

pytestmark = pytest.mark.asyncio

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
async def inbox(client):
    """Ten messages, of which 2, 3 and 6 are gone; 4 is \\Seen. QRESYNC is enabled, nothing selected."""
    for _ in range(10):
        await client.append("INBOX", MESSAGE)
    await client.ok("ENABLE QRESYNC")
    await client.ok("SELECT INBOX")
    await client.ok(r"UID STORE 2,3,6 +FLAGS.SILENT (\Deleted)")
    await client.ok("UID EXPUNGE 2:3")
    await client.ok(r"UID STORE 4 +FLAGS.SILENT (\Seen)")
    await client.ok("EXPUNGE")
    await client.ok("CLOSE")
    return client


async def validity(client) -> int:
    return int(re.search(rb"UIDVALIDITY (\d+)", (await client.ok("STATUS INBOX (UIDVALIDITY)"))[0])[1])


async def resync(client, arguments: str) -> list[bytes]:
    """What SELECT says beyond what every SELECT says."""
    lines = await client.ok(f"SELECT INBOX (QRESYNC ({arguments}))")
    return [line for line in lines if re.match(rb"\* (VANISHED|\d+ FETCH)", line)]


async def test_enabling(client):
    await client.append("INBOX", MESSAGE)
    await client.dialog(
        """
        C: a SELECT INBOX (QRESYNC (1 1))
        S: a BAD [CLIENTBUG] ENABLE QRESYNC comes first
        C: b ENABLE QRESYNC X-GOOD-IDEA
        S: * ENABLED QRESYNC
        S: b OK ENABLE completed
        C: c SELECT INBOX (QRESYNC (1 *))
        S: c BAD Expected a number...
        """.replace("Expected a number...", "...")
    )
    await client.ok("SELECT INBOX")
    await client.dialog(
        """
        C: a UID FETCH 1 FLAGS (VANISHED)
        S: a BAD VANISHED needs CHANGEDSINCE
        C: b FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)
        S: b BAD [CLIENTBUG] ...
        C: c FETCH 1 BODY[TEXT]
        S: * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (3) BODY[TEXT] {6}
        S: body
        S: )
        S: c OK FETCH completed
        C: d SELECT INBOX (QRESYNC (1 1 (1 2)
        S: d BAD ...
        C: e NOOP
        S: e OK NOOP completed
        """
    )
    other = await client.command("UID FETCH 1 FLAGS (CHANGEDSINCE 2 VANISHED)")
    assert other == [rb"* 1 FETCH (UID 1 FLAGS (\Seen \Recent) MODSEQ (3))", b"OK FETCH completed"]


async def test_enable_while_selected_tells_where_the_mailbox_stands(client):
    await client.ok("SELECT INBOX")
    assert await client.ok("ENABLE QRESYNC") == [
        b"* ENABLED QRESYNC",
        b"* OK [HIGHESTMODSEQ 1] Highest",
        b"OK ENABLE completed",
    ]


async def test_another_uidvalidity_ignores_the_rest(inbox):
    assert await resync(inbox, f"{await validity(inbox) + 1} 1 1:10") == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # Modseqs: 2..11 the arrivals, 12 the marks of 2, 3, 6, 13 the first expunge, 14 \Seen, 15 the second.
        ("11", ["VANISHED (EARLIER) 2:3,6", r"2 FETCH (UID 4 FLAGS (\Seen) MODSEQ (14))"]),
        ("13", ["VANISHED (EARLIER) 6", r"2 FETCH (UID 4 FLAGS (\Seen) MODSEQ (14))"]),
        ("14", ["VANISHED (EARLIER) 6"]),
        ("15", []),
        ("9223372036854775807", []),
        ("11 1,5:10", ["VANISHED (EARLIER) 6"]),
        ("11 5:10,3,2", ["VANISHED (EARLIER) 2:3,6"]),
        ("11 11:4294967295", []),
        ("9 9:20", ["6 FETCH (UID 9 FLAGS () MODSEQ (10))", "7 FETCH (UID 10 FLAGS () MODSEQ (11))"]),
        # Number 2 is UID 4 now, so the client knows that 2 and 3 went; number 5 is not UID 9.
        ("13 1:10 (1:2,5 1,4,9)", ["VANISHED (EARLIER) 6", r"2 FETCH (UID 4 FLAGS (\Seen) MODSEQ (14))"]),
        ("11 1:10 (1:2,5 1,4,9)", ["VANISHED (EARLIER) 6", r"2 FETCH (UID 4 FLAGS (\Seen) MODSEQ (14))"]),
        ("11 (1,6 1,9)", [r"2 FETCH (UID 4 FLAGS (\Seen) MODSEQ (14))"]),
        ("14 1:10 (1,100:4294967295 1,100:4294967295)", ["VANISHED (EARLIER) 6"]),
    ],
)
async def test_resynchronising(inbox, arguments, expected):
    lines = await resync(inbox, f"{await validity(inbox)} {arguments}")
    assert [line.decode().replace(r" \Recent", "") for line in lines] == [f"* {line}" for line in expected]


async def test_order_of_the_responses_and_closed(inbox):
    number = await validity(inbox)
    await inbox.ok("SELECT Sent")
    lines = await inbox.ok(f"EXAMINE INBOX (QRESYNC ({number} 11 1:10 (1 1)))")
    assert lines[0].startswith(b"* OK [CLOSED]")
    names = [line.split()[1] for line in lines]
    assert names.index(b"VANISHED") > max(names.index(b"7"), names.index(b"FLAGS"))
    assert lines[-1].startswith(b"OK [READ-ONLY]")


async def test_uid_fetch_vanished(inbox):
    await inbox.ok("SELECT INBOX")
    assert await inbox.ok("UID FETCH 3:5 (FLAGS) (CHANGEDSINCE 11 VANISHED)") == [
        b"* VANISHED (EARLIER) 3",
        rb"* 2 FETCH (UID 4 FLAGS (\Seen) MODSEQ (14))",
        b"OK FETCH completed",
    ]
    assert await inbox.ok("UID FETCH 6:* (FLAGS) (VANISHED CHANGEDSINCE 14)") == [
        b"* VANISHED (EARLIER) 6",
        b"OK FETCH completed",
    ]


async def test_vanished_replaces_expunge(inbox, connect, anna):
    await inbox.ok("SELECT INBOX")
    other = await connect(anna)
    await other.ok("SELECT INBOX")
    await inbox.ok(r"UID STORE 1,9:10 +FLAGS.SILENT (\Deleted)")
    assert await inbox.ok("EXPUNGE") == [b"* VANISHED 1,9:10", b"OK [HIGHESTMODSEQ 17] EXPUNGE completed"]
    assert await other.ok("NOOP") == [b"* 7 EXPUNGE", b"* 6 EXPUNGE", b"* 1 EXPUNGE", b"OK NOOP completed"]
    assert await inbox.ok("EXPUNGE") == [b"OK EXPUNGE completed"]
    assert (await inbox.ok("MOVE 1 Sent"))[1:] == [b"* VANISHED 4", b"OK [HIGHESTMODSEQ 18] MOVE completed"]
    # Expunged by another session: kept back from FETCH, told as VANISHED without EARLIER.
    await other.ok(r"UID STORE 5 +FLAGS.SILENT (\Deleted)")
    await other.ok("UID EXPUNGE 5")
    assert (await inbox.ok("FETCH 2 UID"))[0] == b"* 2 FETCH (UID 7)"
    assert await inbox.ok("UID FETCH 1:10 (FLAGS) (CHANGEDSINCE 18 VANISHED)") == [
        b"* VANISHED 5",
        b"OK FETCH completed",
    ]
    await inbox.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    assert await inbox.command("CLOSE") == [b"OK CLOSE completed"]


async def test_resync_equals_a_fresh_look_for_any_point_in_the_past(inbox):
    """From every mod-sequence: known UIDs less VANISHED, with the FETCHed marks, is what is there."""
    number = await validity(inbox)
    for modseq in range(1, 17):
        vanished: set[int] = set()
        for line in await resync(inbox, f"{number} {modseq} 1:10"):
            if b"VANISHED" in line:
                for item in line.split()[-1].decode().split(","):
                    low, _, high = item.partition(":")
                    vanished |= set(range(int(low), int(high or low) + 1))
        assert vanished == ({2, 3, 6} if modseq < 13 else {6} if modseq < 15 else set())


async def test_forgotten_expunges(inbox, connect, anna, monkeypatch):
    """Said in one round, done in the next; the answers stay right throughout, if not as short."""
    from mailservers.store import forgetting
    from mailservers.store.engine import store

    monkeypatch.setattr(forgetting, "EXPUNGES_KEPT", 1)
    number = await validity(inbox)
    slow = await connect(anna)
    await slow.ok("SELECT INBOX")
    slow_view = slow.dialogue.session.selected.view
    slow_view.uids.insert(1, 2)  # it has not heard of the first expunge
    slow.dialogue.session.selected.seen_modseq = 12
    (box,) = await store.read(forgetting.mailboxes_with_many_expunges)
    for _ in range(2):
        await store.call(forgetting.forget_expunges, box)
        assert await resync(inbox, f"{number} 15 1:10") == []
        assert (await resync(inbox, f"{number} 13 1:10"))[0] == b"* VANISHED (EARLIER) 6"
        assert (await resync(inbox, f"{number} 12 2:9"))[0] == b"* VANISHED (EARLIER) 2:3,6"
        assert (await resync(inbox, f"{number} 12 3:4294967295"))[0] == b"* VANISHED (EARLIER) 3,6"
        assert (await resync(inbox, f"{number} 1 (1:2,7 1,4,10)"))[0].endswith(b" FETCH (UID 1 FLAGS () MODSEQ (2))")
        await inbox.ok("UNSELECT")
        await inbox.ok("SELECT INBOX")
        assert (await inbox.ok("UID FETCH 1:9 FLAGS (CHANGEDSINCE 12 VANISHED)"))[0] == b"* VANISHED (EARLIER) 2:3,6"
    assert await store.read(forgetting.mailboxes_with_many_expunges) == []
    assert (await slow.ok("NOOP"))[0] == b"* 2 EXPUNGE"


@given(
    st.lists(st.integers(1, 60), unique=True),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=6),
)
async def test_within_is_membership(numbers, pieces):
    ranges = merge(sorted((low, low + more) for low, more in pieces))
    expected = [n for n in sorted(numbers) if any(low <= n <= high for low, high in ranges)]
    assert list(within(sorted(numbers), ranges)) == expected
    absent = [n for low, high in clipped(ranges, 40) for n in range(low, high + 1) if n not in numbers]
    assert list(missing(sorted(numbers), clipped(ranges, 40))) == absent
