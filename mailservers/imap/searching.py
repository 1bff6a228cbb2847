"""SEARCH and UID SEARCH: the key tree handed to the store, and the answer (RFC 9051 sections 6.4.4 and 7.3.4,
RFC 4731, RFC 5182, RFC 7162 section 3.1.5; FUZZY: RFC 6203).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mailservers.formats import search_keys as keys
from mailservers.formats.fuzzy import Closeness, at_closeness, is_fuzzy
from mailservers.formats.imap.lexer import ImapSyntaxError
from mailservers.formats.imap.search import ReturnOptions, SearchRequest
from mailservers.formats.imap.sequences import write_numbers
from mailservers.formats.search_keys import Key, walk
from mailservers.imap.contexts import Context, keep_updated, require_new_tag
from mailservers.imap.filters import with_filters
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.session import Session
from mailservers.store.engine import store
from mailservers.store.searching.finding import find_some, scope_now

Look: TypeAlias = (
    "Callable[[Key], Awaitable[tuple[array[int], int]]]"  # the UIDs that match, and their highest mod-sequence
)
_TELLS_NOTHING = frozenset({"SAVE", "UPDATE", "CONTEXT"})


@dataclass(slots=True)
class Found:
    """UIDs in the order asked for. `highest`: the mod-sequence, where the search went by it (else 0); `scores`: by
    UID, where they were asked for; `context`: what keeping the result up to date takes."""

    uids: array[int]
    highest: int
    scores: dict[int, int]
    context: Context


@dataclass(frozen=True, slots=True)
class Order:
    """How SORT orders: `sort` is given UIDs and their scores."""

    sort: Callable[[array[int], dict[int, int]], Awaitable[array[int]]]
    by_relevancy: bool = False


async def search(session: Session, request: SearchRequest, by_uid: bool = False) -> Reply:
    """SEARCH and UID SEARCH."""
    found = await carry_out(session, request)
    respond(session, request.options, found, by_uid, b"SEARCH")
    return updating(session, request.options, found, by_uid, "SEARCH completed")


async def carry_out(session: Session, request: SearchRequest, order: Order | None = None) -> Found:
    """Search the selected mailbox."""
    options = request.options
    if options.asks("UPDATE"):
        require_new_tag(session)
    saved = session.saved
    try:
        key = await with_filters(session, request.key)
    except Refusal:
        if options.asks("SAVE"):
            session.saved = array("I")
        raise
    scored = options.asks("RELEVANCY") or (order is not None and order.by_relevancy)
    require_fuzzy(options, key, scored)
    by_modseq = any(isinstance(node, keys.ModSeq) for node in walk(key))
    if by_modseq:
        session.enable_condstore()
    chosen = _chosen(session, key, saved)
    if options.asks("SAVE"):
        session.saved = array("I")  # RFC 5182 section 2.1: empty where the search fails, but for BAD
    loose = at_closeness(key, Closeness.BEGINNINGS)

    async def look(key: Key) -> tuple[array[int], int]:
        return await find(session, key, chosen)

    uids, highest = await look(loose)
    scores = await scores_of(look, key, uids) if scored else {}
    if order is not None:
        uids = await order.sort(uids, scores)
    if options.asks("SAVE"):
        session.saved = _to_save(uids, options)
    settled = {node: some for node, some in chosen.items() if node in _settled(key)}
    return Found(uids, highest if by_modseq else 0, scores, Context(loose, settled, options.items))


def updating(session: Session, options: ReturnOptions, found: Found, by_uid: bool, text: str) -> Reply:
    """The tagged reply; the result is kept up to date from here on where UPDATE asks for it."""
    if options.asks("UPDATE"):
        found.context.by_uid = by_uid
        found.context.hold(found.uids)
        keep_updated(session, found.context)
    return Reply(text)


def require_fuzzy(options: ReturnOptions, key: Key, is_sorted_by: bool = False) -> None:
    """RFC 6203 section 4: RELEVANCY is of FUZZY keys."""
    if (is_sorted_by or options.asks("RELEVANCY")) and not is_fuzzy(key):
        raise ImapSyntaxError("RELEVANCY needs a FUZZY search key")


async def scores_of(look: Look, key: Key, uids: Sequence[int]) -> dict[int, int]:
    """RFC 6203 section 4: what matches more closely has the higher score."""
    scores = dict.fromkeys(uids, int(Closeness.BEGINNINGS))
    for closeness in (Closeness.WORDS, Closeness.EXACT):
        for uid in (await look(at_closeness(key, closeness)))[0]:
            if uid in scores:
                scores[uid] = int(closeness)
    return scores


def _settled(key: Key) -> set[int]:
    """The message sets that mean the same messages for ever: numbers, and what SEARCH saved (RFC 5267 section 4.3)."""
    return {
        id(node)
        for node in walk(key)
        if isinstance(node, keys.Numbers) or (isinstance(node, keys.Uids) and node.uids.saved)
    }


async def find(session: Session, key: Key, chosen: dict[int, Sequence[int]]) -> tuple[array[int], int]:
    """The UIDs of the view that match, ascending, and the highest mod-sequence among them."""
    selected = session.mailbox

    async def progress(after: int) -> None:
        await session.progress(bisect_right(selected.view.uids, after), len(selected.view))

    return await find_in(selected.mailbox_id, key, chosen, selected.first_recent, selected.view.number_of, progress)


async def find_in(
    mailbox_id: int,
    key: Key,
    chosen: Mapping[int, Sequence[int]],
    first_recent: int = 0,
    is_known: Callable[[int], object] = bool,
    progress: Callable[[int], Awaitable[None]] | None = None,
) -> tuple[array[int], int]:
    """The same for any mailbox. `is_known`: which UIDs count; `progress`: told how far it is, from time to time."""
    scope = await store.read(scope_now, chosen, first_recent)
    found = array("I")
    highest = 0
    after: int | None = 0
    while after is not None:
        page = await store.read(find_some, mailbox_id, key, scope, after)
        for match in page.matches:
            if is_known(match.uid):
                found.append(match.uid)
                highest = max(highest, match.modseq)
        after = page.after
        if progress is not None and after is not None:
            await progress(after)
    return found, highest


def _chosen(session: Session, key: Key, saved: array[int] | None) -> dict[int, Sequence[int]]:
    """The UIDs of every message set in the key."""
    view = session.mailbox.view
    result: dict[int, Sequence[int]] = {}
    for node in walk(key):
        if isinstance(node, keys.Uids):
            result[id(node)] = view.present(saved or ()) if node.uids.saved else view.by_uid(node.uids)
        elif isinstance(node, keys.Numbers):
            if session.uidonly and not node.numbers.saved:
                raise Refusal("UIDREQUIRED", "Message numbers are not in use", "BAD")
            if node.numbers.saved:
                result[id(node)] = view.present(saved or ())
            else:
                result[id(node)] = view.by_number_if_any(node.numbers)
    return result


def _to_save(found: array[int], options: ReturnOptions) -> array[int]:
    """RFC 5182 section 2.4: with MIN or MAX, and neither ALL nor COUNT, only those are saved; RFC 9394 section 3.3:
    likewise with PARTIAL. Ascending."""
    names = options.names or frozenset()
    some = set[int]()
    if not names & {"ALL", "COUNT"} and names & {"MIN", "MAX", "PARTIAL"} and found:
        some |= {found[0]} if "MIN" in names else set()
        some |= {found[-1]} if "MAX" in names else set()
        some |= set(options.partial.of(found)) if options.partial is not None else set()
        return array("I", sorted(some))
    return array("I", sorted(found))


def respond(session: Session, options: ReturnOptions, found: Found, by_uid: bool, name: bytes) -> None:
    """The results in the order asked for; `name` of the plain response, SEARCH or SORT."""
    if options.names is None and (name != b"SEARCH" or not session.rev2):
        numbers = _numbers(session, found, by_uid)
        modseq = b" (MODSEQ %d)" % found.highest if found.highest and numbers else b""
        session.untagged(name + b"".join(b" %d" % number for number in numbers) + modseq)
        return
    found.context.correlator = b'TAG "%b"' % session.tag  # no tag has a quote or backslash
    respond_extended(session, options, found, by_uid=by_uid, is_sorted=name == b"SORT")


def _numbers(session: Session, found: Found, by_uid: bool) -> array[int]:
    return found.uids if by_uid else array("I", map(session.mailbox.view.number_of, found.uids))


def respond_extended(
    session: Session, options: ReturnOptions, found: Found, *, by_uid: bool, is_sorted: bool = False
) -> None:
    """esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)"""
    names = options.names if options.names is not None else frozenset({"ALL"})
    if names <= _TELLS_NOTHING:
        return
    items = [b"ESEARCH (%b)" % found.context.correlator]
    if by_uid:
        items.append(b"UID")
    numbers = _numbers(session, found, by_uid)
    items += _return_data(names, options, numbers, is_sorted)
    if "RELEVANCY" in names and numbers:
        told = found.uids if options.partial is None else options.partial.of(found.uids)
        items.append(b"RELEVANCY (%b)" % b" ".join(b"%d" % found.scores.get(uid, 1) for uid in told))
    if found.highest and numbers:
        items.append(b"MODSEQ %d" % found.highest)
    session.untagged(b" ".join(items))


def _return_data(
    returns: frozenset[str], options: ReturnOptions, numbers: array[int], is_sorted: bool
) -> Iterator[bytes]:
    """RFC 5267 section 3.1: with SORT, MIN and MAX are the first and the last in its order."""
    if numbers:
        if "MIN" in returns:
            yield b"MIN %d" % numbers[0]
        if "MAX" in returns:
            yield b"MAX %d" % numbers[-1]
        if "ALL" in returns:
            yield b"ALL " + _set(numbers, is_sorted)
    if options.partial is not None:
        some = options.partial.of(numbers)
        yield b"PARTIAL (%b %b)" % (options.partial.written, _set(some, is_sorted) if some else b"NIL")
    if "COUNT" in returns:
        yield b"COUNT %d" % len(numbers)


def _set(numbers: Sequence[int], is_sorted: bool) -> bytes:
    """As a sequence set; in SORT's order none of it may be gathered."""
    return b",".join(b"%d" % number for number in numbers) if is_sorted else write_numbers(numbers)
