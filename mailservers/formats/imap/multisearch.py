"""ESEARCH: a search over several mailboxes (RFC 7377 section 4).

    esearch     = "ESEARCH" [SP "IN" SP "(" source-mbox ")"] [SP search-return-opts] SP search-program
    source-mbox = filter-mailboxes *(SP filter-mailboxes)
    filter-mailboxes = "selected" / "inboxes" / "personal" / "subscribed" /
                  ("subtree" / "subtree-one" / "mailboxes") SP one-or-more-mailbox

Scope options have no names yet, so none is understood.
"""

from dataclasses import dataclass

from ..search_keys import Numbers, walk
from .lexer import ImapSyntaxError, Lexer
from .notify import parse_names
from .search import ReturnOptions, SearchRequest, next_label, parse_program, parse_return_options

MAX_FILTERS = 100
PLAIN_FILTERS = ("SELECTED", "INBOXES", "PERSONAL", "SUBSCRIBED")
NAMED_FILTERS = ("SUBTREE", "SUBTREE-ONE", "MAILBOXES")


@dataclass(frozen=True, slots=True)
class Filter:
    """``kind`` in upper case."""

    kind: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MultiSearchRequest:
    """``filters`` None: the selected mailbox alone."""

    filters: tuple[Filter, ...] | None
    search: SearchRequest


def parse_multisearch(lexer: Lexer) -> MultiSearchRequest:
    lexer.sp()
    filters = _filters(lexer) if next_label(lexer) == "IN" else None
    options = parse_return_options(lexer)
    if options.names is None:
        options = ReturnOptions(frozenset({"ALL"}))
    search = SearchRequest(options, parse_program(lexer))
    only_selected = filters is None or filters == (Filter("SELECTED"),)
    if not only_selected:
        if options.asks("SAVE"):
            raise ImapSyntaxError("Only a search of the selected mailbox can be saved")  # section 2.2
        if any(isinstance(node, Numbers) for node in walk(search.key)):
            raise ImapSyntaxError("Message numbers mean nothing outside the selected mailbox")
    return MultiSearchRequest(None if only_selected else filters, search)


def _filters(lexer: Lexer) -> tuple[Filter, ...]:
    lexer.label("IN")
    lexer.sp()
    lexer.expect(b"(", "mailboxes to search")
    filters: list[Filter] = []
    while not lexer.skip(b")"):
        if filters:
            lexer.sp()
        kind = lexer.label("a mailbox filter")
        if kind in NAMED_FILTERS:
            lexer.sp()
            filters.append(Filter(kind, parse_names(lexer)))
        elif kind in PLAIN_FILTERS:
            filters.append(Filter(kind))
        else:
            raise ImapSyntaxError("Unknown mailbox filter")
        if len(filters) > MAX_FILTERS:
            raise ImapSyntaxError("Too many mailbox filters")
    if not filters:
        raise ImapSyntaxError("Expected mailboxes to search")
    lexer.sp()
    return tuple(filters)
