"""The WebSocket of the webmail, /live/mail/: tells the browser which mailboxes have changed.

Messages are hints, as the store's are: `{"mailbox": id, "modseq": n}`, mailbox 0 when the folders themselves changed.
The browser asks for the changes itself (`listing.views.changes`); a lost hint costs the delay until its next poll.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from mailservers.store.changes import hub
from mailservers.store.transaction import Change

COALESCE_S = 0.1
UNAUTHENTICATED = 4401  # close code


class MailConsumer(AsyncWebsocketConsumer):
    """One browser tab of one user."""

    owner_id: int | None = None

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

    async def disconnect(self, code: int) -> None:
        if self.owner_id is None:
            return
        hub.unwatch_owner(self.owner_id, self.note)
        if self.timer is not None:
            self.timer.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """The browser has nothing to say here."""

    def note(self, change: Change) -> None:
        """Called by the hub: what comes within COALESCE_S goes out as one message a mailbox."""
        self.waiting[change.mailbox_id] = max(change.modseq, self.waiting.get(change.mailbox_id, 0))
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(COALESCE_S, self.flush)

    def flush(self) -> None:
        self.timer = None
        waiting, self.waiting = self.waiting, {}
        self.sending = asyncio.get_running_loop().create_task(self.tell(waiting))

    async def tell(self, waiting: dict[int, int]) -> None:
        for mailbox_id, modseq in waiting.items():
            await self._send({"mailbox": mailbox_id, "modseq": modseq})

    async def _send(self, value: dict[str, Any]) -> None:
        try:
            await self.send(text_data=json.dumps(value))
        except Exception:  # the tab has gone meanwhile, which `disconnect` deals with
            return
