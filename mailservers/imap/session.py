"""What one client has open: who it is, which mailbox it has selected, what it has been told.

The session turns changes of the store into untagged responses. ``announce`` asks the store what happened
since ``Selected.seen_modseq`` and says so: EXPUNGE (only where a command lets it through: RFC 9051
section 7.5.1), EXISTS, RECENT, FETCH. The hub's call-back only notes how far the mailbox has moved
(``hinted``), so that a command in a quiet mailbox asks nothing.

Invariants: the view changes only together with the response that says so; ``seen_modseq`` never goes
back; the mailbox is watched exactly as long as it is selected.
"""

from __future__ import annotations

import logging
import time
from array import array
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from accounts.auth.door import Identity
from mailservers.formats.imap.sequences import write_numbers
from mailservers.formats.imap.writer import flag_list
from mailservers.imap.replies import Disconnect
from mailservers.imap.tracker import View
from mailservers.models import Flag
from mailservers.store.access import ALL_RIGHTS
from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.flags import FlagRow, FlagsStored
from mailservers.store.mailboxes import claim_recent
from mailservers.store.queries import ChangesSince, changes_since
from mailservers.store.queries import uids as uids_of
from mailservers.store.transaction import Change

if TYPE_CHECKING:
    from mailservers.formats.imap.fetch import FetchItem
    from mailservers.imap.metadata import MetadataWatch
    from mailservers.imap.notifying import Notifier

log = logging.getLogger(__name__)

SYSTEM_FLAGS = tuple((flag.value, flag.label) for flag in Flag)
SYSTEM_FLAG_BITS = {label: value for value, label in SYSTEM_FLAGS}
# RFC 9051 section 2.3.2: keywords a server SHOULD support; told to the client in every mailbox.
WELL_KNOWN_KEYWORDS = ("$Forwarded", "$MDNSent", "$Junk", "$NotJunk", "$Phishing")
PROGRESS_EVERY_S = 10.0
FLUSH_LINES = 500  # responses collected before they are sent

_system_flag_texts = tuple(
    " ".join(label for value, label in SYSTEM_FLAGS if bits & value) for bits in range(1 << len(SYSTEM_FLAGS))
)


def flags_text(flags: int, keywords: str, recent: bool) -> bytes:
    """``\\Seen $Forwarded``: what stands between the parentheses of FLAGS."""
    text = _system_flag_texts[flags & 31]
    if keywords:
        text = f"{text} {keywords}" if text else keywords
    if recent:
        text = f"{text} \\Recent" if text else "\\Recent"
    return text.encode("ascii", "replace")


class Sink(Protocol):
    """What a session needs of its connection; `mailservers.serving.connection.Connection` is one."""

    is_tls: bool
    peer_address: str

    @property
    def may_send_password(self) -> bool: ...
    def channel_binding(self, kind: str) -> bytes | None: ...
    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    async def start_tls(self) -> None: ...
    def close(self) -> None: ...
    @property
    def is_compressed(self) -> bool: ...
    def inflate_input(self) -> None: ...
    def deflate_output(self) -> None: ...
    def end_compression(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def expect_within(self, seconds: float) -> None: ...


class Selected:
    """The selected mailbox."""

    __slots__ = (
        "first_recent",
        "hinted",
        "keywords",
        "mailbox_id",
        "name",
        "own_new",
        "owner_id",
        "read_only",
        "recent_unclaimed",
        "rights",
        "seen_modseq",
        "to_fetch",
        "told",
        "uid_next",
        "uid_validity",
        "untold_marks",
        "view",
    )

    def __init__(
        self, owner_id: int, mailbox_id: int, name: str, uid_validity: int, uids: array[int], read_only: bool
    ) -> None:
        self.owner_id = owner_id
        self.mailbox_id = mailbox_id
        self.name = name
        self.uid_validity = uid_validity
        self.view = View(uids)
        self.read_only = read_only
        self.rights: frozenset[str] = ALL_RIGHTS  # as they were at SELECT (RFC 4314 section 5.1.1)
        self.seen_modseq = 0  # all changes up to here are in the view
        self.hinted = 0  # the mailbox is known to have moved on to here
        self.uid_next = 1  # messages from here on have not been announced
        self.first_recent = 0  # UIDs from here on are \Recent in this session; 0: none are (IMAP4rev2)
        self.recent_unclaimed = False  # \Recent messages came that other sessions could still see as such
        self.keywords: frozenset[str] = frozenset()  # told to the client in FLAGS
        self.untold_marks: int | None = None  # NOTIFY left marks untold from this mod-sequence on
        self.to_fetch: list[int] = []  # new messages that NOTIFY wants fetched
        self.own_new: set[int] = set()  # new messages that the client itself made
        self.told: dict[int, int] | None = None  # uid -> modseq of marks this command has sent

    @property
    def sets_seen(self) -> bool:
        """Whether reading a message marks it as read."""
        return not self.read_only and "s" in self.rights

    @property
    def recent_count(self) -> int:
        """How many messages of the view are \\Recent."""
        uids = self.view.uids
        return len(uids) - bisect_left(uids, self.first_recent) if self.first_recent else 0

    def is_recent(self, uid: int) -> bool:
        return 0 < self.first_recent <= uid

    def tell(self, rows: Sequence[FlagRow]) -> None:
        """These marks are sent by the command in hand: not to be announced again."""
        if self.told is None:
            self.told = {}
        for row in rows:
            self.told[row.uid] = row.modseq

    def stored(self, result: FlagsStored) -> None:
        """The session's own operation took the mailbox a step on. Where that was the only step since the last
        look, there is nothing left to ask for. Where others changed something too, all is asked for, and what
        .SILENT kept quiet is told after all: a message may have got a flag of theirs as well."""
        if result.changed and result.modseq == self.seen_modseq + 1:
            self.seen_modseq = result.modseq


class Session:
    """The state of one client; handlers read and change it."""

    __slots__ = (
        "_out",
        "bad_commands",
        "condstore",
        "delays_expunges",
        "enter",
        "failed_logins",
        "forget_input",
        "identity",
        "idle_tag",
        "metadata",
        "narrow_limits",
        "new_items",
        "next_line",
        "notifier",
        "on_change",
        "qresync",
        "rev2",
        "saved",
        "selected",
        "sink",
        "tag",
        "tells_marks",
        "tells_new",
        "told_progress_at",
        "uidonly",
        "utf8_accept",
    )

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.identity: Identity | None = None
        self.selected: Selected | None = None
        self.rev2 = False  # ENABLE IMAP4rev2
        self.utf8_accept = False  # ENABLE UTF8=ACCEPT (RFC 6855)
        self.condstore = False  # a CONDSTORE enabling command was given (RFC 7162 section 3.1)
        self.qresync = False  # ENABLE QRESYNC: VANISHED for EXPUNGE (RFC 7162 section 3.2.10)
        self.uidonly = False  # ENABLE UIDONLY: no message numbers (RFC 9586)
        self.told_progress_at = 0.0  # when the command in hand began, or last told how far it is
        # NOTIFY (RFC 5465): None until it is given; what of the selected mailbox is told, and when.
        self.notifier: Notifier | None = None
        self.metadata: MetadataWatch | None = None  # ENABLE METADATA, or NOTIFY asks for it
        self.tells_new = True  # new and expunged messages
        self.tells_marks = True
        self.delays_expunges = False  # even between commands
        self.new_items: tuple[FetchItem, ...] = ()  # fetched of new messages
        self.saved: array[int] | None = None  # UIDs of SEARCH RETURN (SAVE), for "$"
        self.idle_tag: bytes | None = None  # the tag of IDLE, while it lasts
        self.tag = b""  # of the command in hand
        self.failed_logins = 0
        self.bad_commands = 0  # one after the other
        self._out: list[bytes] = []
        # Set by the dialogue: the next line of an authentication exchange, what follows a login, what STARTTLS
        # needs, and who wants to know of changes.
        self.next_line: Callable[[], Awaitable[bytes]]
        self.enter: Callable[[Identity], None]
        self.narrow_limits: Callable[[], None]
        self.forget_input: Callable[[], None]
        self.on_change: Callable[[], None]

    # ------------------------------------------------------------ output

    def untagged(self, text: bytes) -> None:
        """Queue ``* text``; sent with the next ``flush``, at the latest with the tagged response."""
        self._out.append(b"* %b\r\n" % text)

    def raw(self, data: bytes) -> None:
        """Queue octets as they are."""
        self._out.append(data)

    @property
    def pending(self) -> int:
        return len(self._out)

    def send(self) -> None:
        """Hand what is queued to the connection."""
        if self._out:
            self.sink.write(b"".join(self._out))
            self._out = []

    async def flush(self) -> None:
        """Send, and wait until the client has read enough. Raises ConnectionResetError when it has gone."""
        self.send()
        await self.sink.drain()
        if self.identity is not None:
            self.sink.expect_within(settings.IMAP_IDLE_TIMEOUT_S)

    async def flush_some(self) -> None:
        """Send what has piled up."""
        if self.pending >= FLUSH_LINES:
            await self.flush()

    async def progress(self, done: int, goal: int) -> None:
        """A long command has done so much: say so every PROGRESS_EVERY_S (RFC 9585), and see that the client is
        still there."""
        now = time.monotonic()
        if now - self.told_progress_at >= PROGRESS_EVERY_S and self.tag:
            self.told_progress_at = now
            self.untagged(b'OK [INPROGRESS ("%b" %d %d)] Still at it' % (self.tag, done, goal))
        await self.flush()

    # ------------------------------------------------------------ who

    @property
    def utf8(self) -> bool:
        """Mailbox names and quoted strings are UTF-8."""
        return self.rev2 or self.utf8_accept

    @property
    def user_id(self) -> int:
        assert self.identity is not None  # the command table lets only the authenticated through
        return self.identity.user_id

    @property
    def mailbox(self) -> Selected:
        assert self.selected is not None  # the command table
        return self.selected

    def forget_user(self) -> None:
        """All that was said and enabled since the greeting, but for TLS, is undone (RFC 8437 section 3)."""
        self.drop_selected()
        self.end_notify()
        self.end_metadata()
        self.identity = None
        self.rev2 = self.utf8_accept = self.condstore = self.qresync = self.uidonly = False

    # ------------------------------------------------------------ NOTIFY

    def end_notify(self) -> None:
        """Back to how a session is before its first NOTIFY."""
        if self.notifier is not None:
            self.notifier.close()
        self.notifier = None
        self.tells_new = self.tells_marks = True
        self.delays_expunges = False
        self.new_items = ()

    def end_metadata(self) -> None:
        """Annotations are watched no more."""
        if self.metadata is not None:
            self.metadata.close()
        self.metadata = None

    def stop_listening(self) -> None:
        """The session ends."""
        self.drop_selected()
        self.end_notify()
        self.end_metadata()

    def made(self, mailbox_id: int, uids: Iterable[int], steps: int) -> None:
        """The client itself put messages into a mailbox, which took so many mod-sequences: that is no news to it."""
        if self.selected is not None and self.selected.mailbox_id == mailbox_id:
            if self.new_items:
                self.selected.own_new.update(uids)
        elif self.notifier is not None:
            self.notifier.own_steps[mailbox_id] = self.notifier.own_steps.get(mailbox_id, 0) + steps

    def named(self, *names: str) -> None:
        """The client itself made, renamed, removed or (un)subscribed these mailboxes."""
        if self.notifier is not None:
            self.notifier.own_names.update(names)

    @property
    def has_news(self) -> bool:
        """Something may be said now, though no command asks for it."""
        if self.idle_tag is None and self.notifier is None:
            return False
        selected = self.selected
        if selected is not None and self.tells_new:
            if selected.hinted > selected.seen_modseq:
                return True
            if selected.view.gone and not self.delays_expunges:
                return True
        if self.metadata is not None and self.metadata.pending:
            return True
        return self.notifier is not None and self.notifier.pending

    # ------------------------------------------------------------ selecting

    def select(self, selected: Selected) -> None:
        """Take a mailbox as selected and begin to hear of its changes."""
        self.selected = selected
        hub.watch_mailbox(selected.owner_id, selected.mailbox_id, self._hear)

    async def deselect(self) -> None:
        """Forget the selected mailbox."""
        selected = self.drop_selected()
        if selected is not None and selected.recent_unclaimed:
            try:
                await store.call(claim_recent, selected.owner_id, selected.mailbox_id)
            except Exception:
                log.info("\\Recent of mailbox %d stays", selected.mailbox_id, exc_info=True)

    def drop_selected(self) -> Selected | None:
        """Stop hearing of changes; nothing else, so that a lost connection can do it."""
        selected, self.selected, self.saved = self.selected, None, None
        if selected is not None:
            hub.unwatch_mailbox(selected.owner_id, selected.mailbox_id, self._hear)
        return selected

    def _hear(self, change: Change) -> None:
        selected = self.selected
        if selected is not None and change.modseq > selected.hinted:
            selected.hinted = change.modseq
            if change.modseq > selected.seen_modseq:
                self.on_change()

    # ------------------------------------------------------------ announcing

    async def announce(self, expunge: bool, ask: bool = False, own: bool = False) -> None:
        """Tell the client what changed in the selected mailbox. ``expunge``: EXPUNGE may be sent; ``ask``: look
        even without a hint; ``own``: the client's command expunged, which it hears of whatever NOTIFY said.
        Raises Disconnect where the mailbox is gone."""
        selected = self.selected
        if selected is None:
            return
        if not self.tells_new:
            if own:
                await self._changes(selected, selected.seen_modseq)
                self._announce_expunged(selected)
            selected.told = None
            return
        hinted = selected.hinted
        since = selected.seen_modseq
        if self.tells_marks and selected.untold_marks is not None:
            since, selected.untold_marks, ask = selected.untold_marks, None, True
        if ask or hinted > selected.seen_modseq:
            changes = await self._changes(selected, since)
            expunged = set(changes.expunged)
            if expunge:
                self._announce_expunged(selected)
            rows = [row for row in changes.rows if row.uid not in expunged]
            first_new = selected.uid_next
            self._announce_new(selected, [row.uid for row in rows if row.uid >= first_new])
            selected.uid_next = max(selected.uid_next, changes.uid_next)
            await self._announce_marks(selected, [row for row in rows if row.uid < first_new])
            if changes.highest_modseq > selected.seen_modseq:
                selected.seen_modseq = changes.highest_modseq
            if selected.hinted == hinted > selected.seen_modseq:
                selected.hinted = selected.seen_modseq  # a hint of nothing
        elif expunge:
            self._announce_expunged(selected)
        selected.told = None

    async def _changes(self, selected: Selected, since: int) -> ChangesSince:
        changes = await store.read(changes_since, selected.mailbox_id, since)
        if self.selected is not selected:
            raise ConnectionResetError  # meanwhile the client has gone
        if changes is None:
            raise Disconnect("The selected mailbox was deleted")
        if changes.forgotten:
            present = frozenset(await store.read(uids_of, selected.mailbox_id))
            selected.view.mark_gone({uid for uid in selected.view.uids if uid not in present})
        selected.view.mark_gone(set(changes.expunged))
        return changes

    def _announce_expunged(self, selected: Selected) -> None:
        gone = sorted(selected.view.gone or ())
        numbers = selected.view.remove_gone()
        if self.qresync or self.uidonly:
            if gone:
                self.untagged(b"VANISHED " + write_numbers(gone))
            return
        for number in numbers:
            self.untagged(b"%d EXPUNGE" % number)

    def _announce_new(self, selected: Selected, uids: list[int]) -> None:
        if not uids:
            return
        selected.view.add(uids)
        selected.uid_next = uids[-1] + 1
        self.untagged(b"%d EXISTS" % len(selected.view))
        if not self.rev2:
            if not selected.first_recent:
                selected.first_recent = uids[0]
            selected.recent_unclaimed = not selected.read_only
            self.untagged(b"%d RECENT" % selected.recent_count)
        if self.new_items:
            selected.to_fetch += [uid for uid in uids if uid not in selected.own_new]
            selected.own_new.clear()

    async def _announce_marks(self, selected: Selected, rows: list[FlagRow]) -> None:
        if not self.tells_marks:
            if rows and selected.untold_marks is None:
                selected.untold_marks = selected.seen_modseq
            return
        told = selected.told or {}
        for row in rows:
            number = selected.view.number_of(row.uid)
            if number and told.get(row.uid) != row.modseq:
                self.fetch_marks(number, row, with_uid=True)
                if self.pending >= FLUSH_LINES:
                    await self.flush()

    def fetch_marks(self, number: int, row: FlagRow, *, with_uid: bool, with_flags: bool = True) -> None:
        """``* n FETCH (UID u FLAGS (...) MODSEQ (m))`` with the items that apply to this session."""
        selected = self.mailbox
        items = [b"UID %d" % row.uid] if with_uid and not self.uidonly else []
        if with_flags:
            self.learn_keywords(row.keywords)
            items.append(b"FLAGS (%b)" % flags_text(row.flags, row.keywords, selected.is_recent(row.uid)))
        if self.condstore:
            items.append(b"MODSEQ (%d)" % row.modseq)
        self.message_data(number, row.uid, items)

    @property
    def tells_uids(self) -> bool:
        """Marks are told with the UID (RFC 7162 section 3.2.4); not where the UID is what they are told under."""
        return self.condstore and not self.uidonly

    def message_data(
        self, number: int, uid: int, items: Iterable[bytes], more: Sequence[bytes | tuple[bytes, ...]] = ()
    ) -> None:
        """``* n FETCH (...)``, or for a client that knows no message numbers ``* uid UIDFETCH (...)``.
        ``more`` are further items, in pieces where they are large."""
        head = self.message_start(number, uid)
        text = b" ".join(items)
        if not more:
            self._out.append(b"%b%b)\r\n" % (head, text))
            return
        self._out.append(head + text)
        for n, item in enumerate(more):
            if n or text:
                self._out.append(b" ")
            if isinstance(item, tuple):
                self._out += item
            else:
                self._out.append(item)
        self._out.append(b")\r\n")

    def message_start(self, number: int, uid: int) -> bytes:
        return b"* %d UIDFETCH (" % uid if self.uidonly else b"* %d FETCH (" % number

    def learn_keywords(self, keywords: str) -> None:
        """Before a keyword is sent that the client has not been told of, tell it (RFC 9051 section 7.3.5)."""
        if not keywords:
            return
        selected = self.mailbox
        words = [word for word in keywords.split() if word not in WELL_KNOWN_KEYWORDS]
        if not selected.keywords.issuperset(words):
            selected.keywords = selected.keywords.union(words)
            self.untagged(b"FLAGS " + self.defined_flags(selected))

    def permanent_flags(self, selected: Selected) -> list[str]:
        """PERMANENTFLAGS: what the client may change here (RFC 4314 section 5.1.1)."""
        if selected.read_only:
            return []
        rights = {"\\Seen": "s", "\\Deleted": "t"}
        flags = (*(label for _, label in SYSTEM_FLAGS), *_keywords_of(selected), "\\*")
        return [flag for flag in flags if rights.get(flag, "w") in selected.rights]

    @staticmethod
    def defined_flags(selected: Selected) -> bytes:
        """The list of the FLAGS response: system flags and the keywords in use here."""
        return flag_list([*(label for _, label in SYSTEM_FLAGS), *_keywords_of(selected)])


def _keywords_of(selected: Selected) -> list[str]:
    return list({word.lower(): word for word in (*WELL_KNOWN_KEYWORDS, *sorted(selected.keywords))}.values())
