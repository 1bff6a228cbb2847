"""What is searched for, as a tree of frozen nodes: SEARCH's keys (RFC 9051 section 6.4.4) and the webmail's.

Texts are as the user gave them; `searchable.fold` makes them comparable.
"""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .imap.sequences import SequenceSet


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple["Key", ...]


@dataclass(frozen=True, slots=True)
class Or:
    first: "Key"
    second: "Key"


@dataclass(frozen=True, slots=True)
class Not:
    key: "Key"


@dataclass(frozen=True, slots=True)
class Flag:
    """A system flag (``\\Seen``) or keyword is set; ``\\Recent`` too."""

    name: str


@dataclass(frozen=True, slots=True)
class Header:
    """A header field called ``field`` (lower case) holds ``text``; with "" text, it is there."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """The body holds ``text``."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """Header or body holds ``text``."""

    text: str


@dataclass(frozen=True, slots=True)
class DateIs:
    """A date compares with ``date``. ``which``: internal, sent, saved; ``how``: before, on, since."""

    which: str
    how: str
    date: datetime.date


@dataclass(frozen=True, slots=True)
class Within:
    """Internal date at most (``younger``) or at least so many seconds ago."""

    younger: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class Larger:
    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    octets: int


@dataclass(frozen=True, slots=True)
class Uids:
    uids: SequenceSet


@dataclass(frozen=True, slots=True)
class Numbers:
    """Message sequence numbers, or ``$``."""

    numbers: SequenceSet


@dataclass(frozen=True, slots=True)
class ModSeq:
    """Changed at or after mod-sequence ``at_least``."""

    at_least: int


@dataclass(frozen=True, slots=True)
class Thread:
    """One of these threads (RFC 8474 THREADID; see store.threads)."""

    thread_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Email:
    """The content whose SHA-256 begins so (RFC 8474 EMAILID)."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class HasAttachment:
    """A reader would list an attachment (`summary.has_attachment`)."""


@dataclass(frozen=True, slots=True)
class FileName:
    """An attachment's name holds ``text``."""

    text: str


@dataclass(frozen=True, slots=True)
class InMailbox:
    """In one of these mailboxes."""

    mailbox_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """Also what nearly matches (RFC 6203). `fuzzy.at_closeness` replaces it before anything is searched."""

    key: "Key"


@dataclass(frozen=True, slots=True)
class StoredFilter:
    """The criteria kept under that name (RFC 5466). `rebuild` replaces it before anything is searched."""

    name: str


Key = (
    All
    | And
    | Or
    | Not
    | Flag
    | Header
    | Body
    | Text
    | DateIs
    | Within
    | Larger
    | Smaller
    | Uids
    | Numbers
    | ModSeq
    | Thread
    | Email
    | HasAttachment
    | FileName
    | InMailbox
    | Fuzzy
    | StoredFilter
)


def walk(key: Key) -> Iterator[Key]:
    """Every node of a tree."""
    yield key
    match key:
        case And(keys):
            for inner in keys:
                yield from walk(inner)
        case Or(first, second):
            yield from walk(first)
            yield from walk(second)
        case Not(inner) | Fuzzy(inner):
            yield from walk(inner)


def rebuild(key: Key, leaf: Callable[[Key], Key]) -> Key:
    """The tree with every node that has no others below replaced by what `leaf` makes of it."""
    match key:
        case And(inner):
            return And(tuple(rebuild(one, leaf) for one in inner))
        case Or(first, second):
            return Or(rebuild(first, leaf), rebuild(second, leaf))
        case Not(inner):
            return Not(rebuild(inner, leaf))
        case Fuzzy(inner):
            return Fuzzy(rebuild(inner, leaf))
    return leaf(key)
