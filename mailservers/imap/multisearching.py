"""ESEARCH (RFC 7377): one ESEARCH response for each mailbox in which something was found."""

from __future__ import annotations

from array import array

from mailservers.formats import search_keys as keys
from mailservers.formats.imap.multisearch import Filter, MultiSearchRequest
from mailservers.formats.imap.search import SearchRequest
from mailservers.formats.imap.writer import mailbox as mailbox_text
from mailservers.formats.search_keys import Key, walk
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.searching import carry_out, find_in, respond_extended
from mailservers.imap.session import Session
from mailservers.imap.tracker import View
from mailservers.store.engine import store
from mailservers.store.mailboxes import SEPARATOR
from mailservers.store.queries import MailboxRow, list_mailboxes, uids


async def multisearch(session: Session, request: MultiSearchRequest) -> Reply:
    selected = session.selected
    if request.filters is None:
        if selected is None:
            raise Refusal(None, "No mailbox is selected", "BAD")
        found, highest = await carry_out(session, request.search)
        _answer(session, request.search, found, highest, selected.name, selected.uid_validity)
        return Reply("ESEARCH completed")
    if selected is None and any(one.kind == "SELECTED" for one in request.filters):
        raise Refusal(None, "No mailbox is selected", "BAD")
    by_modseq = any(isinstance(node, keys.ModSeq) for node in walk(request.search.key))
    for row in await store.read(list_mailboxes, session.user_id):
        if any(_takes(session, one, row) for one in request.filters):
            found, highest = await _find(row, request.search.key)
            _answer(session, request.search, found, highest if by_modseq else 0, row.name, row.uid_validity)
            await session.flush()
    return Reply("ESEARCH completed")


def _takes(session: Session, one: Filter, row: MailboxRow) -> bool:
    """RFC 5465 section 6, RFC 7377 section 2.2. Any mailbox may be delivered to, so INBOXES is PERSONAL."""
    match one.kind:
        case "SELECTED":
            return session.selected is not None and session.selected.mailbox_id == row.id
        case "SUBSCRIBED":
            return row.is_subscribed
        case "MAILBOXES":
            return row.name in one.names
        case "SUBTREE":
            return any(row.name == top or row.name.startswith(top + SEPARATOR) for top in one.names)
        case "SUBTREE-ONE":
            return any(row.name == top or row.name.rpartition(SEPARATOR)[0] == top for top in one.names)
    return True


async def _find(row: MailboxRow, key: Key) -> tuple[array[int], int]:
    sets = [node for node in walk(key) if isinstance(node, keys.Uids)]
    view = View(await store.read(uids, row.id) if sets else array("I"))
    return await find_in(row.id, key, {id(node): view.by_uid(node.uids) for node in sets})


def _answer(
    session: Session, request: SearchRequest, found: array[int], highest: int, name: str, uid_validity: int
) -> None:
    """Section 2.1: nothing is said of a mailbox without a match, not even COUNT 0."""
    if found:
        text = mailbox_text(name, session.utf8)
        correlator = b'TAG "%b" MAILBOX %b UIDVALIDITY %d' % (session.tag, text, uid_validity)
        respond_extended(session, request, found, highest, correlator, by_uid=True)
