"""The WebSocket of the webmail, /live/mail/: tells the browser which mailboxes have changed.

Messages are hints, as the store's are: `{"mailbox": id, "modseq": n}`, mailbox 0 when the folders themselves changed.
The browser asks for the changes itself (`listing.views.changes`); a lost hint costs the delay until its next poll.

A page that shows what became of a sent message says `{"track": Message-ID}` ("" to end it), and is told
`{"track": Message-ID}` when something has happened to it, and `{"trying": address, "trace": id, "host": …,
"tls": …}` while an attempt is under way.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.sent_traces import traces_of
from mailservers.store.transaction import Change, Event

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


class MailConsumer(AsyncWebsocketConsumer):
    """One browser tab of one user."""

    owner_id: int | None = None
    tracked = ""  # a Message-ID
    traces: frozenset[str] = frozenset()  # of the tracked message
    is_track_due = False

    async def connect(self) -> None:
        user = self.scope.get("user")
        await self.accept()
        if user is None or not user.is_authenticated:
            await self.close(UNAUTHENTICATED)
            return
        self.owner_id = user.pk
        self.waiting: dict[int, int] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.sending: asyncio.Task[None] | None = None
        hub.attach()
        hub.watch_owner(user.pk, self.note)
        hub.watch_events(self.note_event)

    async def disconnect(self, code: int) -> None:
        if self.owner_id is None:
            return
        hub.unwatch_owner(self.owner_id, self.note)
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

    def note_event(self, event: Event) -> None:
        """Called by the hub, for every event there is: most are of no message that is tracked here."""
        if event.trace_id not in self.traces:
            return
        if event.step == Step.TRYING:
            self.telling = asyncio.get_running_loop().create_task(self._send(_trying(event)))
            return
        self.is_track_due = True
        self.wake()

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
