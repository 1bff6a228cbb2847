"""The arguments of SELECT and EXAMINE (RFC 4466, RFC 7162 sections 3.1.8 and 3.2.5).

select-param   = "CONDSTORE" / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value
                 [SP known-uids] [SP seq-match-data] ")"
seq-match-data = "(" known-sequence-set SP known-uid-set ")"
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .lexer import ImapSyntaxError, Lexer
from .sequences import SequenceSet


@dataclass(frozen=True, slots=True)
class KnownState:
    """What a client that comes back knows of the mailbox: QRESYNC's parameters. ``uids`` None: all of them.

    ``numbers`` and ``number_uids`` correspond: a sample of sequence numbers with their UIDs."""

    uid_validity: int
    modseq: int
    uids: SequenceSet | None = None
    numbers: SequenceSet | None = None
    number_uids: SequenceSet | None = None

    def pairs(self, largest_number: int) -> Iterator[tuple[int, int]]:
        """(sequence number, UID) of the sample, ascending, up to a number."""
        if self.numbers is None or self.number_uids is None:
            return
        uids = (uid for low, high in self.number_uids.ranges for uid in range(low, high + 1))
        for low, high in self.numbers.ranges:
            for number in range(low, high + 1):
                if number > largest_number:
                    return
                yield number, next(uids)


@dataclass(frozen=True, slots=True)
class SelectRequest:
    mailbox: str
    condstore: bool = False
    known: KnownState | None = None


def parse_select(lexer: Lexer) -> SelectRequest:
    """select = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"]"""
    lexer.sp()
    mailbox = lexer.mailbox()
    condstore = False
    known: KnownState | None = None
    if lexer.skip(b" ") and lexer.peek():
        lexer.expect(b"(", "SELECT parameters")
        closed = False
        while not closed:
            name = lexer.label("a SELECT parameter")
            if name == "CONDSTORE":
                condstore = True
            elif name == "QRESYNC" and known is None:
                known = _known_state(lexer)
            else:
                raise ImapSyntaxError("Unknown SELECT parameter")
            closed = lexer.skip(b")")
            if not closed:
                lexer.sp()
    lexer.end()
    return SelectRequest(mailbox, condstore, known)


def _known_state(lexer: Lexer) -> KnownState:
    lexer.sp()
    lexer.expect(b"(", "QRESYNC parameters")
    uid_validity = lexer.nz_number("a UIDVALIDITY")
    lexer.sp()
    modseq = lexer.number64("a mod-sequence")
    uids = numbers = number_uids = None
    if lexer.skip(b" ") and lexer.peek() != b"(":
        uids = _known_set(lexer)
        lexer.skip(b" ")
    if lexer.skip(b"("):
        numbers = _ascending_set(lexer)
        lexer.sp()
        number_uids = _ascending_set(lexer)
        lexer.expect(b")", "a closing parenthesis")
        if _count(numbers) != _count(number_uids):
            raise ImapSyntaxError("The sequence match data do not correspond")
    lexer.expect(b")", "a closing parenthesis")
    return KnownState(uid_validity, modseq, uids, numbers, number_uids)


def _known_set(lexer: Lexer) -> SequenceSet:
    """known-uids: a set without ``*`` and ``$`` (RFC 7162 section 7)."""
    numbers = lexer.sequence_set()
    if numbers.saved or numbers.has_star:
        raise ImapSyntaxError("Expected a set of numbers")
    return numbers


def _ascending_set(lexer: Lexer) -> SequenceSet:
    """known-sequence-set and known-uid-set, "in ascending order"."""
    numbers = _known_set(lexer)
    last = 0
    for low, high in numbers.ranges:
        if not last < low <= high:
            raise ImapSyntaxError("Expected an ascending set of numbers")
        last = high
    return numbers


def _count(numbers: SequenceSet) -> int:
    return sum(high - low + 1 for low, high in numbers.ranges)
