"""GETMETADATA, SETMETADATA, and the announcement of changes (RFC 5464, RFC 6154 section 4, RFC 5465 5.6 and 5.7).

A session that has enabled METADATA, or asked for it with NOTIFY, has a `MetadataWatch`: it remembers when each
annotation was last changed, looks again when the hub hints, and tells the names of those that differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailservers.formats.imap.metadata import (
    GetMetadataRequest,
    SetMetadataRequest,
    changes_response,
    chosen_entries,
    values_response,
)
from mailservers.formats.imap.writer import mailbox as mailbox_text
from mailservers.imap.filters import check_filters
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.session import Session
from mailservers.imap.watching import OwnersWatch
from mailservers.store.access import all_access, find_access, may_annotate
from mailservers.store.annotations import (
    SPECIAL_USE,
    Key,
    annotation_names,
    annotation_values,
    annotation_versions,
    set_annotations,
)
from mailservers.store.engine import store
from mailservers.store.queries import MailboxRow
from mailservers.store.transaction import Change

SERVER_ADMIN = "/shared/admin"  # RFC 5464 section 6.2.1.2: set by the server


class MetadataWatch:
    """What of the annotations a session has been told of."""

    __slots__ = ("_call", "_watch", "known", "pending", "tells_all", "user_id")

    def __init__(self, user_id: int, call: Callable[[], None]) -> None:
        self.user_id = user_id
        self.known: dict[Key, int] = {}
        self.tells_all = False  # ENABLE METADATA; else only what NOTIFY asks for
        self.pending = False
        self._call = call
        self._watch = OwnersWatch(self._hear, user_id)

    def close(self) -> None:
        self._watch.close()

    async def look(self) -> dict[int, MailboxRow]:
        """What there is now; the mailboxes whose annotations the user may see."""
        self.known, rows = await store.read(_state, self.user_id)
        self._watch.follow((self.user_id, *(row.owner_id for row in rows.values())))
        return rows

    def _hear(self, change: Change) -> None:
        if change.mailbox_id == 0:
            self.pending = True
            self._call()


async def watch(session: Session) -> MetadataWatch:
    """Begin to hear of changes; what is there now needs no telling."""
    if session.metadata is None:
        session.metadata = MetadataWatch(session.user_id, session.on_change)
        await session.metadata.look()
    return session.metadata


async def announce_metadata(session: Session) -> None:
    """Tell the names of annotations that others have changed or removed."""
    watch = session.metadata
    if watch is None or not watch.pending:
        return
    watch.pending = False
    before = watch.known
    try:
        rows = await watch.look()
    except Exception:
        watch.pending = True
        raise
    now = watch.known
    changed: dict[int | None, list[str]] = {}
    for mailbox_id, entry in sorted(now.keys() | before.keys(), key=lambda key: (key[0] or 0, key[1])):
        if now.get((mailbox_id, entry)) != before.get((mailbox_id, entry)):
            changed.setdefault(mailbox_id, []).append(entry)
    for mailbox_id, entries in changed.items():
        if mailbox_id is not None and mailbox_id not in rows:
            continue  # deleted or hidden, and its annotations with it
        row = rows[mailbox_id] if mailbox_id is not None else None
        if watch.tells_all or _is_notified(session, row):
            session.untagged(changes_response(_name(session, row.name if row is not None else ""), entries))


def _state(user_id: int) -> tuple[dict[Key, int], dict[int, MailboxRow]]:
    rows = {access.row.id: access.row for access in all_access(user_id) if may_annotate(access)}
    return annotation_versions(user_id, rows), rows


def _is_notified(session: Session, row: MailboxRow | None) -> bool:
    notifier = session.notifier
    if notifier is None:
        return False
    if row is None:
        return "ServerMetadataChange" in notifier.request.events
    return "MailboxMetadataChange" in notifier.events_for(row)


def _name(session: Session, mailbox: str) -> bytes:
    return mailbox_text(mailbox, session.utf8) if mailbox else b'""'


# ------------------------------------------------------------------ the commands


async def getmetadata(session: Session, request: GetMetadataRequest) -> Reply:
    """GETMETADATA. An entry asked for by name that is not there is NIL."""
    found = await store.read(_read, session.user_id, _domain(session), request)
    limit = request.max_size
    too_long = [len(value) for value in found.values() if limit is not None and len(value) > limit]
    fitting: list[tuple[str, bytes | None]] = [
        (entry, value) for entry, value in found.items() if limit is None or len(value) <= limit
    ]
    if request.depth == 0:
        fitting += [(entry, None) for entry in request.entries if entry not in found]
    if fitting:
        session.untagged(values_response(_name(session, request.mailbox), fitting))
    return Reply("GETMETADATA completed", b"METADATA LONGENTRIES %d" % max(too_long) if too_long else None)


def _domain(session: Session) -> str:
    assert session.identity is not None
    return session.identity.login.rpartition("@")[2]


def _read(user_id: int, domain: str, request: GetMetadataRequest) -> dict[str, bytes]:
    """In a reader thread. Raises `NoSuchMailbox`."""
    made: dict[str, bytes] = {}
    mailbox_id = None
    if request.mailbox:
        row = _annotated(user_id, request.mailbox)
        mailbox_id = row.id
        if row.special_use:
            made[SPECIAL_USE] = row.special_use.encode("ascii")
    else:
        made[SERVER_ADMIN] = f"mailto:postmaster@{domain}".encode()
    names = sorted({*annotation_names(user_id, mailbox_id), *made})
    wanted = chosen_entries(names, request.entries, request.depth)
    values = {**annotation_values(user_id, mailbox_id, wanted), **made}
    return {entry: values[entry] for entry in wanted if entry in values}


def _annotated(user_id: int, name: str) -> MailboxRow:
    """Raises `NoSuchMailbox`, `NotPermitted`."""
    access = find_access(user_id, name)
    if not may_annotate(access):
        access.require("lr")
    return access.row


async def setmetadata(session: Session, request: SetMetadataRequest) -> None:
    """SETMETADATA: all of the changes or none."""
    assert session.identity is not None
    owner_id, mailbox_id = session.user_id, None
    if request.mailbox:
        row = await store.read(_annotated, session.user_id, request.mailbox)
        owner_id, mailbox_id = row.owner_id, row.id
    elif SERVER_ADMIN in request.changes:
        raise Refusal("CANNOT", "That entry is set by the server")
    elif any(entry.startswith("/shared/") for entry in request.changes) and not session.identity.is_admin:
        raise Refusal("NOPERM", "Only administrators set what all users see")
    if not request.mailbox:
        check_filters(request.changes.items())
    await announce_metadata(session)  # what others did must not be taken for our own
    await store.call(set_annotations, session.user_id, owner_id, mailbox_id, request.changes)
    await _know_own(session, mailbox_id, request.changes)


async def _know_own(session: Session, mailbox_id: int | None, entries: Iterable[str]) -> None:
    """Section 4.4: what the client did itself is not told to it."""
    if session.metadata is None:
        return
    now, _ = await store.read(_state, session.user_id)
    for entry in entries:
        key = (mailbox_id, entry)
        if key in now:
            session.metadata.known[key] = now[key]
        else:
            session.metadata.known.pop(key, None)
