"""NOTIFY (RFC 5465): a session hears of changes in all mailboxes, whether a command is in progress or not.

Of the selected mailbox `Session.announce` tells, as always; NOTIFY only says what of it and when. Of the others a
`Notifier` keeps what the client was last told (a row of counters for each), and each hint from the hub makes it look
again: one query, and what differs is told, however many changes it took. So nothing is lost and nothing piles up; a
client that does not read keeps only its own task waiting.

What the client did itself is left out (section 5): the names it created, renamed, deleted or subscribed, and the
steps that its own APPENDs and COPYs took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailservers.formats.imap.notify import EventGroup, NotifyRequest
from mailservers.formats.imap.writer import mailbox as mailbox_text
from mailservers.imap.announcing import announce
from mailservers.imap.fetching import fetch_new
from mailservers.imap.listing import list_line
from mailservers.imap.metadata import announce_metadata, watch
from mailservers.imap.replies import Refusal
from mailservers.imap.session import Session
from mailservers.imap.updating import update_contexts
from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.mailboxes import SEPARATOR
from mailservers.store.queries import MailboxRow, list_mailboxes
from mailservers.store.transaction import Change

EVENTS = ("MessageNew", "MessageExpunge", "FlagChange", "MailboxName", "SubscriptionChange")
METADATA_EVENTS = ("MailboxMetadataChange", "ServerMetadataChange")
MAX_NAMES = 1000  # in one NOTIFY


class Notifier:
    """What one session wants to hear of mailboxes that are not selected, and what it has been told of them."""

    __slots__ = ("_call", "own_names", "own_steps", "pending", "request", "rows", "user_id")

    def __init__(self, user_id: int, request: NotifyRequest, call: Callable[[], None]) -> None:
        self.user_id = user_id
        self.request = request
        self._call = call
        self.pending = False  # something may have changed since the last look
        self.rows: dict[int, MailboxRow] = {}
        self.own_names: set[str] = set()  # the client changed these itself
        self.own_steps: dict[int, int] = {}  # mailbox -> mod-sequences that the client's own commands took
        if request.groups:
            hub.watch_owner(user_id, self._hear)

    def close(self) -> None:
        if self.request.groups:
            hub.unwatch_owner(self.user_id, self._hear)

    def _hear(self, change: Change) -> None:
        self.pending = True
        self._call()

    def events_for(self, name: str, is_subscribed: bool) -> frozenset[str]:
        """What the client wants to hear of a mailbox."""
        groups = [group for group in self.request.groups if _concerns(group, name, is_subscribed)]
        return frozenset().union(*(group.events for group in groups))


def _concerns(group: EventGroup, name: str, is_subscribed: bool) -> bool:
    """Section 6. Any mailbox may be delivered to, so INBOXES is PERSONAL."""
    match group.filter:
        case "SUBSCRIBED":
            return is_subscribed
        case "MAILBOXES":
            return name in group.names
        case "SUBTREE":
            return any(name == top or name.startswith(top + SEPARATOR) for top in group.names)
    return True


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
        notifier.rows = {row.id: row for row in await store.read(list_mailboxes, session.user_id)}
    if request.with_status:
        for row in notifier.rows.values():
            if session.selected is None or row.id != session.selected.mailbox_id:
                _tell_status(session, row, None, notifier.events_for(row.name, row.is_subscribed))


async def announce_all(session: Session, expunge: bool) -> None:
    """Tell what there is to be told: of the selected mailbox, then of the others."""
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
    try:
        rows = {row.id: row for row in await store.read(list_mailboxes, notifier.user_id)}
    except StoreError:
        # Section 5.8. What is lost is lost from here on, and the client knows it.
        session.end_notify()
        session.notifier = Notifier(session.user_id, NotifyRequest(), session.on_change)
        session.tells_new = session.tells_marks = False
        session.untagged(b"OK [NOTIFICATIONOVERFLOW] The mail store is not available")
        return
    before, notifier.rows = notifier.rows, rows
    _tell_names(session, notifier, before, own_names)
    replaced = {row.name for row in before.values() if row.id not in rows}
    for row in rows.values():
        old = before.get(row.id)
        if session.selected is not None and row.id == session.selected.mailbox_id:
            continue
        if old is None and row.name not in replaced:
            continue
        if old is not None and row.highest_modseq - old.highest_modseq == own_steps.get(row.id, 0):
            continue
        _tell_status(session, row, old, notifier.events_for(row.name, row.is_subscribed))
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


def _tell_names(session: Session, notifier: Notifier, before: dict[int, MailboxRow], own: set[str]) -> None:
    """LIST for every name that came, went, was renamed (section 5.4) or (un)subscribed (section 5.5)."""
    names = {row.name: row for row in notifier.rows.values()}
    renamed = {
        old.name: notifier.rows[pk].name
        for pk, old in before.items()
        if pk in notifier.rows and notifier.rows[pk].name != old.name
    }
    gone = [row for pk, row in before.items() if pk not in notifier.rows and row.name not in names]
    came = [row for pk, row in notifier.rows.items() if pk not in before]
    for row in gone:
        if row.name not in own and "MailboxName" in notifier.events_for(row.name, row.is_subscribed):
            session.untagged(list_line(b"LIST", ["\\NonExistent"], row.name, session.utf8))
    for old_name, new_name in renamed.items():
        row = names[new_name]
        wants = notifier.events_for(new_name, row.is_subscribed) | notifier.events_for(old_name, row.is_subscribed)
        if new_name not in own and "MailboxName" in wants and not _moved_along(old_name, new_name, renamed):
            line = list_line(b"LIST", _attributes(row, names), new_name, session.utf8)
            session.untagged(b'%b ("OLDNAME" (%b))' % (line, mailbox_text(old_name, session.utf8)))
    affected = {row.name for row in came if row.name not in own}
    affected |= {row.name.rpartition(SEPARATOR)[0] for row in (*gone, *came) if row.name not in own}
    for name in sorted(affected & names.keys()):
        if "MailboxName" in notifier.events_for(name, names[name].is_subscribed):
            session.untagged(list_line(b"LIST", _attributes(names[name], names), name, session.utf8))
    for pk, row in notifier.rows.items():
        old = before.get(pk)
        if old is None or old.is_subscribed == row.is_subscribed or row.name in own:
            continue
        if "SubscriptionChange" in notifier.events_for(row.name, row.is_subscribed or old.is_subscribed):
            session.untagged(list_line(b"LIST", _attributes(row, names), row.name, session.utf8))


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
