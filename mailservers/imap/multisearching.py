"""ESEARCH (RFC 7377): one ESEARCH response for each mailbox in which something was found.

Others' mailboxes that the user may read are searched like one's own. UPDATE keeps the selected mailbox's part of the
results up to date, and no other's (section 2.2).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from mailservers.formats import search_keys as keys
from mailservers.formats.fuzzy import Closeness, at_closeness
from mailservers.formats.imap.multisearch import Filter, MultiSearchRequest
from mailservers.formats.imap.search import ReturnOptions
from mailservers.formats.imap.writer import mailbox as mailbox_text
from mailservers.formats.search_keys import Key, walk
from mailservers.imap.contexts import Context, require_new_tag
from mailservers.imap.filters import with_filters
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.searching import Found, carry_out, find_in, require_fuzzy, respond_extended, scores_of, updating
from mailservers.imap.session import Session
from mailservers.imap.sources import is_among
from mailservers.imap.tracker import View
from mailservers.store.access import Access, all_access, find_access
from mailservers.store.engine import store
from mailservers.store.errors import InvalidMailboxName, NoSuchMailbox
from mailservers.store.queries import MailboxRow, uids


async def multisearch(session: Session, request: MultiSearchRequest) -> Reply:
    selected = session.selected
    options = request.search.options
    filters = request.filters or (Filter("SELECTED"),)
    if selected is None and (options.asks("UPDATE") or any(one.kind == "SELECTED" for one in filters)):
        raise Refusal(None, "No mailbox is selected", "BAD")
    if request.filters is None:
        assert selected is not None
        found = await carry_out(session, request.search)
        _answer(session, options, found, selected.name, selected.uid_validity)
        return updating(session, options, found, True, "ESEARCH completed")
    if options.asks("UPDATE"):
        require_new_tag(session)
    key = await with_filters(session, request.search.key)
    require_fuzzy(options, key)
    reply = Reply("ESEARCH completed")
    for row in await store.read(_sources, session.user_id, filters, selected.mailbox_id if selected else 0):
        found = await _find(row, key, options)
        is_selected = selected is not None and row.id == selected.mailbox_id
        if is_selected and selected is not None:
            found.uids = selected.view.present(found.uids)
        _answer(session, options, found, row.name, row.uid_validity)
        if is_selected:
            reply = updating(session, options, found, True, "ESEARCH completed")
        await session.flush()
    return reply


def _sources(user_id: int, filters: Iterable[Filter], selected_id: int) -> list[MailboxRow]:
    """The mailboxes that are meant, each once, as far as the user may read them. Others are passed over as if they
    were not there."""
    found = {
        access.row.id: access for access in all_access(user_id) if _is_meant(access, filters, user_id, selected_id)
    }
    for name in (name for one in filters for name in one.names):  # one need not be allowed to list what is named
        try:
            access = find_access(user_id, name)
        except (NoSuchMailbox, InvalidMailboxName):
            continue
        found.setdefault(access.row.id, access)
    return [access.row for access in found.values() if "r" in access.rights]


def _is_meant(access: Access, filters: Iterable[Filter], user_id: int, selected_id: int) -> bool:
    row = access.row
    return any(
        row.id == selected_id if one.kind == "SELECTED" else is_among(one.kind, one.names, row, user_id)
        for one in filters
    )


async def _find(row: MailboxRow, key: Key, options: ReturnOptions) -> Found:
    sets = [node for node in walk(key) if isinstance(node, keys.Uids)]
    view = View(await store.read(uids, row.id) if sets else array("I"))
    chosen = {id(node): view.by_uid(node.uids) for node in sets}

    async def look(key: Key) -> tuple[array[int], int]:
        return await find_in(row.id, key, chosen)

    loose = at_closeness(key, Closeness.BEGINNINGS)
    found, highest = await look(loose)
    by_modseq = any(isinstance(node, keys.ModSeq) for node in walk(key))
    scores = await scores_of(look, key, found) if options.asks("RELEVANCY") else {}
    return Found(found, highest if by_modseq else 0, scores, Context(loose, {}, options.items))


def _answer(session: Session, options: ReturnOptions, found: Found, name: str, uid_validity: int) -> None:
    """Section 2.1: nothing is said of a mailbox without a match, not even COUNT 0."""
    text = mailbox_text(name, session.utf8)
    found.context.correlator = b'TAG "%b" MAILBOX %b UIDVALIDITY %d' % (session.tag, text, uid_validity)
    if found.uids:
        respond_extended(session, options, found, by_uid=True)
