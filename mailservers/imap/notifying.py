"""NOTIFY (RFC 5465): a session hears of changes in all mailboxes, whether a command is in progress or not.

Of the selected mailbox `Session.announce` tells, as always; NOTIFY only says what of it and when. Of the others a
`Notifier` keeps what the client was last told (a row of counters for each), and each hint from the hub makes it look
again: one query, and what differs is told, however many changes it took. So nothing is lost and nothing piles up; a
client that does not read keeps only its own task waiting.

Others' mailboxes are watched like one's own, as far as the user may list and read them (section 5.9).

What the client did itself is left out (section 5): the names it created, renamed, deleted or subscribed, and the
steps that its own APPENDs and COPYs took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailservers.formats.imap.notify import MESSAGE_EVENTS, NotifyRequest
from mailservers.formats.imap.writer import mailbox as mailbox_text
from mailservers.imap.announcing import announce
from mailservers.imap.fetching import fetch_new
from mailservers.imap.listing import list_line
from mailservers.imap.metadata import announce_metadata, watch
from mailservers.imap.replies import Refusal
from mailservers.imap.session import Session
from mailservers.imap.sharing import judge_anew
from mailservers.imap.sources import is_among
from mailservers.imap.updating import update_contexts
from mailservers.imap.watching import OwnersWatch
from mailservers.store.access import all_access
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.mailboxes import SEPARATOR
from mailservers.store.queries import MailboxRow
from mailservers.store.transaction import Change

EVENTS = ("MessageNew", "MessageExpunge", "FlagChange", "MailboxName", "SubscriptionChange")
METADATA_EVENTS = ("MailboxMetadataChange", "ServerMetadataChange")
MAX_NAMES = 1000  # in one NOTIFY


class Notifier:
    """What one session wants to hear of mailboxes that are not selected, and what it has been told of them."""

    __slots__ = ("_call", "_watch", "own_names", "own_steps", "pending", "request", "rows", "unreadable", "user_id")

    def __init__(self, user_id: int, request: NotifyRequest, call: Callable[[], None]) -> None:
        self.user_id = user_id
        self.request = request
        self._call = call
        self.pending = False  # something may have changed since the last look
        self.rows: dict[int, MailboxRow] = {}
        self.unreadable: frozenset[int] = frozenset()  # of these, only the name may be told
        self.own_names: set[str] = set()  # the client changed these itself
        self.own_steps: dict[int, int] = {}  # mailbox -> mod-sequences that the client's own commands took
        self._watch = OwnersWatch(self._hear, user_id) if request.groups else None

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()

    async def look(self) -> None:
        """What there is now. Raises `StoreError`."""
        found = await store.read(all_access, self.user_id)
        self.rows = {access.row.id: access.row for access in found}
        self.unreadable = frozenset(access.row.id for access in found if "r" not in access.rights)
        if self._watch is not None:
            self._watch.follow((self.user_id, *(row.owner_id for row in self.rows.values())))

    def _hear(self, change: Change) -> None:
        self.pending = True
        self._call()

    def events_for(self, row: MailboxRow) -> frozenset[str]:
        """What the client wants to hear of a mailbox."""
        groups = [group for group in self.request.groups if is_among(group.filter, group.names, row, self.user_id)]
        return frozenset().union(*(group.events for group in groups))


async def notify_command(session: Session, request: NotifyRequest) -> None:
    """NOTIFY SET and NOTIFY NONE. SET is a NOOP, too (section 3.1)."""
    if not request.events <= {*EVENTS, *METADATA_EVENTS}:
        raise Refusal(f"BADEVENT ({' '.join((*EVENTS, *METADATA_EVENTS))})", "An event is not supported")
    if sum(len(group.names) for group in request.groups) > MAX_NAMES:
        raise Refusal("NOTIFICATIONOVERFLOW", "Too many mailboxes")
    session.end_notify()
    session.notifier = notifier = Notifier(session.user_id, request, session.on_change)
    selected = request.selected
    session.tells_new = selected is not None and "MessageNew" in selected.events
    session.tells_marks = selected is not None and "FlagChange" in selected.events
    session.delays_expunges = selected is None or selected.filter != "SELECTED"
    session.new_items = selected.items if selected is not None else ()
    await announce(session, expunge=True, ask=True)
    if request.events & set(METADATA_EVENTS):
        await watch(session)
    if request.groups:
        await notifier.look()
    for row in notifier.rows.values():
        if row.id in notifier.unreadable:
            _tell_no_access(session, row, notifier.events_for(row))
        elif request.with_status and (session.selected is None or row.id != session.selected.mailbox_id):
            _tell_status(session, row, None, notifier.events_for(row))


async def announce_all(session: Session, expunge: bool) -> None:
    """Tell what there is to be told: of the selected mailbox, then of the others."""
    await judge_anew(session)
    await announce(session, expunge)
    if session.new_items and session.selected is not None:
        uids, session.selected.to_fetch = session.selected.to_fetch, []
        if uids:
            await fetch_new(session, session.new_items, uids)
    await update_contexts(session)
    notifier = session.notifier
    if notifier is not None and notifier.pending:
        await _tell_others(session, notifier)
    await announce_metadata(session)


async def _tell_others(session: Session, notifier: Notifier) -> None:
    notifier.pending = False
    own_names, notifier.own_names = notifier.own_names, set()
    own_steps, notifier.own_steps = notifier.own_steps, {}
    before, could_not_read = notifier.rows, notifier.unreadable
    try:
        await notifier.look()
    except StoreError:
        # Section 5.8. What is lost is lost from here on, and the client knows it.
        session.end_notify()
        session.notifier = Notifier(session.user_id, NotifyRequest(), session.on_change)
        session.tells_new = session.tells_marks = False
        session.untagged(b"OK [NOTIFICATIONOVERFLOW] The mail store is not available")
        return
    rows = notifier.rows
    _tell_names(session, notifier, before, own_names)
    for row in rows.values():
        if row.id in before and (row.id in could_not_read) != (row.id in notifier.unreadable):
            _tell_no_access(session, row, notifier.events_for(row), row.id in notifier.unreadable)
    replaced = {row.name for row in before.values() if row.id not in rows}
    for row in rows.values():
        old = before.get(row.id)
        if row.id in notifier.unreadable or (session.selected is not None and row.id == session.selected.mailbox_id):
            continue
        if old is None and row.name not in replaced:
            continue
        if old is not None and row.highest_modseq - old.highest_modseq == own_steps.get(row.id, 0):
            continue
        _tell_status(session, row, old, notifier.events_for(row))
        await session.flush_some()


def _tell_status(session: Session, row: MailboxRow, old: MailboxRow | None, events: frozenset[str]) -> None:
    """The STATUS of a mailbox whose messages or flags changed (sections 5.1 to 5.3); ``old`` None: all of it."""
    items: dict[str, int] = {}
    if "MessageNew" in events and (old is None or (old.messages, old.uid_next) != (row.messages, row.uid_next)):
        items |= {"MESSAGES": row.messages, "UIDNEXT": row.uid_next, "UIDVALIDITY": row.uid_validity}
    if "FlagChange" in events and (old is None or old.highest_modseq != row.highest_modseq):
        items |= {"UIDVALIDITY": row.uid_validity, "UNSEEN": row.unseen}
    if not items:
        return
    if session.condstore:
        items["HIGHESTMODSEQ"] = row.highest_modseq
    text = " ".join(f"{name} {value}" for name, value in items.items()).encode("ascii")
    session.untagged(b"STATUS %b (%b)" % (mailbox_text(row.name, session.utf8), text))


# ------------------------------------------------------------------ names


def _tell_no_access(session: Session, row: MailboxRow, events: frozenset[str], has_none: bool = True) -> None:
    """Sections 3.1 and 5.9: message events are wanted of a mailbox that may be listed but not read; or that may be
    read again."""
    if events.intersection(MESSAGE_EVENTS):
        attributes = ["\\NoAccess"] if has_none else []
        session.untagged(list_line(b"LIST", attributes, row.name, session.utf8))


def _tell_names(session: Session, notifier: Notifier, before: dict[int, MailboxRow], own: set[str]) -> None:
    """LIST for every name that came, went, was renamed (section 5.4) or (un)subscribed (section 5.5)."""
    names = {row.name: row for row in notifier.rows.values()}
    gone = [row for pk, row in before.items() if pk not in notifier.rows and row.name not in names]
    came = [row for pk, row in notifier.rows.items() if pk not in before]
    for row in gone:
        events = notifier.events_for(row)
        if row.name not in own and "MailboxName" in events:
            session.untagged(list_line(b"LIST", ["\\NonExistent"], row.name, session.utf8))
        elif row.owner_id != notifier.user_id:
            _tell_no_access(session, row, events)
    _tell_renamed(session, notifier, before, own)
    affected = {row.name for row in came if row.name not in own}
    affected |= {row.name.rpartition(SEPARATOR)[0] for row in (*gone, *came) if row.name not in own}
    for name in sorted(affected & names.keys()):
        if "MailboxName" in notifier.events_for(names[name]):
            session.untagged(list_line(b"LIST", _attributes(names[name], names), name, session.utf8))
    for pk, row in notifier.rows.items():
        old = before.get(pk)
        if old is None or old.is_subscribed == row.is_subscribed or row.name in own:
            continue
        if "SubscriptionChange" in notifier.events_for(row) | notifier.events_for(old):
            session.untagged(list_line(b"LIST", _attributes(row, names), row.name, session.utf8))


def _tell_renamed(session: Session, notifier: Notifier, before: dict[int, MailboxRow], own: set[str]) -> None:
    names = [row.name for row in notifier.rows.values()]
    pairs = [(before[pk], row) for pk, row in notifier.rows.items() if pk in before and before[pk].name != row.name]
    renamed = {old.name: new.name for old, new in pairs}
    for old, new in pairs:
        wants = notifier.events_for(new) | notifier.events_for(old)
        if new.name not in own and "MailboxName" in wants and not _moved_along(old.name, new.name, renamed):
            line = list_line(b"LIST", _attributes(new, names), new.name, session.utf8)
            session.untagged(b'%b ("OLDNAME" (%b))' % (line, mailbox_text(old.name, session.utf8)))


def _moved_along(old_name: str, new_name: str, renamed: dict[str, str]) -> bool:
    """Whether a mailbox has its new name only because one above it was renamed."""
    while SEPARATOR in old_name and SEPARATOR in new_name:
        old_name, _, old_leaf = old_name.rpartition(SEPARATOR)
        new_name, _, new_leaf = new_name.rpartition(SEPARATOR)
        if old_leaf != new_leaf:
            return False
        if renamed.get(old_name) == new_name:
            return True
    return False


def _attributes(row: MailboxRow, names: Iterable[str]) -> list[str]:
    below = row.name + SEPARATOR
    found = ["\\Subscribed"] if row.is_subscribed else []
    found.append("\\HasChildren" if any(name.startswith(below) for name in names) else "\\HasNoChildren")
    return [*found, row.special_use] if row.special_use else found
