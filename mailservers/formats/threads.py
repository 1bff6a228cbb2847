"""Which messages belong to one conversation: the rule, free of any database.

Two messages are of one thread when they share a message identifier among Message-ID, In-Reply-To and References;
identifiers of messages that were never seen count too, so that answers find each other without their question.
A reply that names no message at all (some gateways and phones strip References) joins the latest message with its
base subject (RFC 5256 section 2.1) of the last SUBJECT_DAYS days. Subjects alone never join two that are no replies,
and another subject does not part what references join.

Identifiers are kept as 64-bit digests, "keys". A thread is a number that never changes for a message once given
(RFC 8474 section 5.2: "MUST NOT change"); where a message shows two threads to be one, `Threader.joins` says so.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .subjects import base_subject

SUBJECT_DAYS = 60

# "Re:" as mail programs in other languages write it. RFC 5256 does not know them, so sorting does not either.
_FOREIGN_REPLY = re.compile(r"(?:aw|antw|sv|vs|res|rif|odp|ynt|wg|tr|rv)[ \t]*:[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ThreadKeys:
    """What a message is threaded by. `own` first among `ids`; `subject` is None where there is none."""

    ids: tuple[int, ...]
    subject: int | None
    is_bare_reply: bool  # a reply that names no message


def digest(text: str) -> int:
    """A signed 64-bit number for a key."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big", signed=True)


def thread_keys(
    message_id: str, in_reply_to: str, references: Iterable[str], subject: str, sha256: bytes
) -> ThreadKeys:
    """`sha256` of the content stands in for a Message-ID that is missing: equal contents are of one thread."""
    named = [name for name in (*references, in_reply_to) if name]
    own = message_id or "content:" + sha256.hex()
    text, is_answer = thread_subject(subject)
    return ThreadKeys(
        tuple(dict.fromkeys(digest(name) for name in (own, *named))),
        digest("subject:" + text) if text else None,
        is_answer and not named,
    )


def thread_subject(subject: str) -> tuple[str, bool]:
    """The base subject without regard to case and blanks, and whether it was a reply's."""
    base = base_subject(subject)
    text, is_answer = base.text, base.is_answer
    while foreign := _FOREIGN_REPLY.match(text):
        text, is_answer = base_subject(text[foreign.end() :]).text, True
    return "".join(text.casefold().split()), is_answer


def owner_key(owner_id: int, key: int) -> int:
    """A key as one owner's: still 64 bits, signed."""
    mixed = (key ^ (owner_id * 0x9E3779B97F4A7C15)) & 0xFFFF_FFFF_FFFF_FFFF
    return mixed - (1 << 64) if mixed >> 63 else mixed


@dataclass(slots=True)
class Threader:
    """Gives thread numbers to messages one after the other.

    `known`: what the `owner_key`s stood for before. `new`: owner_key -> (owner, thread), those to be written.
    `joins`: (owner, thread, thread): the two turned out to be one conversation."""

    known: dict[int, int]
    new: dict[int, tuple[int, int]] = field(default_factory=dict)
    joins: list[tuple[int, int, int]] = field(default_factory=list)

    def place(self, owner_id: int, keys: ThreadKeys, new_thread: int, by_subject: int | None = None) -> int:
        """The thread of a message: that of its own identifier if somebody named it before, or the oldest of those
        that it names. `new_thread` is its number where it begins one; `by_subject` the thread that its subject
        points to, for a bare reply."""
        own_keys = [owner_key(owner_id, key) for key in keys.ids]
        threads = [self.known.get(key) for key in own_keys]
        found = {thread for thread in threads if thread is not None}
        thread = threads[0] if threads[0] is not None else min(found, default=None)
        if thread is None:
            thread = by_subject if by_subject is not None and keys.is_bare_reply else new_thread
        self.joins += [(owner_id, other, thread) for other in sorted(found - {thread})]
        for key in own_keys:
            if key not in self.known:
                self.known[key] = thread
                self.new[key] = owner_id, thread
        return thread
