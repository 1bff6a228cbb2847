"""Results that are kept up to date: UPDATE and CANCELUPDATE (RFC 5267 section 4.3, RFC 5465 section 7)."""

import random
import re

import pytest

from mailservers.imap import contexts

pytestmark = pytest.mark.asyncio

MESSAGE = b"From: %b@example.org\r\nTo: bob@example.org\r\nSubject: %b\r\n\r\nHello\r\n"


@pytest.fixture
async def pair(connect, anna):
    """Two clients with INBOX selected; it has five messages."""
    one, two = await connect(anna), await connect(anna)
    for subject in (b"e", b"d", b"c", b"b", b"a"):
        await one.append("INBOX", MESSAGE % (b"alice", subject))
    await one.ok("ENABLE IMAP4rev2")
    await two.ok("ENABLE IMAP4rev2")
    await one.ok("SELECT INBOX")
    await two.ok("SELECT INBOX")
    return one, two


async def test_the_examples(pair):
    one, two = pair
    await two.ok(r"STORE 1,2 +FLAGS.SILENT (\Deleted $Junk)")
    await one.ok("NOOP")
    await one.dialog(
        r"""
        C: A01 SEARCH RETURN (CONTEXT COUNT) UNDELETED UNKEYWORD $Junk
        S: * ESEARCH (TAG "A01") COUNT 3
        S: A01 OK SEARCH completed
        C: B01 UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk
        S: * ESEARCH (TAG "B01") UID COUNT 2
        S: B01 OK SEARCH completed
        C: B01 SORT RETURN (UPDATE) (DATE) UTF-8 FLAGGED
        S: B01 BAD Tag reuse
        """
    )
    await two.ok(r"STORE 3:4 +FLAGS.SILENT (\Deleted $Junk)")
    await one.dialog(
        r"""
        C: b NOOP
        S: * 3 FETCH (UID 3 FLAGS (\Deleted $Junk))
        S: * 4 FETCH (UID 4 FLAGS (\Deleted $Junk))
        S: * ESEARCH (TAG "B01") UID ADDTO (0 3:4)
        S: b OK NOOP completed
        """
    )
    await two.ok("UID EXPUNGE 3")
    await two.ok("STORE 1 -FLAGS.SILENT ($Junk)")
    await one.dialog(
        r"""
        C: b NOOP
        S: * ESEARCH (TAG "B01") UID REMOVEFROM (0 3)
        S: * 3 EXPUNGE
        S: * 1 FETCH (UID 1 FLAGS (\Deleted))
        S: * ESEARCH (TAG "B01") UID REMOVEFROM (0 1)
        S: b OK NOOP completed
        C: B04 CANCELUPDATE "B01"
        S: B04 OK CANCELUPDATE completed
        C: B05 CANCELUPDATE "B01"
        S: B05 BAD No search with that tag is kept up to date
        C: B06 CANCELUPDATE B01
        S: B06 BAD Expected a quoted tag
        """
    )
    await two.ok("STORE 1 -FLAGS.SILENT ($Junk)")
    await two.ok("STORE 1 +FLAGS.SILENT ($Junk)")
    assert not any(b"ESEARCH" in line for line in await one.ok("NOOP"))


async def test_numbers_and_what_the_client_does_itself(pair):
    one, two = pair
    await one.dialog(
        r"""
        C: s SEARCH RETURN (UPDATE ALL) SEEN
        S: * ESEARCH (TAG "s")
        S: s OK SEARCH completed
        C: a STORE 2,4 +FLAGS (\Seen)
        S: * 2 FETCH (UID 2 FLAGS (\Seen))
        S: * 4 FETCH (UID 4 FLAGS (\Seen))
        S: * ESEARCH (TAG "s") ADDTO (0 2,4)
        S: a OK STORE completed
        C: b STORE 5 +FLAGS.SILENT (\Seen \Deleted)
        S: * ESEARCH (TAG "s") ADDTO (0 5)
        S: b OK STORE completed
        C: c FETCH 1 (BODY[1])
        S: * 1 FETCH (FLAGS (\Seen) BODY[1] {7}
        S: Hello
        S: )
        S: * ESEARCH (TAG "s") ADDTO (0 1)
        S: c OK FETCH completed
        C: d EXPUNGE
        S: * ESEARCH (TAG "s") REMOVEFROM (0 5)
        S: * 5 EXPUNGE
        S: d OK EXPUNGE completed
        """
    )
    # A new message: EXISTS comes first.
    await two.append("INBOX", MESSAGE % (b"boss", b"z"), r"(\Seen)")
    await one.dialog(
        r"""
        C: e NOOP
        S: * 5 EXISTS
        S: * ESEARCH (TAG "s") ADDTO (0 5)
        S: e OK NOOP completed
        """
    )
    # What another expunges during a command that lets no EXPUNGE through stays a member until it is told.
    await two.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    await one.ok("NOOP")
    await two.ok("EXPUNGE")
    assert not any(b"REMOVEFROM" in line for line in await one.ok("SEARCH ALL"))
    assert (await one.ok("NOOP"))[:2] == [b'* ESEARCH (TAG "s") REMOVEFROM (0 1)', b"* 1 EXPUNGE"]


async def test_sorted(pair):
    """Positions are those of SORT's order, each right at its turn."""
    one, two = pair
    await one.dialog(
        r"""
        C: s UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNSEEN
        S: * ESEARCH (TAG "s") UID ALL 5,4,3,2,1
        S: s OK SORT completed
        """
    )
    await two.ok(r"STORE 2,4 +FLAGS (\Seen)")
    lines = await one.ok("NOOP")
    assert lines[-2] == b'* ESEARCH (TAG "s") UID REMOVEFROM (4 2 2 4)'
    await two.ok(r"STORE 4 -FLAGS (\Seen)")
    await two.append("INBOX", MESSAGE % (b"alice", b"cc"))
    lines = await one.ok("NOOP")
    assert lines[-2] == b'* ESEARCH (TAG "s") UID ADDTO (2 4 4 6)'


async def test_results_stay_what_a_new_search_finds(pair):
    """A client that follows ADDTO and REMOVEFROM has what SORT and SEARCH would give, after each of many changes."""
    one, two = pair
    criteria = "(SUBJECT REVERSE ARRIVAL) UTF-8 UNFLAGGED"
    results: dict[str, list[int]] = {"s": [], "n": []}
    for tag, command in (("s", f"UID SORT RETURN (UPDATE ALL) {criteria}"), ("n", "SEARCH RETURN (UPDATE ALL) SEEN")):
        one.send(f"{tag} {command}\r\n")
        line = await one.until(rb"\* ESEARCH")
        await one.until(tag.encode() + b" OK")
        results[tag] = _numbers(re.search(rb"ALL (\S+)", line))
    dice = random.Random(5)
    for _ in range(60):
        actor = dice.choice((one, two))
        act = dice.choice(("flag", "append", "expunge"))
        if act == "append":
            lines = await actor.command(
                b"APPEND INBOX (\\Seen) {%d+}\r\n" % len(MESSAGE % (b"x", b"m"))
                + MESSAGE % (b"x", b"%c" % dice.choice(b"abcxyz"))
            )
        else:
            flag = "\\Deleted" if act == "expunge" else dice.choice(("\\Flagged", "\\Seen"))
            await one.ok("NOOP") if actor is two else None
            lines = await actor.ok(f"UID STORE {dice.randint(1, 40)} {dice.choice('+-')}FLAGS ({flag})")
            if actor is one:
                _follow(results, lines)
            lines = await actor.ok("EXPUNGE")
        if actor is one:
            _follow(results, lines)
        _follow(results, await one.ok("NOOP"))
        assert results["s"] == _numbers(re.match(rb"\* SORT ?(.*)", (await one.ok(f"UID SORT {criteria}"))[0]))
        found = re.search(rb"ALL (\S+)", (await one.ok("SEARCH RETURN (ALL) SEEN"))[0])
        assert sorted(results["n"]) == _numbers(found)
        await two.ok("NOOP")


def _numbers(match) -> list[int]:
    numbers: list[int] = []
    for piece in re.split(rb"[, ]", match[1] if match else b""):
        low, _, high = piece.partition(b":")
        numbers += range(int(low), int(high or low) + 1) if low else ()
    return numbers


def _follow(results: dict[str, list[int]], lines: list[bytes]) -> None:
    for line in lines:
        if expunged := re.fullmatch(rb"\* (\d+) EXPUNGE", line):
            results["n"] = [n - (n > int(expunged[1])) for n in results["n"]]
        if not (told := re.match(rb'\* ESEARCH \(TAG "(\w)"\)', line)):
            continue
        ours = results[told[1].decode()]
        for verb, pairs in re.findall(rb"(ADDTO|REMOVEFROM) \(([^)]*)\)", line):
            words = pairs.split()
            for place, numbers in zip(map(int, words[::2]), words[1::2], strict=True):
                for offset, number in enumerate(_numbers(re.match(rb"(.*)", numbers))):
                    if verb == b"ADDTO":
                        ours.insert(place - 1 + offset if place else len(ours), number)
                    else:
                        assert place == 0 or ours[place - 1] == number, (line, ours)
                        ours.remove(number)


async def test_while_idling_with_items_to_fetch(pair):
    """RFC 5465 section 7: EXISTS, FETCH, ESEARCH, in this order; and nothing is fetched of what only changed."""
    one, two = pair
    one.send('a00 SEARCH RETURN (COUNT UPDATE (UID BODY[HEADER.FIELDS (SUBJECT)])) FROM "boss"\r\n')
    await one.until(b"a00 OK")
    one.send("i IDLE\r\n")
    await one.until(rb"\+ ")
    await two.append("INBOX", MESSAGE % (b"myboss", b"morning"))
    got = await one.until(rb"\* ESEARCH")
    assert re.fullmatch(
        rb"\* 6 EXISTS\r\n\* 6 FETCH \(UID 6 BODY\[HEADER.FIELDS \(SUBJECT\)\] \{20\}\r\nSubject: morning\r\n\r\n"
        rb'\)\r\n\* ESEARCH \(TAG "a00"\) ADDTO \(0 6\)\r\n',
        got,
    ), got
    one.send("DONE\r\n")
    await one.until(b"i OK")
    assert (await two.ok("FETCH 6 FLAGS"))[-2] == b"* 6 FETCH (FLAGS ())"


async def test_refused(pair, monkeypatch):
    one, _ = pair
    monkeypatch.setattr(contexts, "MAX_CONTEXTS", 2)
    monkeypatch.setattr(contexts, "MAX_SORTED", 4)
    await one.dialog(
        """
        C: B02 UID SORT RETURN (UPDATE COUNT) (DATE) UTF-8 ALL
        S: * ESEARCH (TAG "B02") UID COUNT 5
        S: * NO [NOUPDATE "B02"] ...
        S: B02 OK SORT completed
        C: a SEARCH RETURN (UPDATE) ALL
        S: a OK SEARCH completed
        C: b SEARCH RETURN (UPDATE) ALL
        S: b OK SEARCH completed
        C: c SEARCH RETURN (UPDATE) ALL
        S: * NO [NOUPDATE "c"] ...
        S: c OK SEARCH completed
        C: d CANCELUPDATE "a" "b"
        S: d OK CANCELUPDATE completed
        C: e UNSELECT
        S: e OK UNSELECT completed
        C: f CANCELUPDATE "a"
        S: f BAD No mailbox is selected
        C: g ESEARCH IN (personal) RETURN (UPDATE COUNT) ALL
        S: g BAD No mailbox is selected
        """
    )


async def test_sets_that_grow(pair):
    """UID 5:* holds what comes; message numbers are those of the time of the command."""
    one, two = pair
    await one.ok("SEARCH RETURN (UPDATE ALL) 5:*")
    await one.ok("SEARCH RETURN (UPDATE ALL) UID 5:*")
    await one.ok("ESEARCH IN (selected personal) RETURN (UPDATE COUNT) UNSEEN")
    await two.append("INBOX", MESSAGE % (b"alice", b"new"))
    lines = [line for line in await one.ok("NOOP") if b"ESEARCH" in line]
    assert [re.search(rb"(UID )?ADDTO.*", line)[0] for line in lines] == [b"ADDTO (0 6)", b"UID ADDTO (0 6)"]
    assert re.match(rb'\* ESEARCH \(TAG "t\d+" MAILBOX INBOX UIDVALIDITY \d+\) UID ADDTO', lines[1])
