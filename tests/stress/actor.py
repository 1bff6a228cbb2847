"""A random IMAP client: what it does next, what it enters into the books before and after.

It asks for nothing that a client may not ask for, so BAD is always a fault of the server; NO must have a response code
that says what other sessions did meanwhile. Messages are marked, moved and removed only when their UIDs and contents
are known, so that the ledger knows who asked for what.
"""

from __future__ import annotations

import asyncio
import random
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.stress.book import Book, expand
from tests.stress.ledger import Ledger, Violation
from tests.stress.wire import Answer, Lost, Wire

STRICT = ("INBOX", "Keep", "Box")
LOOSE = ("F0", "F1", "F2", "F2/below")
FLAGS = (b"\\Seen", b"\\Flagged", b"\\Answered", b"\\Draft", b"$Forwarded", b"$Word")
ALL_OF_IT = b"(UID FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
MODES: tuple[tuple[bytes, ...], ...] = (
    (),
    (b"ENABLE CONDSTORE",),
    (b"ENABLE QRESYNC",),
    (b"ENABLE IMAP4rev2",),
    (b"NOTIFY SET (selected (MessageNew (UID) MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge))",),
    (b"ENABLE UIDONLY",),
    (b"NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange))",),
    (b"ENABLE QRESYNC", b"NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))"),
    (),
    (b"ENABLE IMAP4rev2 QRESYNC",),
)
# What NO may say: other sessions were faster.
FAIR = (
    b"EXPUNGEISSUED", b"NONEXISTENT", b"TRYCREATE", b"ALREADYEXISTS", b"HASCHILDREN", b"CANNOT", b"MODIFIED",
)  # fmt: skip
CROWDED = 100  # messages; from here on removing is likelier


@dataclass
class Run:
    """What all share: until when, and how often what was done."""

    port: int
    tls_port: int
    until: float
    context: ssl.SSLContext
    password: str
    counts: dict[str, int] = field(default_factory=dict)
    tokens: int = 0

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def token(self, who: str) -> bytes:
        self.tokens += 1
        return f"{who}-{self.tokens}".encode()


def letter(token: bytes, choose: random.Random) -> bytes:
    return b"From: a@stress.test\r\nSubject: %b\r\n\r\n" % token + b"stress and strain\r\n" * choose.randint(1, 60)


class Actor:
    """One client with one connection, which it ends and opens again as it likes."""

    def __init__(self, run: Run, ledger: Ledger, number: int, seed: str) -> None:
        self.run, self.ledger, self.number = run, ledger, number
        self.choose = random.Random(f"{seed}-{number}")
        self.mode = MODES[number % len(MODES)]
        self.keyword = b"$K%d" % number
        enabled = b" ".join(self.mode)
        self.uidonly = b"UIDONLY" in enabled
        self.qresync = b"QRESYNC" in enabled
        self.immediate = b"(selected (" in enabled
        self.wire: Wire
        self.book: Book | None = None
        self.name = ""
        self.read_only = False
        self.highest = 0  # up to this mod-sequence the books are known to be complete

    # ------------------------------------------------------------ the course of it

    async def act(self) -> None:
        """Until the run ends. Raises `Violation` with the last lines of the dialogue."""
        await self.connect()
        while time.monotonic() < self.run.until:
            try:
                await self.step()
            except Lost as reason:
                self.run.count("lost")
                if "mailbox was deleted" not in str(reason):
                    raise Violation(f"the connection was lost: {reason}\n{self.story()}") from None
                await self.connect()
            except (Violation, TimeoutError) as error:
                raise Violation(f"{self.ledger.login}, client {self.number}: {error!r}\n{self.story()}") from None
            await asyncio.sleep(self.choose.random() * 0.05)

    def story(self) -> str:
        return b"\n".join(self.wire.tail).decode("utf-8", "replace")

    async def connect(self) -> None:
        use_tls = self.number % 3 == 0
        port = self.run.tls_port if use_tls else self.run.port
        self.wire = await Wire.open(port, self.run.context if use_tls else None)
        self.book = None
        for command in (f'LOGIN {self.ledger.login} "{self.run.password}"'.encode(), *self.mode):
            await self.ok(command)

    async def step(self) -> None:
        if self.book is None:
            await self.select()
            return
        steps = list(CALM)
        if len(self.book.uids) > CROWDED:
            steps += THINNING
        elif len(self.book.uids) < CROWDED // 4:
            steps += FILLING
        await self.choose.choice(steps)(self)

    async def say(self, text: bytes) -> Answer:
        """A command; what comes with it is entered. BAD is a `Violation`, and so is a NO without a fair reason."""
        verb = text.split(b" ", 1)[0]
        book = self.book
        if book is not None:
            for line in self.wire.early():
                book.take(line)
            book.command = b"" if self.immediate else verb
        answer = await self.wire.command(text)
        for line in answer.untagged:
            if line.startswith(b"* OK [CLOSED]"):
                book = None  # what follows is of the mailbox that SELECT opens
            if book is not None:
                book.take(line)
        if book is not None:
            book.command = b""
        self.run.count(text.split(b" ", 2)[1].decode() if verb == b"UID" else verb.decode())
        if answer.status == b"BAD" or (answer.status == b"NO" and not answer.code.startswith(FAIR)):
            raise Violation(f"{text[:200]!r} was answered {answer.text!r}")
        return answer

    async def ok(self, text: bytes) -> Answer:
        answer = await self.say(text)
        if answer.status != b"OK":
            raise Violation(f"{text[:200]!r} was answered {answer.text!r}")
        return answer

    # ------------------------------------------------------------ choosing

    @property
    def open(self) -> Book:
        assert self.book is not None
        return self.book

    def some(self, most: int = 4) -> list[int]:
        known = self.open.known()
        return sorted(self.choose.sample(known, min(len(known), self.choose.randint(1, most))))

    def chosen(self, uids: list[int]) -> tuple[bytes, bytes]:
        """``UID `` or nothing, and the set. Numbers only where nobody changes them while the command is on its way."""
        if self.uidonly or self.immediate or self.choose.random() < 0.5:
            return b"UID ", b",".join(b"%d" % uid for uid in uids)
        return b"", b",".join(b"%d" % number for number in self.open.numbers(uids))

    # ------------------------------------------------------------ mailboxes

    async def select(self, remembered: Book | None = None) -> None:
        """Another mailbox, or the same again; with what was known of it, where the client does that."""
        before, modseq = self.book or remembered, self.highest
        name = self.choose.choice((*STRICT, *STRICT, *LOOSE))
        if self.qresync and self.name and self.choose.random() < 0.5:
            name = self.name
        verb = b"EXAMINE" if self.choose.random() < 0.15 else b"SELECT"
        again = self.qresync and before is not None and name == self.name and not before.has_unknown and modseq > 0
        options = b""
        if again and before is not None:
            options = b" (QRESYNC (%d %d))" % (before.uid_validity, modseq)
        began = time.monotonic()
        floors = {
            item: self.ledger.floor(self.ledger.names.get(name, 0), item) for item in (b"UIDNEXT", b"HIGHESTMODSEQ")
        }
        answer = await self.say(verb + b" " + name.encode() + options)
        self.book = None
        if answer.status != b"OK":
            return
        closed = [n for n, line in enumerate(answer.untagged) if line.startswith(b"* OK [CLOSED]")]
        answer = Answer(answer.untagged[closed[0] if closed else 0 :], answer.text)
        said = {m[1]: int(m[2]) for line in answer.untagged if (m := re.match(rb"\* OK \[(\w+) (\d+)\]", line))}
        book = Book(self.ledger, said[b"UIDVALIDITY"], self.immediate)
        book.opened_at, book.command = began, verb
        self.book, self.name, self.read_only = book, name, b"READ-ONLY" in answer.code
        self.highest = said[b"HIGHESTMODSEQ"]
        for item, floor in floors.items():
            self.ledger.rises(book.uid_validity, item, said[item], floor)
        if again and before is not None and before.uid_validity == book.uid_validity:
            self._resynchronised(before, book, answer, modseq)
        else:
            for line in answer.untagged:
                book.take(line)
        self._complete(began)
        await self.learn()

    def _resynchronised(self, before: Book, book: Book, answer: Answer, modseq: int) -> None:
        """RFC 7162 section 3.2.5: with what is told now, the old books are today's."""
        vanished: set[int] = set()
        for line in answer.untagged:
            if line.startswith(b"* VANISHED (EARLIER) "):
                vanished.update(expand(line.rsplit(b" ", 1)[1]))
        kept = [uid for uid in before.uids if uid is not None and uid not in vanished]
        book.flags = {uid: before.flags[uid] for uid in kept if uid in before.flags}
        book.modseqs = {uid: before.modseqs[uid] for uid in kept if uid in before.modseqs}
        for line in answer.untagged:
            book.take(line)
            if line.endswith(b" EXISTS") and kept:
                if len(kept) > len(book.uids):
                    raise Violation(f"QRESYNC since {modseq} left out expunges: of {kept} {len(book.uids)} are there")
                book.uids[: len(kept)], kept = kept, []
        self.run.count("QRESYNC")

    def _complete(self, asked_at: float) -> None:
        """All that was acknowledged before this session looked is in its view."""
        least = self.ledger.at_least(self.open.uid_validity, asked_at)
        if len(self.open.uids) < least:
            raise Violation(f"{len(self.open.uids)} messages are told of, {least} were acknowledged before")

    async def learn(self) -> None:
        """Fetch what is new. The flags that the books have already must be right (`Ledger.state`)."""
        book = self.open
        if not book.uids:
            return
        know = book.known()
        first = 1 if self.choose.random() < 0.1 or not know else know[-1] + 1
        if book.has_unknown or first == 1:
            await self.ok(b"UID FETCH %d:* " % first + ALL_OF_IT)
        if book.has_unknown and not self.immediate and first > 1:
            await self.ok(b"UID FETCH 1:* " + ALL_OF_IT)

    async def close(self) -> None:
        if self.choose.random() < 0.5:
            await self.ok(b"UNSELECT")
        else:
            validity = self.open.uid_validity
            self.ledger.expunging(validity)
            await self.ok(b"CLOSE")
            self.ledger.expunged(validity)
        self.book = None

    async def folders(self) -> None:
        name, other = self.choose.sample(LOOSE, 2)
        act = self.choose.choice((b"CREATE", b"CREATE", b"DELETE", b"RENAME"))
        if act == b"DELETE" and self.name == name:
            return
        text = act + b" " + name.encode()
        await self.say(text + b" " + other.encode() if act == b"RENAME" else text)

    async def status(self) -> None:
        name = self.choose.choice(STRICT)
        validity = self.ledger.names[name]
        items = (b"UIDNEXT", b"HIGHESTMODSEQ")
        floors = {item: self.ledger.floor(validity, item) for item in items}
        answer = await self.ok(b"STATUS " + name.encode() + b" (UIDNEXT HIGHESTMODSEQ MESSAGES)")
        # The last: NOTIFY may tell of other mailboxes, and of this one, too.
        line = [line for line in answer.untagged if line.startswith(b"* STATUS %b (UIDNEXT " % name.encode())][-1]
        for item in items:
            value = re.search(item + rb" (\d+)", line)
            assert value is not None
            self.ledger.rises(validity, item, int(value[1]), floors[item])

    async def reconnect(self) -> None:
        """Politely or not; a client that remembers selects the same mailbox with QRESYNC."""
        book, name, highest = self.book, self.name, self.highest
        if self.choose.random() < 0.5:
            await self.wire.command(b"LOGOUT")
        self.wire.abort()
        await self.connect()
        self.name, self.highest = name, highest
        await self.select(book if self.qresync else None)

    # ------------------------------------------------------------ looking

    async def noop(self) -> None:
        began = time.monotonic()
        await self.ok(self.choose.choice((b"NOOP", b"CHECK")))
        if self.choose.random() < 0.2:
            self._complete(began)

    async def idle(self) -> None:
        book = self.open
        for line in self.wire.early():
            book.take(line)
        self.wire.send(b"i IDLE\r\n")
        book.command = b"IDLE"
        while not (line := await self.wire.line()).startswith(b"+"):
            book.take(line)
        await asyncio.sleep(self.choose.random())
        self.wire.send(b"DONE\r\n")
        while not (line := await self.wire.line()).startswith(b"i "):
            book.take(line)
        if not line.startswith(b"i OK"):
            raise Violation(f"IDLE was answered {line!r}")
        book.command = b""
        self.run.count("IDLE")

    async def fetch(self) -> None:
        uids = self.some(8)
        if uids:
            prefix, chosen = self.chosen(uids)
            what = self.choose.choice((ALL_OF_IT, b"(UID FLAGS MODSEQ)", b"(FLAGS ENVELOPE)", b"(UID FLAGS BODY[])"))
            await self.say(prefix + b"FETCH " + chosen + b" " + what)
        await self.learn()

    async def search(self) -> None:
        """By the keyword that only this session sets, the answer is known."""
        known = self.ledger.keyword_uids(self.open.uid_validity, self.keyword)
        answer = await self.ok(b"UID SEARCH KEYWORD " + self.keyword)
        found: set[int] = set()
        for line in answer.untagged:
            if line.startswith(b"* SEARCH"):
                found.update(int(word) for word in line.split()[2:] if word.isdigit())
            elif line.startswith(b"* ESEARCH") and b" ALL " in line:
                found.update(expand(line.rsplit(b" ", 1)[1]))
        view = set(self.open.uids)
        since = self.ledger.keyword_uids(self.open.uid_validity, self.keyword)  # without what others replaced meanwhile
        for uid, is_set in known.items():
            if uid in view and uid in since and is_set is not None and is_set != (uid in found):
                if is_set and self.ledger.may_be_gone((self.open.uid_validity, uid)):
                    continue
                raise Violation(f"SEARCH KEYWORD {self.keyword!r}: UID {uid} should be {is_set}")
        if not self.uidonly:
            count = len(self.open.uids)
            answer = await self.ok(b"SEARCH UNDELETED")
            numbers = [
                int(w) for x in answer.untagged if x.startswith(b"* SEARCH") for w in x.split()[2:] if w.isdigit()
            ]
            if (
                not self.immediate
                and numbers
                and (numbers != sorted(set(numbers)) or numbers[-1] > max(count, len(self.open.uids)))
            ):
                raise Violation(f"SEARCH answered {numbers} with {count} messages")

    # ------------------------------------------------------------ changing

    async def store(self) -> None:
        uids = self.some()
        if not uids or self.read_only:
            return
        book = self.open
        sign = self.choose.choice((b"+", b"+", b"-", b""))
        mine = self.choose.random() < 0.5 and sign != b""
        flags = self.keyword if mine else b" ".join(self.choose.sample(FLAGS, self.choose.randint(1, 3)))
        if sign == b"":
            self.ledger.replacing_flags(book.uid_validity, uids)
        if mine:
            self.ledger.keyword(book.uid_validity, uids, self.keyword, None)
        silent = b".SILENT" if self.choose.random() < 0.3 else b""
        condition = b""
        modseqs = [book.modseqs.get(uid, 0) for uid in uids]
        if self.choose.random() < 0.3 and all(modseqs):
            condition = b"(UNCHANGEDSINCE %d) " % (max(modseqs) if self.choose.random() < 0.7 else min(modseqs))
        if silent:
            book.hush(uids)
        prefix, chosen = self.chosen(uids)
        answer = await self.say(
            prefix + b"STORE " + chosen + b" " + condition + sign + b"FLAGS" + silent + b" (" + flags + b")"
        )
        if silent:
            book.hush(uids)
        if mine:
            modified = self._modified(answer, prefix)
            self.ledger.keyword(book.uid_validity, set(uids) - modified, self.keyword, sign == b"+")

    def _modified(self, answer: Answer, prefix: bytes) -> set[int]:
        if not answer.code.startswith(b"MODIFIED "):
            return set()
        numbers = set(expand(answer.code.split(b" ", 1)[1]))
        return numbers if prefix else {uid for n in numbers if (uid := self.open.uids[n - 1]) is not None}

    async def append(self) -> None:
        name = self.name if self.choose.random() < 0.5 and self.name in STRICT else self.choose.choice(STRICT)
        tokens = [self.run.token(f"a{self.number}") for _ in range(self.choose.choice((1, 1, 1, 3)))]
        text = b"APPEND " + name.encode()
        deleted = self.choose.random() < 0.1
        for token in tokens:
            data = letter(token, self.choose)
            text += b" (%b) {%d+}\r\n%b" % (b"\\Deleted" if deleted else b"\\Seen", len(data), data)
        self.ledger.unsure.update(tokens)
        answer = await self.ok(text)
        self.ledger.unsure.difference_update(tokens)
        validity, uids = self._uid_code(answer.code, b"APPENDUID")
        for uid, token in zip(uids, tokens, strict=True):
            self.ledger.created(validity, uid, token)
        if deleted:
            self.ledger.deleting(validity, uids)

    @staticmethod
    def _uid_code(code: bytes, name: bytes) -> tuple[int, list[int]]:
        words = code.split()
        if not words or words[0] != name:
            raise Violation(f"{name!r} is missing: {code!r}")
        return int(words[1]), list(expand(words[-1]))

    async def copy(self) -> None:
        await self._to_another(b"COPY")

    async def move(self) -> None:
        if not self.read_only:
            await self._to_another(b"MOVE")

    async def _to_another(self, verb: bytes) -> None:
        uids = self.some()
        if not uids:
            return
        book, moves = self.open, verb == b"MOVE"
        tokens = {self.ledger.contents[book.uid_validity, uid] for uid in uids}
        fresh = tokens - self.ledger.unsure
        if moves:
            self.ledger.removing(book.uid_validity, uids)
        self.ledger.unsure.update(fresh)
        prefix, chosen = self.chosen(uids)
        answer = await self.say(
            prefix + verb + b" " + chosen + b" " + self.choose.choice((*STRICT, *STRICT, *LOOSE)).encode()
        )
        self.ledger.unsure.difference_update(fresh)
        codes = [answer.code, *(m[1] for x in answer.untagged if (m := re.match(rb"\* OK \[([^]]*)\]", x)))]
        for code in codes:
            if code.startswith(b"COPYUID "):
                _, validity, old, new = code.split()
                pairs = zip(expand(old), expand(new), strict=True)
                self.ledger.copied(book.uid_validity, int(validity), pairs, moves)
        if moves:
            self._knows_up_to(answer)

    async def replace(self) -> None:
        uids = self.some(1)
        if not uids or self.read_only:
            return
        token, name = self.run.token(f"r{self.number}"), self.choose.choice(STRICT)
        data = letter(token, self.choose)
        self.ledger.removing(self.open.uid_validity, uids)
        self.ledger.unsure.add(token)
        prefix, chosen = self.chosen(uids)
        answer = await self.say(prefix + b"REPLACE " + chosen + b" %b {%d+}\r\n%b" % (name.encode(), len(data), data))
        self.ledger.unsure.discard(token)
        for line in answer.untagged:
            if line.startswith(b"* OK [APPENDUID "):
                validity, new = self._uid_code(line[6:].split(b"]")[0], b"APPENDUID")
                self.ledger.created(validity, new[0], token)

    async def remove(self) -> None:
        """Mark as deleted, then EXPUNGE or UID EXPUNGE; or leave that to another session."""
        uids = self.some(6)
        if not uids or self.read_only:
            return
        book = self.open
        self.ledger.deleting(book.uid_validity, uids)
        prefix, chosen = self.chosen(uids)
        await self.say(prefix + b"STORE " + chosen + b" +FLAGS (\\Deleted)")
        if self.choose.random() < 0.3:
            return
        self.ledger.expunging(book.uid_validity)
        by_uid = self.choose.random() < 0.5
        named = b",".join(b"%d" % uid for uid in uids)
        answer = await self.say(b"UID EXPUNGE " + named if by_uid else b"EXPUNGE")
        self.ledger.expunged(book.uid_validity)
        self._knows_up_to(answer)

    def _knows_up_to(self, answer: Answer) -> None:
        """RFC 7162 section 3.2.7: the books are complete up to the mod-sequence of this response."""
        if answer.code.startswith(b"HIGHESTMODSEQ "):
            value = int(answer.code.split()[1])
            if value < self.highest:
                raise Violation(f"HIGHESTMODSEQ falls: {value} after {self.highest}")
            self.highest = value


Step = Callable[[Actor], Awaitable[None]]
FILLING: tuple[Step, ...] = (Actor.append,) * 12
THINNING: tuple[Step, ...] = (Actor.remove,) * 8 + (Actor.move,) * 3
CALM: tuple[Step, ...] = (
    *(Actor.noop,) * 4, *(Actor.fetch,) * 6, *(Actor.store,) * 8, *(Actor.append,) * 3, *(Actor.copy,) * 2, Actor.move,
    *(Actor.remove,) * 2, Actor.replace, *(Actor.idle,) * 3, *(Actor.search,) * 2, *(Actor.status,) * 2,
    *(Actor.select,) * 3, Actor.close, Actor.folders, Actor.reconnect,
)  # fmt: skip
