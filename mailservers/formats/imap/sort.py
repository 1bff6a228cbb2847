"""Arguments of SORT and THREAD (RFC 5256 section 5, RFC 5957, RFC 5267 section 3, RFC 6203).

sort          = ["UID" SP] "SORT" [search-return-opts] SP sort-criteria SP search-criteria
sort-criteria = "(" ["REVERSE" SP] sort-key *(SP ["REVERSE" SP] sort-key) ")"
thread        = ["UID" SP] "THREAD" SP thread-alg SP search-criteria
"""

from dataclasses import dataclass

from .lexer import ImapSyntaxError, Lexer
from .search import ReturnOptions, SearchRequest, parse_criteria, parse_return_options

SORT_KEYS = frozenset(
    {"ARRIVAL", "CC", "DATE", "DISPLAYFROM", "DISPLAYTO", "FROM", "RELEVANCY", "SIZE", "SUBJECT", "TO"},
)
THREAD_ALGORITHMS = ("ORDEREDSUBJECT", "REFERENCES", "REFS")
MAX_CRITERIA = 20


@dataclass(frozen=True, slots=True)
class Criterion:
    key: str
    reverse: bool


@dataclass(frozen=True, slots=True)
class SortRequest:
    criteria: tuple[Criterion, ...]
    search: SearchRequest


@dataclass(frozen=True, slots=True)
class ThreadRequest:
    algorithm: str
    search: SearchRequest


def parse_sort(lexer: Lexer) -> SortRequest:
    lexer.sp()
    options = parse_return_options(lexer)
    criteria = _criteria(lexer)
    lexer.sp()
    return SortRequest(criteria, SearchRequest(options, parse_criteria(lexer)))


def parse_thread(lexer: Lexer) -> ThreadRequest:
    lexer.sp()
    algorithm = lexer.label("a threading algorithm")
    if algorithm not in THREAD_ALGORITHMS:
        raise ImapSyntaxError("Unknown threading algorithm")
    lexer.sp()
    return ThreadRequest(algorithm, SearchRequest(ReturnOptions(), parse_criteria(lexer)))


def _criteria(lexer: Lexer) -> tuple[Criterion, ...]:
    lexer.expect(b"(", "sort criteria")
    criteria: list[Criterion] = []
    while not lexer.skip(b")"):
        if criteria:
            lexer.sp()
        key = lexer.label("a sort key")
        reverse = key == "REVERSE"
        if reverse:
            lexer.sp()
            key = lexer.label("a sort key")
        if key not in SORT_KEYS:
            raise ImapSyntaxError("Unknown sort key")
        criteria.append(Criterion(key, reverse))
        if len(criteria) > MAX_CRITERIA:
            raise ImapSyntaxError("Too many sort criteria")
    if not criteria:
        raise ImapSyntaxError("Expected a sort key")
    return tuple(criteria)
