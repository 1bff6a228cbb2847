"""The WebSocket of the webmail, /live/mail/: tells the browser which mailboxes have changed.

Messages are hints, as the store's are: `{"mailbox": id, "modseq": n}`, mailbox 0 when the folders themselves changed.
The browser asks for the changes itself (`listing.views.changes`); a lost hint costs the delay until its next poll.
Mailboxes that others share and the user may read are watched, too, from the moment the rights are given.

A page that shows what became of a sent message says `{"track": Message-ID}` ("" to end it), and is told
`{"track": Message-ID}` when something has happened to it, and `{"trying": address, "trace": id, "host": …,
"tls": …}` while an attempt is under way.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils.crypto import constant_time_compare

from accounts.auth.web_sessions import RECHECK_S, signed_in
from mailservers.store.access import shared_with
from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.events import Step
from mailservers.store.sent_traces import traces_of
from mailservers.store.transaction import EVERYBODY, Change, Event

COALESCE_S = 0.1
UNAUTHENTICATED = 4401  # close code
MAX_FRAME = 2000  # characters from the browser


def _tracked_id(text: str) -> str | None:
    """The Message-ID to track, "" for none; None for what is not understood."""
    try:
        words = json.loads(text) if len(text) <= MAX_FRAME else None
    except (ValueError, RecursionError):
        return None
    value = words.get("track") if isinstance(words, dict) else None
    return value if isinstance(value, str) else None


def _trying(event: Event) -> dict[str, str]:
    return {"trying": event.recipient, "trace": event.trace_id, "host": event.peer, "tls": event.detail}


def _shared_mailboxes(user_id: int) -> dict[int, int]:
    """Those that the user may read, and their owners."""
    return {access.row.id: access.row.owner_id for access in shared_with(user_id) if "r" in access.rights}


class MailConsumer(AsyncWebsocketConsumer):
    """One browser tab of one user."""

    owner_id: int | None = None
    tracked = ""  # a Message-ID
    traces: frozenset[str] = frozenset()  # of the tracked message
    is_track_due = False
    recheck_s = RECHECK_S

    async def connect(self) -> None:
        user = self.scope.get("user")
        await self.accept()
        if user is None or not user.is_authenticated:
            await self.close(UNAUTHENTICATED)
            return
        self.owner_id = user.pk
        session_key = getattr(self.scope.get("session"), "session_key", None)
        self.rechecking = asyncio.create_task(self._recheck(session_key, user.get_session_auth_hash()))
        self.waiting: dict[int, int] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.sending: asyncio.Task[None] | None = None
        hub.attach()
        hub.watch_owner(user.pk, self.note)
        hub.watch_owner(EVERYBODY, self.note_access)
        self.shared: dict[int, int] = {}  # mailbox -> owner
        await self.watch_shared()
        hub.watch_events(self.note_event)

    async def disconnect(self, code: int) -> None:
        if self.owner_id is None:
            return
        self.rechecking.cancel()
        hub.unwatch_owner(self.owner_id, self.note)
        hub.unwatch_owner(EVERYBODY, self.note_access)
        self.owner_id = None
        for mailbox_id, owner in self.shared.items():
            hub.unwatch_mailbox(owner, mailbox_id, self.note)
        hub.unwatch_events(self.note_event)
        if self.timer is not None:
            self.timer.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Which message is tracked from now on; anything else is passed over."""
        message_id = _tracked_id(text_data or "")
        if self.owner_id is None or message_id is None:
            return
        self.tracked, self.traces = message_id, frozenset()
        if not message_id:
            return
        self.traces = frozenset(await store.read(traces_of, self.owner_id, message_id))
        await self._send({"track": self.tracked})  # what happened before we listened
        for event in hub.under_way(self.traces):
            await self._send(_trying(event))

    async def _recheck(self, session_key: str | None, digest: str) -> None:
        """Close when the session has ended, the password was changed, or the user may not sign in any more."""
        while True:
            await asyncio.sleep(self.recheck_s)
            try:
                _, current = await store.read(signed_in, self.owner_id, session_key)
            except StoreError:
                continue  # the database is busy: look again soon
            if not constant_time_compare(current, digest):
                await self.close(UNAUTHENTICATED)
                return

    def note_event(self, event: Event) -> None:
        """Called by the hub, for every event there is: most are of no message that is tracked here."""
        if event.trace_id not in self.traces:
            return
        if event.step == Step.TRYING:
            self.telling = asyncio.get_running_loop().create_task(self._send(_trying(event)))
            return
        self.is_track_due = True
        self.wake()

    def note_access(self, _change: Change) -> None:
        """Called by the hub: somebody was given a right, or lost it."""
        self.watching = asyncio.get_running_loop().create_task(self._access_changed())

    async def _access_changed(self) -> None:
        await self.watch_shared()
        if self.owner_id is not None:
            self.note(Change(self.owner_id, 0, 0))

    async def watch_shared(self) -> None:
        """Watch what others share with the user now, and nothing else of theirs."""
        if self.owner_id is None:
            return
        found = await store.read(_shared_mailboxes, self.owner_id)
        if self.owner_id is None:
            return  # the tab has gone meanwhile
        for mailbox_id in self.shared.keys() - found.keys():
            hub.unwatch_mailbox(self.shared.pop(mailbox_id), mailbox_id, self.note)
        for mailbox_id in found.keys() - self.shared.keys():
            self.shared[mailbox_id] = found[mailbox_id]
            hub.watch_mailbox(found[mailbox_id], mailbox_id, self.note)

    def note(self, change: Change) -> None:
        """Called by the hub: what comes within COALESCE_S goes out as one message a mailbox."""
        self.waiting[change.mailbox_id] = max(change.modseq, self.waiting.get(change.mailbox_id, 0))
        self.wake()

    def wake(self) -> None:
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(COALESCE_S, self.flush)

    def flush(self) -> None:
        self.timer = None
        waiting, self.waiting = self.waiting, {}
        self.sending = asyncio.get_running_loop().create_task(self.tell(waiting))

    async def tell(self, waiting: dict[int, int]) -> None:
        for mailbox_id, modseq in waiting.items():
            await self._send({"mailbox": mailbox_id, "modseq": modseq})
        if self.is_track_due:
            self.is_track_due = False
            await self._send({"track": self.tracked})

    async def _send(self, value: dict[str, Any]) -> None:
        try:
            await self.send(text_data=json.dumps(value))
        except Exception:  # the tab has gone meanwhile, which `disconnect` deals with
            return
