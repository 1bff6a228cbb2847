"""LIST's, LSUB's and STATUS's arguments (RFC 9051 sections 6.3.9 and 6.3.11, RFC 5258, 5819, 6154, 8440, 9590).

list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
"""

from dataclasses import dataclass, replace

from .lexer import ImapSyntaxError, Lexer
from .metadata import parse_entries

MAX_PATTERNS = 64
MAX_PATTERN_CHARACTERS = 1024

STATUS_ITEMS = (
    "MESSAGES",
    "RECENT",
    "UIDNEXT",
    "UIDVALIDITY",
    "UNSEEN",
    "DELETED",
    "DELETED-STORAGE",
    "SIZE",
    "HIGHESTMODSEQ",
    "APPENDLIMIT",
    "MAILBOXID",
)
SELECTION_OPTIONS = ("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE")
_BASE_OPTIONS = frozenset({"SUBSCRIBED", "SPECIAL-USE"})  # RECURSIVEMATCH needs one of them
RETURN_OPTIONS = ("SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS", "MYRIGHTS", "METADATA")


@dataclass(frozen=True, slots=True)
class ListRequest:
    """``extended`` where any of RFC 5258's syntax was used; ``status`` holds RETURN (STATUS ...)'s items,
    ``entries`` those of RETURN (METADATA ...)."""

    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    extended: bool = False
    entries: tuple[str, ...] = ()


def parse_list(lexer: Lexer) -> ListRequest:
    """The arguments of LIST."""
    lexer.sp()
    selection: frozenset[str] = frozenset()
    extended = lexer.peek() == b"("
    if extended:
        selection = _options(lexer, SELECTION_OPTIONS)
        if "RECURSIVEMATCH" in selection and not selection & _BASE_OPTIONS:
            raise ImapSyntaxError("RECURSIVEMATCH needs another selection option")
        lexer.sp()
    reference = lexer.mailbox()
    lexer.sp()
    if lexer.peek() == b"(":
        extended = True
        patterns = _patterns(lexer)
    else:
        patterns = (lexer.list_mailbox(),)
    request = ListRequest(reference, patterns, selection, extended=extended)
    if lexer.peek() == b" ":
        lexer.sp()
        if lexer.peek():
            request = _with_return_options(lexer, request)
    lexer.end()
    if any(len(reference) + len(pattern) > MAX_PATTERN_CHARACTERS for pattern in patterns):
        raise ImapSyntaxError("Pattern too long")
    return request


def parse_lsub(lexer: Lexer) -> ListRequest:
    """lsub = "LSUB" SP mailbox SP list-mailbox"""
    lexer.sp()
    reference = lexer.mailbox()
    lexer.sp()
    pattern = lexer.list_mailbox()
    lexer.end()
    if len(reference) + len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ImapSyntaxError("Pattern too long")
    return ListRequest(reference, (pattern,), frozenset({"SUBSCRIBED"}))


def _options(lexer: Lexer, known: tuple[str, ...]) -> frozenset[str]:
    lexer.expect(b"(", "options")
    options: set[str] = set()
    while not lexer.skip(b")"):
        if options:
            lexer.sp()
        option = lexer.label("an option")
        if option not in known:
            raise ImapSyntaxError("Unknown LIST option")
        options.add(option)
    return frozenset(options)


def _with_return_options(lexer: Lexer, request: ListRequest) -> ListRequest:
    """list-return-opts = "RETURN" SP "(" [list-return-opt *(SP list-return-opt)] ")" """
    if lexer.label("RETURN") != "RETURN":
        raise ImapSyntaxError("Expected RETURN")
    lexer.sp()
    lexer.expect(b"(", "return options")
    options: set[str] = set()
    status: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    while not lexer.skip(b")"):
        if options:
            lexer.sp()
        option = lexer.label("a return option")
        if option not in RETURN_OPTIONS:
            raise ImapSyntaxError("Unknown LIST return option")
        if option == "STATUS":
            lexer.sp()
            status = status_items(lexer)
        elif option == "METADATA":
            lexer.sp()
            if lexer.peek() != b"(":
                raise ImapSyntaxError("Expected entries")
            entries = parse_entries(lexer)
        options.add(option)
    return replace(request, returns=frozenset(options), status=status, entries=entries, extended=True)


def _patterns(lexer: Lexer) -> tuple[str, ...]:
    """patterns = "(" list-mailbox *(SP list-mailbox) ")" (RFC 5258)"""
    lexer.expect(b"(", "patterns")
    patterns = [lexer.list_mailbox()]
    while not lexer.skip(b")"):
        lexer.sp()
        patterns.append(lexer.list_mailbox())
        if len(patterns) > MAX_PATTERNS:
            raise ImapSyntaxError("Too many patterns")
    return tuple(patterns)


def status_items(lexer: Lexer) -> tuple[str, ...]:
    """ "(" status-att *(SP status-att) ")" """
    lexer.expect(b"(", "STATUS items")
    items: dict[str, None] = {}
    while not items or not lexer.skip(b")"):
        if items:
            lexer.sp()
        item = lexer.label("a STATUS item")
        if item not in STATUS_ITEMS:
            raise ImapSyntaxError("Unknown STATUS item")
        items[item] = None
    return tuple(items)


@dataclass(frozen=True, slots=True)
class StatusRequest:
    mailbox: str
    items: tuple[str, ...]


def parse_status(lexer: Lexer) -> StatusRequest:
    """status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")" """
    lexer.sp()
    mailbox = lexer.mailbox()
    lexer.sp()
    items = status_items(lexer)
    lexer.end()
    return StatusRequest(mailbox, items)


def matches(pattern: str, name: str, delimiter: str = "/") -> bool:
    """True where ``pattern`` selects ``name``: ``*`` is anything, ``%`` anything but the delimiter.

    INBOX matches in any case (RFC 9051 section 6.3.9). The automaton's states are walked side by
    side: time is at most the product of the lengths, however many wildcards there are.
    """
    if pattern[:5].upper() == "INBOX" and pattern[5:6] in ("", delimiter, "*", "%"):
        pattern = "INBOX" + pattern[5:]
    if pattern == "*" or pattern == name:
        return True
    states = _past_wildcards(pattern, {0})
    for character in name:
        following = set()
        for state in states:
            wanted = pattern[state : state + 1]
            if wanted == "*" or (wanted == "%" and character != delimiter):
                following.add(state)
            elif wanted == character:
                following.add(state + 1)
        states = _past_wildcards(pattern, following)
        if not states:
            return False
    return len(pattern) in states


def _past_wildcards(pattern: str, states: set[int]) -> set[int]:
    """``states`` and those reached from them by letting wildcards stand for nothing."""
    reached = set(states)
    for state in states:
        while pattern[state : state + 1] in ("*", "%"):
            state += 1
            if state in reached:
                break
            reached.add(state)
    return reached
