"""Connections that have carried a message and can carry the next one to the same host.

A connection is kept for REUSE_IDLE_S after a transaction, and for REUSE_MESSAGES of them at most. What a host does to
an idle connection (close it, say 421) is found out by the next transaction, which then opens a fresh one: nothing is
decided about a recipient before that (see `client`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from django.conf import settings

from mailservers.outbound.client import SmtpSession
from mailservers.outbound.tls_need import TlsNeed
from mailservers.outbound.way import Way

Key = tuple[str, str, int, TlsNeed, Way]  # host name, IP address, port, how it is secured and spoken to


class SessionPool:
    """One per runner; on the event loop only."""

    def __init__(self) -> None:
        self._idle: dict[Key, list[tuple[SmtpSession, asyncio.TimerHandle]]] = {}
        self._goodbyes: set[asyncio.Task[None]] = set()

    def take(self, key: Key) -> SmtpSession | None:
        """The connection used last: it is the least likely to have been closed."""
        sessions = self._idle.get(key)
        while sessions:
            session, timer = sessions.pop()
            timer.cancel()
            if session.is_alive:
                return session
            session.abort()
        self._idle.pop(key, None)
        return None

    def give(self, key: Key, session: SmtpSession) -> None:
        """Keep a session whose transaction has ended, or say goodbye to it."""
        if not session.is_alive or session.transactions >= settings.OUTBOUND_REUSE_MESSAGES:
            self._part_with(session)
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(settings.OUTBOUND_REUSE_IDLE_S, self._expire, key, session)
        self._idle.setdefault(key, []).append((session, timer))

    def _expire(self, key: Key, session: SmtpSession) -> None:
        left = [entry for entry in self._idle.get(key, ()) if entry[0] is not session]
        if left:
            self._idle[key] = left
        else:
            self._idle.pop(key, None)
        self._part_with(session)

    def _part_with(self, session: SmtpSession) -> None:
        task = asyncio.get_running_loop().create_task(session.quit(), name="QUIT")
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    def _take_all(self) -> Iterator[SmtpSession]:
        for sessions in self._idle.values():
            for session, timer in sessions:
                timer.cancel()
                yield session
        self._idle.clear()

    async def close(self) -> None:
        """Say goodbye to all; takes no longer than one goodbye does."""
        for session in self._take_all():
            self._part_with(session)
        await asyncio.gather(*self._goodbyes, return_exceptions=True)
