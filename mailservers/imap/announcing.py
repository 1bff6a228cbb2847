"""Changes of the selected mailbox become untagged responses.

``announce`` asks the store what happened since ``Selected.seen_modseq`` and says so: EXPUNGE (only where a command
lets it through: RFC 9051 section 7.5.1), EXISTS, RECENT, FETCH. The hub's call-back only notes how far the mailbox
has moved (``hinted``), so that a command in a quiet mailbox asks nothing.
"""

from __future__ import annotations

from mailservers.formats.imap.sequences import write_numbers
from mailservers.imap.contexts import tell_expunged
from mailservers.imap.replies import Disconnect
from mailservers.imap.selected import Selected
from mailservers.imap.session import FLUSH_LINES, Session
from mailservers.store.engine import store
from mailservers.store.flags import FlagRow
from mailservers.store.queries import ChangesSince, changes_since
from mailservers.store.queries import uids as uids_of


async def announce(session: Session, expunge: bool, ask: bool = False, own: bool = False) -> None:
    """Tell the client what changed in the selected mailbox. ``expunge``: EXPUNGE may be sent; ``ask``: look
    even without a hint; ``own``: the client's command expunged, which it hears of whatever NOTIFY said.
    Raises Disconnect where the mailbox is gone."""
    selected = session.selected
    if selected is None:
        return
    if not session.tells_new:
        if own:
            await _changes(session, selected, selected.seen_modseq)
            _announce_expunged(session, selected)
        selected.told = None
        return
    hinted = selected.hinted
    since = selected.seen_modseq
    if session.tells_marks and selected.untold_marks is not None:
        since, selected.untold_marks, ask = selected.untold_marks, None, True
    if ask or hinted > selected.seen_modseq:
        changes = await _changes(session, selected, since)
        expunged = set(changes.expunged)
        if expunge:
            _announce_expunged(session, selected)
        rows = [row for row in changes.rows if row.uid not in expunged]
        first_new = selected.uid_next
        if selected.contexts:
            selected.changed.update((row.uid, row.uid >= first_new) for row in rows)
        _announce_new(session, selected, [row.uid for row in rows if row.uid >= first_new])
        selected.uid_next = max(selected.uid_next, changes.uid_next)
        await _announce_marks(session, selected, [row for row in rows if row.uid < first_new])
        if changes.highest_modseq > selected.seen_modseq:
            selected.seen_modseq = changes.highest_modseq
        if selected.hinted == hinted > selected.seen_modseq:
            selected.hinted = selected.seen_modseq  # a hint of nothing
    elif expunge:
        _announce_expunged(session, selected)
    selected.told = None


async def _changes(session: Session, selected: Selected, since: int) -> ChangesSince:
    changes = await store.read(changes_since, selected.mailbox_id, since)
    if session.selected is not selected:
        raise ConnectionResetError  # meanwhile the client has gone
    if changes is None:
        raise Disconnect("The selected mailbox was deleted")
    if changes.forgotten:
        present = frozenset(await store.read(uids_of, selected.mailbox_id))
        selected.view.mark_gone({uid for uid in selected.view.uids if uid not in present})
    selected.view.mark_gone(set(changes.expunged))
    return changes


def _announce_expunged(session: Session, selected: Selected) -> None:
    gone = sorted(selected.view.gone or ())
    if gone and selected.contexts:
        tell_expunged(session, gone)
    numbers = selected.view.remove_gone()
    if session.qresync or session.uidonly:
        if gone:
            session.untagged(b"VANISHED " + write_numbers(gone))
        return
    for number in numbers:
        session.untagged(b"%d EXPUNGE" % number)


def _announce_new(session: Session, selected: Selected, uids: list[int]) -> None:
    if not uids:
        return
    selected.view.add(uids)
    selected.uid_next = uids[-1] + 1
    session.untagged(b"%d EXISTS" % len(selected.view))
    if not session.rev2:
        if not selected.first_recent:
            selected.first_recent = uids[0]
        selected.recent_unclaimed = not selected.read_only
        session.untagged(b"%d RECENT" % selected.recent_count)
    if session.new_items:
        selected.to_fetch += [uid for uid in uids if uid not in selected.own_new]
        selected.own_new.clear()


async def _announce_marks(session: Session, selected: Selected, rows: list[FlagRow]) -> None:
    if not session.tells_marks:
        if rows and selected.untold_marks is None:
            selected.untold_marks = selected.seen_modseq
        return
    told = selected.told or {}
    for row in rows:
        number = selected.view.number_of(row.uid)
        if number and told.get(row.uid) != row.modseq:
            session.fetch_marks(number, row, with_uid=True)
            if session.pending >= FLUSH_LINES:
                await session.flush()
