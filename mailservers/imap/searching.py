"""SEARCH and UID SEARCH: the key tree handed to the store, and the answer (RFC 9051 sections 6.4.4 and 7.3.4,
RFC 4731, RFC 5182, RFC 7162 section 3.1.5).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from mailservers.formats import search_keys as keys
from mailservers.formats.imap.search import SearchRequest
from mailservers.formats.imap.sequences import write_numbers
from mailservers.formats.search_keys import Key, walk
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.session import Session
from mailservers.store.engine import store
from mailservers.store.searching.finding import find_some, scope_now


async def search(session: Session, request: SearchRequest, by_uid: bool = False) -> Reply:
    """SEARCH and UID SEARCH."""
    selected = session.mailbox
    saving = request.returns is not None and "SAVE" in request.returns
    if saving:
        saved, session.saved = session.saved, array("I")  # RFC 5182 section 2.1: empty where the search fails
    else:
        saved = session.saved
    by_modseq = any(isinstance(key, keys.ModSeq) for key in walk(request.key))
    if by_modseq:
        session.condstore = True
    found, highest = await find(session, request.key, _chosen(session, request.key, saved))
    if saving:
        session.saved = _to_save(found, request.returns or frozenset())
    numbers = found if by_uid else array("I", map(selected.view.number_of, found))
    _respond(session, request, numbers, by_uid, highest if by_modseq else 0)
    return Reply("SEARCH completed")


async def find(session: Session, key: Key, chosen: dict[int, Sequence[int]]) -> tuple[array[int], int]:
    """The UIDs of the view that match, ascending, and the highest mod-sequence among them."""
    selected = session.mailbox
    scope = await store.read(scope_now, chosen, selected.first_recent)
    found = array("I")
    highest = 0
    after: int | None = 0
    while after is not None:
        page = await store.read(find_some, selected.mailbox_id, key, scope, after)
        for match in page.matches:
            if selected.view.number_of(match.uid):
                found.append(match.uid)
                highest = max(highest, match.modseq)
        after = page.after
        await session.progress(bisect_right(selected.view.uids, after or 0), len(selected.view))
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


def _to_save(found: array[int], returns: frozenset[str]) -> array[int]:
    """RFC 5182 section 2.4: with MIN or MAX, and neither ALL nor COUNT, only those are saved."""
    if returns & {"MIN", "MAX"} and not returns & {"ALL", "COUNT"} and found:
        ends = {found[0]} if "MIN" in returns else set()
        return array("I", sorted(ends | ({found[-1]} if "MAX" in returns else set())))
    return found


def _respond(session: Session, request: SearchRequest, numbers: Sequence[int], by_uid: bool, highest: int) -> None:
    if request.returns is None and not session.rev2:
        modseq = b" (MODSEQ %d)" % highest if highest and numbers else b""
        session.untagged(b"SEARCH" + b"".join(b" %d" % number for number in numbers) + modseq)
        return
    returns = request.returns if request.returns is not None else frozenset({"ALL"})
    if returns == {"SAVE"}:
        return
    _respond_extended(session, returns, numbers, by_uid, highest)


def _respond_extended(
    session: Session, returns: frozenset[str], numbers: Sequence[int], by_uid: bool, highest: int
) -> None:
    """esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)"""
    items = [b'ESEARCH (TAG "%b")' % session.tag]  # no tag has a quote or backslash
    if by_uid:
        items.append(b"UID")
    if numbers:
        if "MIN" in returns:
            items.append(b"MIN %d" % numbers[0])
        if "MAX" in returns:
            items.append(b"MAX %d" % numbers[-1])
        if "ALL" in returns:
            items.append(b"ALL " + write_numbers(numbers))
    if "COUNT" in returns:
        items.append(b"COUNT %d" % len(numbers))
    if highest and numbers:
        items.append(b"MODSEQ %d" % highest)
    session.untagged(b" ".join(items))
