"""Results that are kept up to date: the return option UPDATE (RFC 5267 section 4.3).

A `Context` belongs to the selected mailbox and ends with it. What changes is judged anew (`updating`); what is
expunged is removed from the results in the breath before EXPUNGE is said, while message numbers still mean it.

Invariant: the members are messages of the session's view, and the client has been told of exactly these.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mailservers.formats.imap.sequences import write_numbers
from mailservers.imap.replies import Refusal

if TYPE_CHECKING:
    from mailservers.formats.imap.fetch import FetchItem
    from mailservers.formats.imap.sort import Criterion
    from mailservers.formats.search_keys import Key
    from mailservers.imap.session import Session

MAX_CONTEXTS = 16  # of one session
MAX_SORTED = 5000  # members of a context in SORT's order, as they are sorted anew when one comes


class Context:
    """One search whose results are kept up to date.

    ``settled``: message sets of the key by the id of their node, as they were when the command came; ``items``: what
    is fetched of new messages; ``criteria``: SORT's, None for SEARCH; ``order``: the members in SORT's order."""

    __slots__ = ("by_uid", "correlator", "criteria", "items", "key", "members", "order", "settled")

    def __init__(self, key: Key, settled: dict[int, Sequence[int]], items: tuple[FetchItem, ...]) -> None:
        self.key = key
        self.settled = settled
        self.items = items
        self.by_uid = True
        self.correlator = b""
        self.criteria: tuple[Criterion, ...] | None = None
        self.members: set[int] = set()
        self.order: array[int] = array("I")

    def hold(self, uids: array[int]) -> None:
        self.members = set(uids)
        if self.criteria is not None:
            self.order = uids

    def remove(self, uids: Iterable[int], session: Session) -> list[bytes]:
        """REMOVEFROM, where any of them is a member."""
        gone = self.members.intersection(uids)
        if not gone:
            return []
        self.members -= gone
        if self.criteria is None:
            return [b"REMOVEFROM (0 %b)" % write_numbers(self._named(sorted(gone), session))]
        places = [index for index, uid in enumerate(self.order) if uid in gone]
        places.reverse()  # from the end, so that each is right at its turn
        numbers = self._named([self.order[index] for index in places], session)
        self.order = array("I", (uid for uid in self.order if uid not in gone))
        return [b"REMOVEFROM (%b)" % _pairs(places, numbers)]

    def add(self, uids: Sequence[int], order: array[int], session: Session) -> list[bytes]:
        """ADDTO; ``order``: all members afterwards, in SORT's order."""
        if not uids:
            return []
        self.members.update(uids)
        if self.criteria is None:
            return [b"ADDTO (0 %b)" % write_numbers(self._named(uids, session))]
        self.order = order
        new = set(uids)
        places = [index for index, uid in enumerate(order) if uid in new]
        return [b"ADDTO (%b)" % _pairs(places, self._named([order[index] for index in places], session))]

    def tell(self, items: list[bytes], session: Session) -> None:
        if items:
            uid = [b"UID"] if self.by_uid else []
            session.untagged(b" ".join([b"ESEARCH (%b)" % self.correlator, *uid, *items]))

    def _named(self, uids: Sequence[int], session: Session) -> Sequence[int]:
        """As the command named them: by UID or by number."""
        return uids if self.by_uid else [session.mailbox.view.number_of(uid) for uid in uids]


def _pairs(places: Sequence[int], numbers: Sequence[int]) -> bytes:
    """context-position SP sequence-set, one message each: a set has no order of its own."""
    return b" ".join(b"%d %d" % (place + 1, number) for place, number in zip(places, numbers, strict=True))


def require_new_tag(session: Session) -> None:
    """RFC 5267 section 4.3: a tag names one context."""
    if session.selected is not None and session.tag in session.selected.contexts:
        raise Refusal(None, "Tag reuse", "BAD")


def keep_updated(session: Session, context: Context) -> None:
    """Section 4.3.1: refused with NOUPDATE where it would be too much."""
    selected = session.mailbox
    is_costly = context.criteria is not None and (
        len(context.members) > MAX_SORTED or any(one.key == "RELEVANCY" for one in context.criteria)
    )
    if len(selected.contexts) >= MAX_CONTEXTS or is_costly:
        session.untagged(b'NO [NOUPDATE "%b"] Too many contexts, or too large a one' % session.tag)
    else:
        selected.contexts[session.tag] = context


def tell_expunged(session: Session, uids: Iterable[int]) -> None:
    """These messages are about to be announced as expunged."""
    for context in session.mailbox.contexts.values():
        context.tell(context.remove(uids, session), session)


async def cancelupdate(session: Session, tags: tuple[bytes, ...]) -> None:
    """CANCELUPDATE (section 4.3.5)."""
    contexts = session.mailbox.contexts
    if any(tag not in contexts for tag in tags):
        raise Refusal(None, "No search with that tag is kept up to date", "BAD")
    for tag in tags:
        contexts.pop(tag, None)
