"""Ten sessions of one account act at once, each in its own way of being told; each keeps a client's books.

The books (`Book`) know what a server may say when (RFC 9051 section 7.5, RFC 2180): a sequence number means one
message until EXPUNGE says otherwise, EXISTS never shrinks, EXPUNGE does not come with FETCH, STORE or SEARCH by number,
a UID is one content for good. At the end every book, brought up to date, is what a fresh session finds.
"""

from __future__ import annotations

import asyncio
import random
import re

import pytest

pytestmark = pytest.mark.asyncio

MODES = (
    (),
    ("ENABLE CONDSTORE",),
    ("ENABLE QRESYNC",),
    ("ENABLE IMAP4rev2",),
    ("ENABLE UIDONLY",),
    ("NOTIFY SET (selected (MessageNew (UID) MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge))",),
    ("NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange))",),
    ("ENABLE QRESYNC", "NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))"),
    (),
    ("ENABLE IMAP4rev2 QRESYNC",),
)
BY_NUMBER = ("FETCH", "STORE", "SEARCH")  # EXPUNGE must not come with these


class Book:
    """What a client knows of the selected mailbox."""

    def __init__(self, subjects: dict[int, bytes]) -> None:
        self.uids: list[int | None] = []  # by sequence number; None: not told yet
        self.flags: dict[int, frozenset[bytes]] = {}
        self.gone: set[int] = set()
        self.subjects = subjects  # shared by all books: UID -> content
        self.command = ""

    def take(self, line: bytes) -> None:
        words = line.split()
        if words[:2] == [b"*", b"VANISHED"]:
            self._vanish(words[-1])
        elif len(words) > 2 and words[0] == b"*" and words[1].isdigit():
            number = int(words[1])
            if words[2] == b"EXISTS":
                assert number >= len(self.uids), (line, self.command)
                self.uids += [None] * (number - len(self.uids))
            elif words[2] == b"EXPUNGE":
                assert self.command not in BY_NUMBER, (line, self.command)
                assert 1 <= number <= len(self.uids)
                self._forget(self.uids.pop(number - 1))
            elif words[2] == b"FETCH":
                self._fetch(number, None, line)
            elif words[2] == b"UIDFETCH":
                self._fetch(None, number, line)

    def _vanish(self, text: bytes) -> None:
        assert self.command not in BY_NUMBER, (text, self.command)
        for item in text.decode().split(","):
            low, _, high = item.partition(":")
            for uid in range(int(low), int(high or low) + 1):
                self.uids.pop(self._index(uid))
                self._forget(uid)

    def _index(self, uid: int) -> int:
        """Where a UID is, or the place of one not told yet that it can be: behind all that are smaller."""
        if uid in self.uids:
            return self.uids.index(uid)
        smaller = [index for index, other in enumerate(self.uids) if other is not None and other < uid]
        index = self.uids.index(None, smaller[-1] + 1 if smaller else 0)
        assert all(other is None or other > uid for other in self.uids[index:])
        return index

    def _forget(self, uid: int | None) -> None:
        if uid is not None:
            self.gone.add(uid)
            self.flags.pop(uid, None)

    def _fetch(self, number: int | None, uid: int | None, line: bytes) -> None:
        if uid is None:
            match = re.search(rb"[( ]UID (\d+)", line)
            assert number is not None and 1 <= number <= len(self.uids), line
            uid = int(match[1]) if match else self.uids[number - 1]
            if uid is None:
                return
            assert self.uids[number - 1] in (None, uid), (line, self.uids)
            self.uids[number - 1] = uid
            known = [u for u in self.uids if u is not None]
            assert known == sorted(set(known)), (line, self.uids)
        assert uid not in self.gone, line
        flags = re.search(rb"FLAGS \(([^)]*)\)", line)
        if flags:
            self.flags[uid] = frozenset(flags[1].split()) - {b"\\Recent"}
        subject = re.search(rb"PREVIEW \"(\w+)\"", line)
        if subject:
            assert self.subjects.setdefault(uid, subject[1]) == subject[1], line


def message(word: str) -> bytes:
    return f"Subject: x\r\n\r\n{word}\r\n".encode()


def next_command(choose: random.Random, book: Book, by_uid: bool, word: str) -> str | bytes:
    count = len(book.uids)
    numbers = [str(choose.randint(1, max(1, count)))]
    if choose.random() < 0.3:
        numbers = [f"{choose.randint(1, max(1, count))}:*"]
    known = [uid for uid in book.uids if uid] or [1]
    chosen, prefix = (str(choose.choice(known)), "UID ") if by_uid or choose.random() < 0.5 else (numbers[0], "")
    flag = choose.choice((r"\Flagged", r"\Seen", "$Word", r"\Deleted"))
    data = message(word)
    return choose.choice(
        (
            "NOOP", "EXPUNGE", "CHECK", "STATUS INBOX (MESSAGES UIDNEXT)", "UID SEARCH ALL",
            f"{prefix}FETCH {chosen} (UID FLAGS PREVIEW)", f"{prefix}FETCH {chosen} (UID FLAGS PREVIEW)",
            f"{prefix}STORE {chosen} +FLAGS ({flag})", f"{prefix}STORE {chosen} -FLAGS.SILENT ({flag})",
            f"{prefix}STORE {chosen} FLAGS ({flag} $Other)", f"{prefix}COPY {chosen} INBOX",
            f"{prefix}MOVE {chosen} Other", f"UID EXPUNGE {choose.choice(known)}",
            b"APPEND INBOX {%d+}\r\n%b" % (len(data), data), b"APPEND INBOX {%d+}\r\n%b" % (len(data), data),
            b"APPEND INBOX {%d+}\r\n%b {%d+}\r\n%b" % (len(data), data, len(data) + 1, b"X" + data),
            f"{prefix}REPLACE {chosen} INBOX {{{len(data)}+}}\r\n".encode() + data,
        )
    )  # fmt: skip


async def act(client, book: Book, choose: random.Random, steps: int, name: str, by_uid: bool) -> None:
    for step in range(steps):
        command = next_command(choose, book, by_uid, f"w{name}x{step}")
        await told(client, book, command)
        if choose.random() < 0.2:
            await asyncio.sleep(0)


async def told(client, book: Book, command: str | bytes) -> bytes:
    """Send a command and enter everything that was said by its end; its tagged response."""
    text = command.encode() if isinstance(command, str) else command
    early = bytes(client.output)  # said between commands
    del client.output[:]
    book.command = ""
    for line in early.split(b"\r\n"):
        book.take(line)
    immediate = client.dialogue.session.notifier is not None and not client.dialogue.session.delays_expunges
    name = text.split()[0].decode().upper()
    book.command = "" if immediate else name
    lines = await client.command(text)
    for line in lines[:-1]:
        book.take(line)
    if b".SILENT" in text:  # what it kept quiet is not known any more
        book.flags.clear()
    return lines[-1]


async def open_book(client, subjects: dict[int, bytes]) -> Book:
    book = Book(subjects)
    for line in (await client.ok("SELECT INBOX"))[:-1]:
        book.take(line)
    return book


async def play(connect, anna, seed: int, sessions: int, steps: int) -> None:
    subjects: dict[int, bytes] = {}
    clients = [await connect(anna) for _ in range(sessions)]
    await clients[0].ok("CREATE Other")
    for n in range(8):
        await clients[0].append("INBOX", message(f"first{n}"))
    books = []
    for client, mode in zip(clients, MODES, strict=False):
        for command in mode:
            await client.ok(command)
        books.append(await open_book(client, subjects))
    await asyncio.gather(
        *(
            act(client, book, random.Random(f"{seed}-{n}"), steps, str(n), "UIDONLY" in str(MODES[n]))
            for n, (client, book) in enumerate(zip(clients, books, strict=True))
        )
    )
    fresh_client = await connect(anna)
    fresh = await open_book(fresh_client, subjects)
    if fresh.uids:
        await told(fresh_client, fresh, "FETCH 1:* (UID FLAGS PREVIEW)")
    for client, book in zip(clients, books, strict=True):
        await told(client, book, "NOOP")
        assert len(book.uids) == len(fresh.uids)
        await told(client, book, "UID FETCH 1:* (UID PREVIEW)")
        if not client.dialogue.session.uidonly:
            assert book.uids == fresh.uids
        known = {uid: flags for uid, flags in book.flags.items()}
        assert known.items() <= fresh.flags.items()


@pytest.mark.parametrize("seed", range(2))
async def test_a_few_sessions(connect, anna, seed):
    await play(connect, anna, seed, sessions=10, steps=15)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
async def test_many_steps(connect, anna, seed):
    await play(connect, anna, seed, sessions=10, steps=80)
