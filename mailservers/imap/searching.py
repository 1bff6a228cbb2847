"""SEARCH and UID SEARCH: the key tree handed to the store, and the answer (RFC 9051 sections 6.4.4 and 7.3.4,
RFC 4731, RFC 5182, RFC 7162 section 3.1.5).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence

from mailservers.formats import search_keys as keys
from mailservers.formats.imap.search import Partial, SearchRequest
from mailservers.formats.imap.sequences import write_numbers
from mailservers.formats.search_keys import Key, walk
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.session import Session
from mailservers.store.engine import store
from mailservers.store.searching.finding import find_some, scope_now


async def search(session: Session, request: SearchRequest, by_uid: bool = False) -> Reply:
    """SEARCH and UID SEARCH."""
    found, highest = await carry_out(session, request)
    respond(session, request, found, by_uid, highest, b"SEARCH")
    return Reply("SEARCH completed")


async def carry_out(
    session: Session, request: SearchRequest, order: Callable[[array[int]], Awaitable[array[int]]] | None = None
) -> tuple[array[int], int]:
    """The UIDs that match, and the highest mod-sequence among them where it was asked for. `order` sorts them."""
    saving = request.returns is not None and "SAVE" in request.returns
    saved = session.saved
    if saving:
        session.saved = array("I")  # RFC 5182 section 2.1: empty where the search fails
    by_modseq = any(isinstance(key, keys.ModSeq) for key in walk(request.key))
    if by_modseq:
        session.condstore = True
    found, highest = await find(session, request.key, _chosen(session, request.key, saved))
    if order is not None:
        found = await order(found)
    if saving:
        session.saved = _to_save(found, request)
    return found, highest if by_modseq else 0


async def find(session: Session, key: Key, chosen: dict[int, Sequence[int]]) -> tuple[array[int], int]:
    """The UIDs of the view that match, ascending, and the highest mod-sequence among them."""
    selected = session.mailbox

    async def progress(after: int) -> None:
        await session.progress(bisect_right(selected.view.uids, after), len(selected.view))

    return await find_in(selected.mailbox_id, key, chosen, selected.first_recent, selected.view.number_of, progress)


async def find_in(
    mailbox_id: int,
    key: Key,
    chosen: dict[int, Sequence[int]],
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
        if progress is not None:
            await progress(after or 0)
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


def _to_save(found: array[int], request: SearchRequest) -> array[int]:
    """RFC 5182 section 2.4: with MIN or MAX, and neither ALL nor COUNT, only those are saved; RFC 9394 section 3.3:
    likewise with PARTIAL. Ascending."""
    returns = request.returns or frozenset()
    some = set[int]()
    if not returns & {"ALL", "COUNT"} and returns & {"MIN", "MAX", "PARTIAL"} and found:
        some |= {found[0]} if "MIN" in returns else set()
        some |= {found[-1]} if "MAX" in returns else set()
        some |= set(request.partial.of(found)) if request.partial is not None else set()
        return array("I", sorted(some))
    return array("I", sorted(found))


def respond(
    session: Session, request: SearchRequest, found: array[int], by_uid: bool, highest: int, name: bytes
) -> None:
    """`found` in the order asked for; `name` of the plain response, SEARCH or SORT."""
    numbers = found if by_uid else array("I", map(session.mailbox.view.number_of, found))
    if request.returns is None and (name != b"SEARCH" or not session.rev2):
        modseq = b" (MODSEQ %d)" % highest if highest and numbers else b""
        session.untagged(name + b"".join(b" %d" % number for number in numbers) + modseq)
        return
    correlator = b'TAG "%b"' % session.tag  # no tag has a quote or backslash
    respond_extended(session, request, numbers, highest, correlator, by_uid=by_uid, is_sorted=name == b"SORT")


def respond_extended(
    session: Session,
    request: SearchRequest,
    numbers: array[int],
    highest: int,
    correlator: bytes,
    *,
    by_uid: bool,
    is_sorted: bool = False,
) -> None:
    """esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)"""
    returns = request.returns if request.returns is not None else frozenset({"ALL"})
    if returns == {"SAVE"}:
        return
    items = [b"ESEARCH (%b)" % correlator]
    if by_uid:
        items.append(b"UID")
    items += _return_data(returns, request.partial, numbers, is_sorted)
    if highest and numbers:
        items.append(b"MODSEQ %d" % highest)
    session.untagged(b" ".join(items))


def _return_data(
    returns: frozenset[str], partial: Partial | None, numbers: array[int], is_sorted: bool
) -> Iterator[bytes]:
    """RFC 5267 section 3.1: with SORT, MIN and MAX are the first and the last in its order."""
    if numbers:
        if "MIN" in returns:
            yield b"MIN %d" % numbers[0]
        if "MAX" in returns:
            yield b"MAX %d" % numbers[-1]
        if "ALL" in returns:
            yield b"ALL " + _set(numbers, is_sorted)
    if partial is not None:
        some = partial.of(numbers)
        yield b"PARTIAL (%b %b)" % (partial.written, _set(some, is_sorted) if some else b"NIL")
    if "COUNT" in returns:
        yield b"COUNT %d" % len(numbers)


def _set(numbers: Sequence[int], is_sorted: bool) -> bytes:
    """As a sequence set; in SORT's order none of it may be gathered."""
    return b",".join(b"%d" % number for number in numbers) if is_sorted else write_numbers(numbers)
