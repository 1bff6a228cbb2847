"""A person who uses a server that may die at any moment, remembers all they were told, and checks it afterwards.

Each `Person` acts alone on their INBOX and Archive over IMAP, POP3 and SMTP. What was acknowledged is in the model;
of the one act whose reply was not seen, both outcomes are allowed, and nothing in between. `check` compares the
server with the model: messages and their octets, flags, UIDs, UIDVALIDITY and modseqs.
"""

from __future__ import annotations

import contextlib
import hashlib
import imaplib
import poplib
import random
import re
import smtplib
from collections import Counter
from collections.abc import Callable
from copy import deepcopy

PASSWORD = "well made 5"
BOXES = ("INBOX", "Archive")
FEW, MANY = 4, 16  # messages in a mailbox: fewer are added, more are removed
Contents = dict[str, Counter[tuple[str, bool]]]  # mailbox -> (key, \Flagged)
GONE = (OSError, imaplib.IMAP4.abort, smtplib.SMTPException, poplib.error_proto, EOFError)


class Refused(Exception):
    """The server answered, and not with success: the act has not happened."""


class Person:
    """`certain` False: a refusal leaves open whether the act has happened (a database server that died)."""

    def __init__(self, login: str, rng: random.Random, *, certain: bool = True) -> None:
        self.login = login
        self.rng = rng
        self.certain = certain
        self.model: Contents = {box: Counter() for box in BOXES}
        self.pending: list[Contents] = []  # what the act whose reply was not seen may have made of it
        self.sent: dict[str, str] = {}  # key -> SHA-256
        self.told: dict[str, dict[int, str]] = {box: {} for box in BOXES}  # UID -> key
        self.validity: dict[str, int] = {}
        self.modseq = dict.fromkeys(BOXES, 0)
        self.floors = dict.fromkeys(BOXES, 0)  # the highest UID at the last look
        self.acts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.ports: dict[str, int] = {}
        self._number = 0
        self._imap: imaplib.IMAP4 | None = None

    # ------------------------------------------------------------ acting

    def act_until_it_dies(self, ports: dict[str, int], limit: int = 10**6, refusals: int = 10**6) -> None:
        """`limit`: acts at most; `refusals`: after so many, too, they leave."""
        self.ports = ports
        try:
            for _ in range(limit):
                try:
                    self.act()
                except Refused as refused:
                    self.refusals[str(refused)] += 1
                    refusals -= 1
                    if not refusals:
                        break
        except GONE:
            pass
        finally:
            self.leave()

    def act(self) -> None:
        """One random act; a `Refused` one leaves the model as it was, or open."""
        if self.pending:
            self.check(self.ports)
        count = sum(self.model["INBOX"].values())
        makers = [self._append, self._append, self._send]
        others = [self._flag, self._copy, self._move, self._expunge, self._pop]
        chosen = self.rng.choice(makers if count < FEW else others if count > MANY else makers + others)
        chosen()

    def _promise(self, name: str, change: Callable[[Contents], None], act: Callable[[], None]) -> None:
        after = deepcopy(self.model)
        change(after)
        self.pending = [after]
        try:
            act()
        except Refused:
            self.pending = [] if self.certain else self.pending
            raise
        self.model, self.pending = after, []
        self.acts[name] += 1

    def _append(self) -> None:
        key, raw = self._letter()

        def act() -> None:
            reply = self._ask(lambda imap: imap.append("INBOX", None, None, raw))
            found = re.search(rb"APPENDUID (\d+) (\d+)", reply)
            assert found, reply
            self._learn("INBOX", int(found[1]), [(int(found[2]), key)])

        self._promise("append", lambda after: after["INBOX"].update([(key, False)]), act)

    def _send(self) -> None:
        key, raw = self._letter()

        def act() -> None:
            with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=60) as client:
                try:
                    client.sendmail("crash@elsewhere.test", [self.login], raw)
                except smtplib.SMTPDataError as error:
                    assert 400 <= error.smtp_code < 500, f"a fault is answered with {error}"
                    raise Refused(error) from None

        self._promise("smtp", lambda after: after["INBOX"].update([(key, False)]), act)

    def _flag(self) -> None:
        uid, key, flagged = self._choose()

        def change(after: Contents) -> None:
            _take(after["INBOX"], (key, flagged))
            after["INBOX"][(key, not flagged)] += 1

        def act() -> None:
            sign = "-FLAGS" if flagged else "+FLAGS"
            told = _modseqs(self._ask(lambda imap: imap.uid("STORE", str(uid), sign, r"(\Flagged)")))
            assert told and max(told) > self.modseq["INBOX"], f"modseqs {told} after {self.modseq['INBOX']}"
            self.modseq["INBOX"] = max(told)

        self._promise("store", change, act)

    def _copy(self) -> None:
        uid, key, flagged = self._choose()

        def act() -> None:
            reply = self._ask(lambda imap: imap.uid("COPY", str(uid), "Archive"))
            self._learn_copy(reply, key)

        self._promise("copy", lambda after: after["Archive"].update([(key, flagged)]), act)

    def _move(self) -> None:
        uid, key, flagged = self._choose()

        def change(after: Contents) -> None:
            _take(after["INBOX"], (key, flagged))
            after["Archive"][(key, flagged)] += 1

        def act() -> None:
            reply = self._ask(lambda imap: imap.uid("MOVE", str(uid), "Archive"))
            self._learn_copy(reply, key)

        self._promise("move", change, act)

    def _expunge(self) -> None:
        uid, key, flagged = self._choose()

        def act() -> None:
            self._ask(lambda imap: imap.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)"))
            self._ask(lambda imap: imap.uid("EXPUNGE", str(uid)))

        self._promise("expunge", lambda after: _take(after["INBOX"], (key, flagged)), act)

    def _pop(self) -> None:
        _, key, flagged = self._choose()

        def act() -> None:
            client = poplib.POP3("127.0.0.1", self.ports["pop3"], timeout=60)
            try:
                client.user(self.login)
                client.pass_(PASSWORD)
                count = client.stat()[0]
                subject = f"Subject: {key}".encode()
                client.dele(next(n for n in range(1, count + 1) if subject in client.top(n, 0)[1]))
                client.quit()
            except poplib.error_proto as error:
                if "-ERR [" in str(error.args[0]):
                    raise Refused(error) from None
                raise

        self._promise("pop3", lambda after: _take(after["INBOX"], (key, flagged)), act)

    def _letter(self) -> tuple[str, bytes]:
        self._number += 1
        key = f"{self.login.partition('@')[0]}-{self._number}"
        large = self.rng.random() < 0.2
        noise = self.rng.randbytes(100_000 if large else 200).hex()  # a large one lies in a file of its own
        lines = "\r\n".join(noise[i : i + 70] for i in range(0, len(noise), 70))
        raw = f"Message-ID: <{key}@crash.test>\r\nSubject: {key}\r\n\r\n{lines}\r\n".encode()
        self.sent[key] = hashlib.sha256(raw).hexdigest()
        return key, raw

    def _choose(self) -> tuple[int, str, bool]:
        """A message of the INBOX whose UID is known: SMTP tells none, so look if need be."""
        uids = {key: uid for uid, key in self.told["INBOX"].items()}
        known = [(uids[key], key, flagged) for key, flagged in self.model["INBOX"] if key in uids]
        if not known:
            self.check(self.ports)
            return self._choose()
        return self.rng.choice(sorted(known))

    # ------------------------------------------------------------ being told

    def _ask(self, command: Callable[[imaplib.IMAP4], tuple[str, list]]) -> bytes:
        imap = self._session()
        try:
            status, data = command(imap)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            raise AssertionError(f"a fault is answered with BAD: {error}") from None
        if status != "OK":
            raise Refused(data)
        copied = imap.response("COPYUID")[1]
        return b" ".join(item for item in [*data, *(copied or ())] if isinstance(item, bytes))

    def _session(self) -> imaplib.IMAP4:
        if self._imap is None:
            imap = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=60)
            try:
                imap.login(self.login, PASSWORD)
                imap.enable("CONDSTORE")
                status, data = imap.select("INBOX")
            except imaplib.IMAP4.abort:
                raise
            except imaplib.IMAP4.error as error:
                raise Refused(error) from None
            if status != "OK":  # the database is away just now
                imap.shutdown()
                raise Refused(data)
            self._imap = imap
        return self._imap

    def leave(self) -> None:
        if self._imap is not None:
            with contextlib.suppress(*GONE):
                self._imap.shutdown()
            self._imap = None

    def _learn(self, box: str, validity: int, pairs: list[tuple[int, str]]) -> None:
        assert self.validity.setdefault(box, validity) == validity, f"{box}: UIDVALIDITY changed"
        for uid, key in pairs:
            assert self.told[box].setdefault(uid, key) == key, f"{box}: UID {uid} was {self.told[box][uid]}, is {key}"

    def _learn_copy(self, reply: bytes, key: str) -> None:
        found = re.search(rb"(\d+) \d+ (\d+)(?:\]|$)", reply)
        assert found, reply
        self._learn("Archive", int(found[1]), [(int(found[2]), key)])

    # ------------------------------------------------------------ checking

    def check(self, ports: dict[str, int]) -> None:
        """The server holds what it should, and has not given a number twice."""
        self.ports = ports
        self.leave()
        found: Contents = {}
        imap = self._session()
        for box in BOXES:
            status, data = imap.select(box)
            if status != "OK":  # the database is away just now, and nothing is selected any more
                self.leave()
                raise Refused(data)
            highest = int((imap.response("HIGHESTMODSEQ")[1] or [b"0"])[0])
            assert highest >= self.modseq[box], f"{box}: HIGHESTMODSEQ {highest} after {self.modseq[box]}"
            validity = int(imap.response("UIDVALIDITY")[1][0])
            found[box] = self._read(imap, box, validity, highest)
        self.leave()
        allowed = [self.model, *self.pending]
        mine = [state for state in allowed if _same(state, found)]
        assert mine, f"{self.login}: found {found}, expected one of {allowed}"
        self.model, self.pending = mine[-1], []

    def _read(self, imap: imaplib.IMAP4, box: str, validity: int, highest: int) -> Counter[tuple[str, bool]]:
        contents: Counter[tuple[str, bool]] = Counter()
        fresh: list[tuple[int, str]] = []
        status, items = imap.uid("FETCH", "1:*", "(UID FLAGS MODSEQ BODY.PEEK[])")
        if status != "OK":
            raise Refused(items)
        for item in items:
            if not isinstance(item, tuple):
                continue
            uid = int(re.search(rb"UID (\d+)", item[0])[1])  # type: ignore[index]
            assert max(_modseqs(item[0])) <= highest, f"{box}: UID {uid} has a modseq over HIGHESTMODSEQ"
            raw = item[1][item[1].index(b"Message-ID:") :]  # without what was put before it on its way
            key = re.search(rb"Subject: (\S+)", raw)[1].decode()  # type: ignore[index]
            assert hashlib.sha256(raw).hexdigest() == self.sent[key], f"{box}: {key} has other octets"
            assert uid in self.told[box] or uid > self.floors[box], f"{box}: UID {uid} is an old one"
            fresh.append((uid, key))
            contents[(key, rb"\Flagged" in item[0])] += 1
        self._learn(box, validity, fresh)
        self.modseq[box] = max(self.modseq[box], highest)
        self.floors[box] = max(self.told[box], default=0)
        return contents


def _same(one: Contents, other: Contents) -> bool:
    return all(+one[box] == +other[box] for box in BOXES)


def _take(box: Counter[tuple[str, bool]], entry: tuple[str, bool]) -> None:
    box[entry] -= 1
    if not box[entry]:
        del box[entry]


def _modseqs(text: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"MODSEQ \((\d+)\)", text)]
