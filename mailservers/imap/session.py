"""What one client has open: who it is, which mailbox it has selected, what it asked to be told; and what is said to it.

Invariant: the mailbox is watched exactly as long as it is selected.
"""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from accounts.auth.door import Identity
from mailservers.imap.selected import WELL_KNOWN_KEYWORDS, Selected, flags_text
from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.flags import FlagRow
from mailservers.store.mailboxes import claim_recent
from mailservers.store.transaction import EVERYBODY, Change

if TYPE_CHECKING:
    from mailservers.formats.imap.fetch import FetchItem
    from mailservers.imap.metadata import MetadataWatch
    from mailservers.imap.notifying import Notifier
    from mailservers.store.access import Access

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 10.0
URL_MECHANISMS = b"OK [URLMECH INTERNAL] Mechanisms of URLAUTH"  # RFC 4467, BASE.7.1
FLUSH_LINES = 500  # responses collected before they are sent


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


class Session:
    """The state of one client; handlers read and change it."""

    __slots__ = (
        "_out",
        "append_target",
        "bad_commands",
        "client_name",
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
        self.client_name = ""  # as ID told it
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
        self.append_target: tuple[str, Access] | None = None  # the last one, by the name given, if it is the user's own
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
        """Send, and wait until the client has read enough. Raises ConnectionResetError when it has gone, or reads
        nothing for IMAP_WRITE_TIMEOUT_S."""
        self.send()
        if self.identity is None:
            await self.sink.drain()
            return
        self.sink.expect_within(settings.IMAP_WRITE_TIMEOUT_S)
        await self.sink.drain()
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
    def login(self) -> str:
        assert self.identity is not None
        return self.identity.login

    @property
    def mailbox(self) -> Selected:
        """The selected mailbox. Raises ConnectionResetError where the client has gone during a command: that there
        is one when a command begins, the command table sees to."""
        if self.selected is None:
            raise ConnectionResetError
        return self.selected

    def forget_user(self) -> None:
        """All that was said and enabled since the greeting, but for TLS, is undone (RFC 8437 section 3)."""
        self.drop_selected()
        self.end_notify()
        self.end_metadata()
        self.identity = self.append_target = None
        self.rev2 = self.utf8_accept = self.condstore = self.qresync = self.uidonly = False

    def enable_condstore(self) -> None:
        """A CONDSTORE enabling command was given; in a selected mailbox the client learns where it stands
        (RFC 7162 section 3.1.2.1)."""
        if not self.condstore:
            self.condstore = True
            if self.selected is not None:
                self.untagged(b"OK [HIGHESTMODSEQ %d] Highest" % self.selected.seen_modseq)

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
        selected = self.selected
        if selected is not None and selected.is_doubtful:
            return True
        if self.idle_tag is None and self.notifier is None:
            return False
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
        """Take a mailbox as selected and begin to hear of its changes; of those since it was read, too."""
        self.selected = selected
        latest = hub.watch_mailbox(selected.owner_id, selected.mailbox_id, self._hear)
        selected.hinted = max(selected.hinted, latest)
        if selected.owner_id != self.user_id:
            hub.watch_owner(EVERYBODY, self._hear_of_access)

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
            if selected.owner_id != self.user_id:
                hub.unwatch_owner(EVERYBODY, self._hear_of_access)
        return selected

    def _hear(self, change: Change) -> None:
        selected = self.selected
        if change.modseq == 0 and change.owner_id == self.user_id and selected is not None:
            self.untagged(URL_MECHANISMS)
        if selected is not None and change.modseq > selected.hinted:
            selected.hinted = change.modseq
            if change.modseq > selected.seen_modseq:
                self.on_change()

    def _hear_of_access(self, change: Change) -> None:
        if self.selected is not None:
            self.selected.is_doubtful = True
            self.on_change()

    # ------------------------------------------------------------ messages

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
            self.untagged(b"FLAGS " + selected.defined_flags())
