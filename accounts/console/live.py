"""The live delivery log: a WebSocket that tells every step of every message as it is committed.

The browser sends {"type": "watch", "address": "…", "outcome": "…", "last": <id>} to begin or to change the filter;
`last` is the newest event it knows of, and what it missed since then comes first (at most CATCH_UP). It receives
{"type": "events", "events": [Row.as_json(), …], "dropped": n}, where `dropped` counts events left out because this
viewer was too slow: at most BACKLOG wait for each. Nothing is sent before the first "watch".

Only who may follow messages, and only those of their domains: that is looked up again every RECHECK_S seconds, with
the session itself, and the socket is closed with 4403 when it is not the same any more. The Origin is checked in
config.asgi.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils.crypto import constant_time_compare

from accounts.auth.web_sessions import RECHECK_S, signed_in
from accounts.console.events import Filter, events_after, row, seen_by
from accounts.roles import Permission, Scope
from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.events import Step
from mailservers.store.transaction import Event

log = logging.getLogger(__name__)

BACKLOG = 500  # events that wait for one viewer
AT_ONCE = 100  # events in one frame
PAUSE_S = 0.1  # between two frames
CATCH_UP = 500
MAX_FRAME = 4096  # octets from the browser
NOT_ALLOWED = 4403


class LogConsumer(AsyncWebsocketConsumer):
    """One viewer."""

    recheck_s = RECHECK_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wanted: Filter | None = None
        self._waiting: deque[Event] = deque(maxlen=BACKLOG)
        self._dropped = 0
        self._is_catching_up = False
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self) -> None:
        self._user_id = getattr(self.scope.get("user"), "pk", None)
        self._session_key = getattr(self.scope.get("session"), "session_key", None)
        self._auth_hash, self._scope = await self._current()
        if not self._auth_hash:
            await self.close(NOT_ALLOWED)
            return
        await self.accept()
        hub.attach()
        hub.watch_events(self._take)
        self._tasks = [asyncio.create_task(self._send_events()), asyncio.create_task(self._recheck())]

    async def disconnect(self, code: int) -> None:
        hub.unwatch_events(self._take)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            words = json.loads(text_data or "") if len(text_data or "") <= MAX_FRAME else None
        except (ValueError, RecursionError):  # nested too deep
            words = None
        if not isinstance(words, dict) or words.get("type") != "watch":
            await self.close(4400)
            return
        last = words.get("last")
        await self._watch(
            Filter.of(words.get("address"), words.get("outcome")),
            last if isinstance(last, int) and 0 <= last < 2**62 else None,
        )

    async def _watch(self, wanted: Filter, last: int | None) -> None:
        """Begin with what came after the event `last`; None begins with now."""
        self._wanted = wanted
        self._waiting.clear()
        self._dropped = 0
        if last is None:
            return
        self._is_catching_up = True  # what happens during the read waits behind what was missed
        try:
            missed = await store.read(events_after, last, CATCH_UP)
        except StoreError:
            log.warning("the live log could not read what its viewer missed", exc_info=True)
            missed = []
        finally:
            self._is_catching_up = False
        meanwhile = list(self._waiting)
        self._waiting.clear()
        known = {event.id for event in missed}
        for event in [*missed, *(event for event in meanwhile if event.id not in known)]:
            self._take(event)

    # ------------------------------------------------------------ towards the browser

    def _take(self, event: Event) -> None:
        """Called by the hub on the event loop: never waits."""
        if self._wanted is None or not self._wanted.admits(event) or self._scope is None:
            return
        if event.step == Step.TRYING or not self._scope.sees(event.sender, event.recipient):
            return
        if len(self._waiting) == BACKLOG:
            self._dropped += 1
        self._waiting.append(event)
        self._wake.set()

    async def _send_events(self) -> None:
        """Frames of up to AT_ONCE events; `send` waits while the browser does not read, and the backlog is bounded."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting and not self._is_catching_up:
                events = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                dropped, self._dropped = self._dropped, 0
                rows = [row(seen_by(self._scope, event)).as_json() for event in events if self._scope]
                await self.send(json.dumps({"type": "events", "events": rows, "dropped": dropped}))
                await asyncio.sleep(PAUSE_S)

    # ------------------------------------------------------------ who is watching

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(self.recheck_s)
            try:
                current, scope = await self._current()
            except StoreError:
                continue  # the database is busy: look again soon
            if not constant_time_compare(current, self._auth_hash) or scope != self._scope:
                await self.close(NOT_ALLOWED)
                return

    async def _current(self) -> tuple[str, Scope | None]:
        """The session's authentication hash and what may be seen; ("", None) when this viewer may not look any more."""
        return await store.read(viewer, self._user_id, self._session_key)


def viewer(user_id: int | None, session_key: str | None) -> tuple[str, Scope | None]:
    """Reads the database: ("", None) unless the session lives and its user may follow messages."""
    user, digest = signed_in(user_id, session_key)
    scope = Scope(user) if user is not None else None
    if scope is None or not scope.may(Permission.TRACE):
        return "", None
    if not scope.is_everything:
        _ = scope.domain_names  # read here, not on the event loop
    return digest, scope
