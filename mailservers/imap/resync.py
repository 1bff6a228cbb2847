"""Quick resynchronisation (RFC 7162 section 3.2): what happened while a client was away.

Where not all expunges since then are remembered any more (`store.forgetting`), all UIDs that the client may know and
that are not there are told (section 3.2.6, note). VANISHED (EARLIER) names only messages that are not in the session's
view: those in it are announced like any other expunge, because the client counts them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from mailservers.formats.imap.selecting import KnownState
from mailservers.formats.imap.sequences import Ranges, SequenceSet, clipped, missing, within, write_numbers
from mailservers.imap.selected import Selected
from mailservers.imap.session import FLUSH_LINES, Session
from mailservers.store.engine import store
from mailservers.store.queries import expunged_since, marks_since
from mailservers.store.queries import uids as uids_of

VANISHED_UIDS = 2000  # in one response: some clients' line buffers are small


async def resynchronise(session: Session, known: KnownState) -> None:
    """SELECT (QRESYNC ...): the expunges and the new marks of the messages that the client knows."""
    selected = session.mailbox
    if known.uid_validity != selected.uid_validity:
        return
    everything = SequenceSet(((1, max(1, selected.uid_next - 1)),))
    ranges = (known.uids or everything).resolve(selected.uid_next - 1)
    await tell_vanished(session, known.modseq, ranges, _last_match(selected.view.uids, known))
    rows = await store.read(marks_since, selected.mailbox_id, known.modseq)
    by_uid = {row.uid: row for row in rows}
    for uid in within(sorted(by_uid), ranges):
        number = selected.view.number_of(uid)
        if number:
            session.fetch_marks(number, by_uid[uid], with_uid=True)
            if session.pending >= FLUSH_LINES:
                await session.flush()


async def tell_vanished(session: Session, modseq: int, ranges: Ranges, after: int = 0) -> None:
    """VANISHED (EARLIER): the UIDs of ``ranges``, over ``after``, that were expunged since ``modseq``."""
    selected = session.mailbox
    expunged = await store.read(expunged_since, selected.mailbox_id, modseq)
    if expunged is None:  # too long ago: all that is not there
        present = await store.read(uids_of, selected.mailbox_id)
        gone = missing(present, clipped(ranges, selected.uid_next - 1))
    else:
        gone = within(expunged, ranges)
    uids = array("I", _unseen(selected, gone, after))
    for start in range(0, len(uids), VANISHED_UIDS):
        session.untagged(b"VANISHED (EARLIER) " + write_numbers(uids[start : start + VANISHED_UIDS]))


def _unseen(selected: Selected, uids: Iterable[int], after: int) -> Iterable[int]:
    return (uid for uid in uids if uid > after and not selected.view.number_of(uid))


def _last_match(uids: array[int], known: KnownState) -> int:
    """Section 3.2.5.2: the client knows of every expunge up to the last sequence number that it has right."""
    return max((uid for number, uid in known.pairs(len(uids)) if uids[number - 1] == uid), default=0)
