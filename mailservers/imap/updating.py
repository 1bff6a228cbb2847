"""Judging anew what changed, for searches that are kept up to date (RFC 5267 section 4.3, RFC 5465 section 7)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from mailservers.formats import search_keys as keys
from mailservers.formats.imap.sequences import SequenceSet
from mailservers.imap.contexts import Context
from mailservers.imap.fetching import fetch_new
from mailservers.imap.searching import find
from mailservers.imap.session import Session
from mailservers.store.engine import store
from mailservers.store.searching.sorting import sort_uids


async def update_contexts(session: Session) -> None:
    """ADDTO and REMOVEFROM for the messages that came or changed since the last time. EXISTS and the messages' own
    FETCH have been said."""
    selected = session.selected
    if selected is None or not selected.changed:
        return
    changed, selected.changed = selected.changed, {}
    uids = [uid for uid in sorted(changed) if selected.view.number_of(uid)]
    try:
        for context in list(selected.contexts.values()):
            await _update(session, context, uids, {uid for uid, is_new in changed.items() if is_new})
    except Exception:
        selected.changed = changed | selected.changed
        raise


async def _update(session: Session, context: Context, uids: Sequence[int], new: set[int]) -> None:
    matching = await _matching(session, context, uids)
    items = context.remove([uid for uid in uids if uid not in matching], session)
    added = [uid for uid in uids if uid in matching and uid not in context.members]
    order = array("I")
    if added and context.criteria is not None:
        members = sorted(context.members.union(added))
        order = await store.read(sort_uids, session.mailbox.mailbox_id, members, context.criteria)
        added = [uid for uid in added if uid in set(order)]
    fetched = [uid for uid in added if uid in new]
    if context.items and fetched:
        await fetch_new(session, context.items, fetched)
    context.tell(items + context.add(added, order, session), session)


async def _matching(session: Session, context: Context, uids: Sequence[int]) -> set[int]:
    """Those that match now. Sets of UIDs are taken anew, so that "5:*" holds what comes."""
    view = session.mailbox.view
    among = keys.Uids(SequenceSet(()))
    chosen: dict[int, Sequence[int]] = {id(among): uids}
    for node in keys.walk(context.key):
        if isinstance(node, keys.Uids):
            chosen[id(node)] = view.by_uid(node.uids)
    key = keys.And((among, context.key))
    return set((await find(session, key, chosen | context.settled))[0])
