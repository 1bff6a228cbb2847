"""What an account's sessions, deliveries and POP3 clients were promised, all taken together.

A place is (UIDVALIDITY, UID). Sessions enter what they ask for before they send it and what they were answered
after; `Ledger.audit` compares with what a fresh session finds at the end:

- a place that was acknowledged is there with its content, or somebody asked for its removal;
- a place that is there was acknowledged, or is the one place of one delivery: nothing is twice;
- a place that any session was told is gone, is gone; a UID means one content for good;
- one mod-sequence of a message is one state of its flags, whoever is told;
- a keyword that only one session sets is there exactly if its last acknowledged STORE says so.

Only `strict` mailboxes, which nobody deletes or renames, are held to the first, second and last rule.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Place = tuple[int, int]


class Violation(AssertionError):
    """The server said or did what it must not."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message of a mailbox as a fresh session finds it."""

    token: bytes
    flags: frozenset[bytes]


class Ledger:
    """One account's; see the module's text."""

    def __init__(self, login: str) -> None:
        self.login = login
        self.names: dict[str, int] = {}  # the strict mailboxes' UIDVALIDITYs
        self.contents: dict[Place, bytes] = {}  # place -> token, as anybody was told
        self._states: dict[tuple[int, int, int], frozenset[bytes]] = {}
        self._created: dict[Place, tuple[bytes, float]] = {}  # acknowledged by APPENDUID or COPYUID: token, when
        self.delivered: set[bytes] = set()  # tokens that SMTP or LMTP accepted
        self.unsure: set[bytes] = set()  # appended or copied, and no answer came
        self._removed: set[Place] = set()  # asked to be moved, replaced or deleted
        self._must_be_gone: set[Place] = set()  # and acknowledged
        self._deleted_at: dict[Place, float] = {}  # somebody asked for \Deleted
        self._expunging: dict[int, int] = defaultdict(int)  # EXPUNGE commands in progress
        self._expunged_at: dict[int, float] = {}
        self._gone: dict[Place, float] = {}
        self._keywords: dict[tuple[int, int, bytes], bool | None] = {}
        self._replaced: set[Place] = set()  # FLAGS without a sign: whose keywords these are is not known
        self._floors: dict[tuple[int, bytes], int] = defaultdict(int)

    @property
    def strict(self) -> frozenset[int]:
        return frozenset(self.names.values())

    # ------------------------------------------------------------ what sessions are told

    def content(self, uid_validity: int, uid: int, token: bytes) -> None:
        known = self.contents.setdefault((uid_validity, uid), token)
        if known != token:
            raise Violation(f"{self.login}: UID {uid} of {uid_validity} was {known!r} and is {token!r}")

    def state(self, uid_validity: int, uid: int, modseq: int, flags: frozenset[bytes]) -> None:
        known = self._states.setdefault((uid_validity, uid, modseq), flags)
        if known != flags:
            raise Violation(
                f"{self.login}: UID {uid} of {uid_validity} at mod-sequence {modseq} had {sorted(known)}"
                f" and has {sorted(flags)}"
            )

    def told_gone(self, uid_validity: int, uid: int) -> None:
        self._gone.setdefault((uid_validity, uid), time.monotonic())

    def seen(self, uid_validity: int, uid: int, opened_at: float) -> None:
        """A session that selected the mailbox at `opened_at` is told of a message."""
        if self._gone.get((uid_validity, uid), math.inf) < opened_at:
            raise Violation(f"{self.login}: UID {uid} of {uid_validity} was expunged before and is there again")

    def floor(self, uid_validity: int, item: bytes) -> int:
        """What a command sent from now on must at least be told."""
        return self._floors[uid_validity, item]

    def rises(self, uid_validity: int, item: bytes, value: int, floor: int) -> None:
        """UIDNEXT and HIGHESTMODSEQ never fall."""
        if value < floor:
            raise Violation(f"{self.login}: {item!r} of {uid_validity} is {value} after {floor}")
        self._floors[uid_validity, item] = max(self._floors[uid_validity, item], value)

    # ------------------------------------------------------------ what is asked for, before it is sent

    def removing(self, uid_validity: int, uids: Iterable[int]) -> None:
        self._removed.update((uid_validity, uid) for uid in uids)

    def deleting(self, uid_validity: int, uids: Iterable[int]) -> None:
        """\\Deleted is about to be set."""
        now = time.monotonic()
        for uid in uids:
            self._deleted_at.setdefault((uid_validity, uid), now)

    def expunging(self, uid_validity: int) -> None:
        self._expunging[uid_validity] += 1

    def expunged(self, uid_validity: int) -> None:
        self._expunging[uid_validity] -= 1
        self._expunged_at[uid_validity] = time.monotonic()

    def replacing_flags(self, uid_validity: int, uids: Iterable[int]) -> None:
        self._replaced.update((uid_validity, uid) for uid in uids)

    def keyword(self, uid_validity: int, uids: Iterable[int], keyword: bytes, is_set: bool | None) -> None:
        """None while it is under way."""
        for uid in uids:
            self._keywords[uid_validity, uid, keyword] = is_set

    def keyword_uids(self, uid_validity: int, keyword: bytes) -> dict[int, bool | None]:
        """What is known of a keyword; messages whose FLAGS were replaced left out."""
        return {
            uid: state
            for (validity, uid, word), state in self._keywords.items()
            if validity == uid_validity and word == keyword and (validity, uid) not in self._replaced
        }

    # ------------------------------------------------------------ what was acknowledged

    def created(self, uid_validity: int, uid: int, token: bytes) -> None:
        self.content(uid_validity, uid, token)
        if (uid_validity, uid) in self._created:
            raise Violation(f"{self.login}: UID {uid} of {uid_validity} was given out twice")
        self._created[uid_validity, uid] = (token, time.monotonic())

    def copied(self, source: int, target: int, pairs: Iterable[tuple[int, int]], moved: bool) -> None:
        """COPYUID. A copy may bring \\Deleted along."""
        for old, new in pairs:
            self.created(target, new, self.contents[source, old])
            if (source, old) in self._deleted_at:
                self._deleted_at[target, new] = 0.0
            if moved:
                self._must_be_gone.add((source, old))

    def may_be_gone(self, place: Place) -> bool:
        if place in self._removed or place[0] not in self.strict:
            return True
        asked = self._deleted_at.get(place)
        if asked is None:
            return False
        last = math.inf if self._expunging[place[0]] else self._expunged_at.get(place[0], -math.inf)
        return asked <= last

    def at_least(self, uid_validity: int, by: float) -> int:
        """How many messages a session must be told of that looks after `by`."""
        return sum(
            1
            for place, (_, when) in self._created.items()
            if place[0] == uid_validity and when <= by and not self.may_be_gone(place)
        )

    # ------------------------------------------------------------ the end

    def audit(self, mailboxes: Mapping[int, Mapping[int, Found]]) -> list[str]:
        """`mailboxes`: UIDVALIDITY -> UID -> what is there. The faults, as sentences."""
        faults = [*self._lost(mailboxes), *self._twice(mailboxes)]
        for place in self._must_be_gone | self._gone.keys():
            if place[1] in mailboxes.get(place[0], {}):
                faults.append(f"{place} was announced as gone and is there")
        for (uid_validity, uid, word), is_set in self._keywords.items():
            found = mailboxes.get(uid_validity, {}).get(uid)
            if found is None or is_set is None or (uid_validity, uid) in self._replaced:
                continue
            if (word in found.flags) != is_set:
                faults.append(f"{(uid_validity, uid)}: {word!r} should be {is_set}, flags are {sorted(found.flags)}")
        return [f"{self.login}: {fault}" for fault in faults]

    def _lost(self, mailboxes: Mapping[int, Mapping[int, Found]]) -> Iterable[str]:
        for place, (token, _) in self._created.items():
            if place[1] not in mailboxes.get(place[0], {}) and not self.may_be_gone(place):
                yield f"{place} with {token!r} was acknowledged and is lost"
        inbox = self.names["INBOX"]
        arrived = {
            token
            for place, token in self.contents.items()
            if place[0] == inbox and token in self.delivered and place not in self._created
        }
        for token in self.delivered - arrived:
            yield f"{token!r} was accepted and never seen in INBOX"

    def _twice(self, mailboxes: Mapping[int, Mapping[int, Found]]) -> Iterable[str]:
        origins: dict[bytes, Place] = {}
        for place, token in self.contents.items():
            if place in self._created or place[0] not in self.strict or token in self.unsure:
                continue
            if token not in self.delivered or token in origins:
                yield f"{place} holds {token!r}, which nobody put there (known at {origins.get(token)})"
            origins[token] = place
