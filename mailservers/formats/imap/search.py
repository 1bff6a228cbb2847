"""SEARCH's arguments as a tree of frozen nodes (RFC 9051 section 6.4.4).

    search         = "SEARCH" [search-return-opts] SP search-program
    search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)

Also RFC 3501's NEW, OLD and RECENT, RFC 5032's YOUNGER and OLDER, RFC 5466's FILTER, RFC 6203's FUZZY, RFC 7162's
MODSEQ, RFC 8474's EMAILID and THREADID, RFC 8514's SAVEDBEFORE and its kin.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..search_keys import (
    All,
    And,
    Body,
    DateIs,
    Email,
    Flag,
    Fuzzy,
    Header,
    Key,
    Larger,
    ModSeq,
    Not,
    Numbers,
    Or,
    Smaller,
    StoredFilter,
    Text,
    Thread,
    Uids,
    Within,
    walk,
)
from .fetch import FetchItem, parse_items
from .lexer import MAX_NESTING, BadCharset, BadFilterCharset, ImapSyntaxError, Lexer
from .partial import Partial, parse_partial

_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
_EMAIL_ID = re.compile(rb"M([0-9a-f]{32})")
_THREAD_ID = re.compile(rb"T([1-9][0-9]{0,18})")
CHARSETS = (b"US-ASCII", b"UTF-8")
_FILTER_NAME = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]/]+")
RETURN_OPTIONS = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE", "PARTIAL", "UPDATE", "CONTEXT", "RELEVANCY"})


@dataclass(frozen=True, slots=True)
class ReturnOptions:
    """``names`` is None where no RETURN was given, else the options, ALL where it was empty. ``items`` are what
    UPDATE wants fetched of new messages (RFC 5465 section 7)."""

    names: frozenset[str] | None = None
    partial: Partial | None = None
    items: tuple[FetchItem, ...] = ()

    def asks(self, name: str) -> bool:
        return self.names is not None and name in self.names


@dataclass(frozen=True, slots=True)
class SearchRequest:
    options: ReturnOptions
    key: Key


def parse_search(lexer: Lexer) -> SearchRequest:
    """The arguments of SEARCH and UID SEARCH. Raises BadCharset besides ImapSyntaxError."""
    lexer.sp()
    options = parse_return_options(lexer)
    return SearchRequest(options, parse_program(lexer))


def parse_program(lexer: Lexer) -> Key:
    """search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)"""
    if next_label(lexer) == "CHARSET":
        lexer.label("CHARSET")
        if not lexer.charset_allowed:
            raise ImapSyntaxError("No charset may be named after ENABLE UTF8=ACCEPT")
        lexer.sp()
        return parse_criteria(lexer)
    return _keys_to_the_end(lexer)


def parse_criteria(lexer: Lexer) -> Key:
    """search-criteria = charset 1*(SP search-key): what SORT and THREAD end with (RFC 5256 section 5)."""
    is_known = lexer.astring("a charset").upper() in CHARSETS
    lexer.sp()
    if not is_known and any(isinstance(node, StoredFilter) for node in walk(_keys(lexer, 0))):
        raise BadFilterCharset("Filters are in UTF-8")
    if not is_known:
        raise BadCharset("Unknown charset")
    return _keys_to_the_end(lexer)


def parse_stored(lexer: Lexer) -> Key:
    """search-criteria = search-key *(SP search-key), as RFC 5466 section 4 has it."""
    return _keys_to_the_end(lexer)


def _keys_to_the_end(lexer: Lexer) -> Key:
    key = _keys(lexer, 0)
    lexer.end()
    return key


def next_label(lexer: Lexer) -> str | None:
    if not lexer.peek().isalpha():
        return None
    start = lexer.pos
    label = lexer.label("a search key")
    lexer.pos = start
    return label


def parse_return_options(lexer: Lexer) -> ReturnOptions:
    """search-return-opts = "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" SP

    RFC 5267 section 4.4: PARTIAL is given once at most, and not with ALL."""
    if next_label(lexer) != "RETURN":
        return ReturnOptions()
    lexer.label("RETURN")
    lexer.sp()
    lexer.expect(b"(", "search return options")
    names: set[str] = set()
    partial: Partial | None = None
    items: tuple[FetchItem, ...] = ()
    while not lexer.skip(b")"):
        if names:
            lexer.sp()
        name = lexer.label("a search return option")
        if name not in RETURN_OPTIONS or (name == "PARTIAL" and partial is not None):
            raise ImapSyntaxError("Unknown search return option")
        if name == "PARTIAL":
            lexer.sp()
            partial = parse_partial(lexer)
        elif name == "UPDATE" and lexer.skip(b" ("):
            items = parse_items(lexer)
        names.add(name)
    lexer.sp()
    if partial is not None and "ALL" in names:
        raise ImapSyntaxError("PARTIAL and ALL exclude each other")
    return ReturnOptions(frozenset(names or {"ALL"}), partial, items)


def _keys(lexer: Lexer, depth: int) -> Key:
    """search-key *(SP search-key)"""
    keys = [_key(lexer, depth)]
    while lexer.peek() == b" ":
        lexer.sp()
        if not lexer.peek():  # a trailing space: end() forgives it
            lexer.pos -= 1
            break
        keys.append(_key(lexer, depth))
    return keys[0] if len(keys) == 1 else And(tuple(keys))


def _key(lexer: Lexer, depth: int) -> Key:
    if depth > MAX_NESTING:
        raise ImapSyntaxError("Search keys nested too deeply")
    following = lexer.peek()
    if following == b"(":
        lexer.skip(b"(")
        key = _keys(lexer, depth + 1)
        lexer.expect(b")", "a closing parenthesis")
        return key
    if following.isdigit() or following in (b"*", b"$"):
        return Numbers(lexer.sequence_set())
    name = lexer.label("a search key")
    if name in _PLAIN:
        return _PLAIN[name]
    reader = _WITH_ARGUMENT.get(name)
    if reader is None:
        raise ImapSyntaxError("Unknown search key")
    lexer.sp()
    return reader(lexer, depth)


_PLAIN: dict[str, Key] = {
    "ALL": All(),
    "RECENT": Flag("\\Recent"),
    "NEW": And((Flag("\\Recent"), Not(Flag("\\Seen")))),
    "OLD": Not(Flag("\\Recent")),
    "SAVEDATESUPPORTED": All(),  # RFC 8514 section 4.3: every mailbox keeps save dates
}
for _name in ("Answered", "Deleted", "Draft", "Flagged", "Seen"):
    _PLAIN[_name.upper()] = Flag(f"\\{_name}")
    _PLAIN[f"UN{_name.upper()}"] = Not(Flag(f"\\{_name}"))


def _keyword(lexer: Lexer) -> Flag:
    """flag-keyword = atom: not a system flag"""
    return Flag(lexer.atom("a keyword").decode("ascii"))


def _header(lexer: Lexer) -> Header:
    field = lexer.text_string("a header field name")
    lexer.sp()
    return Header(field.lower(), lexer.text_string())


def _or(lexer: Lexer, depth: int) -> Or:
    first = _key(lexer, depth + 1)
    lexer.sp()
    return Or(first, _key(lexer, depth + 1))


def _modseq(lexer: Lexer) -> ModSeq:
    """MODSEQ [SP entry-name SP entry-type-req] SP mod-sequence-valzer

    Mod-sequences are kept per message, not per flag, so the entry is read and not used (RFC 7162
    section 3.1.5: "the server MUST ignore [it]" where it keeps none).
    """
    if lexer.peek() == b'"':
        entry = lexer.string()
        if not entry.lower().startswith(b"/flags/"):
            raise ImapSyntaxError("Unknown metadata entry")
        lexer.sp()
        if lexer.label("an entry type") not in ("PRIV", "SHARED", "ALL"):
            raise ImapSyntaxError("Unknown entry type")
        lexer.sp()
    return ModSeq(lexer.number64())


def _email_id(lexer: Lexer) -> Key:
    """objectid = 1*255(ALPHA / DIGIT / "_" / "-"); ours are written by `imap.object_ids`, others are nobody's."""
    own = _EMAIL_ID.fullmatch(lexer.match(_OBJECT_ID, "an object identifier")[0])
    return Email(bytes.fromhex(own[1].decode("ascii"))) if own else Not(All())


def _thread_id(lexer: Lexer) -> Key:
    own = _THREAD_ID.fullmatch(lexer.match(_OBJECT_ID, "an object identifier")[0])
    return Thread(frozenset({int(own[1])})) if own and int(own[1]) < 1 << 63 else Not(All())


def _filter(lexer: Lexer) -> StoredFilter:
    """filter-name = 1*<any ATOM-CHAR except "/">"""
    return StoredFilter(lexer.match(_FILTER_NAME, "the name of a filter")[0].decode("ascii").lower())


def _within(younger: bool) -> Callable[[Lexer, int], Key]:
    return lambda lexer, _depth: Within(younger, lexer.nz_number())


def _date_is(which: str, how: str) -> Callable[[Lexer, int], Key]:
    return lambda lexer, _depth: DateIs(which, how, lexer.date())


def _field(name: str) -> Callable[[Lexer, int], Key]:
    return lambda lexer, _depth: Header(name, lexer.text_string())


_WITH_ARGUMENT: dict[str, Callable[[Lexer, int], Key]] = {
    "HEADER": lambda lexer, _depth: _header(lexer),
    "BODY": lambda lexer, _depth: Body(lexer.text_string()),
    "TEXT": lambda lexer, _depth: Text(lexer.text_string()),
    "KEYWORD": lambda lexer, _depth: _keyword(lexer),
    "UNKEYWORD": lambda lexer, _depth: Not(_keyword(lexer)),
    "LARGER": lambda lexer, _depth: Larger(lexer.number64()),
    "SMALLER": lambda lexer, _depth: Smaller(lexer.number64()),
    "UID": lambda lexer, _depth: Uids(lexer.sequence_set()),
    "MODSEQ": lambda lexer, _depth: _modseq(lexer),
    "NOT": lambda lexer, depth: Not(_key(lexer, depth + 1)),
    "OR": _or,
    "FUZZY": lambda lexer, depth: Fuzzy(_key(lexer, depth + 1)),
    "FILTER": lambda lexer, _depth: _filter(lexer),
    "EMAILID": lambda lexer, _depth: _email_id(lexer),
    "THREADID": lambda lexer, _depth: _thread_id(lexer),
    "YOUNGER": _within(True),
    "OLDER": _within(False),
}
for _name in ("bcc", "cc", "from", "subject", "to"):
    _WITH_ARGUMENT[_name.upper()] = _field(_name)
for _how in ("before", "on", "since"):
    _WITH_ARGUMENT[_how.upper()] = _date_is("internal", _how)
    _WITH_ARGUMENT[f"SENT{_how.upper()}"] = _date_is("sent", _how)
    _WITH_ARGUMENT[f"SAVED{_how.upper()}"] = _date_is("saved", _how)
