"""Sessions that are signed in, and their end when what they signed in with counts no more.

A protocol's session enters with its identity and a callback, and leaves when it ends. Every LOOK_EVERY_S the
truth is read from the database, so that a change made by any process or command is noticed: the user was switched
off or deleted, the password was changed, the app password or token was revoked or has expired.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from django.db.models import Q
from django.utils import timezone

from accounts.auth.devices import devices
from accounts.auth.door import Identity
from accounts.models import Credential, User
from mailservers.store.engine import store

log = logging.getLogger(__name__)
LOOK_EVERY_S = 2.0
CHUNK = 500


class LiveSessions:
    """One per process (`live_sessions` below); used on the event loop only."""

    def __init__(self) -> None:
        self._sessions: dict[object, tuple[Identity, Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None

    def enter(
        self,
        session: object,
        identity: Identity,
        end: Callable[[], None],
        *,
        protocol: str,
        address: str,
        client: str = "",
    ) -> None:
        """`client`: what the program calls itself."""
        self._sessions[session] = (identity, end)
        devices.note(identity, protocol, address, client)

    def leave(self, session: object) -> None:
        self._sessions.pop(session, None)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="live sessions")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
                await devices.write()
            except Exception:
                log.warning("looking after logins failed; trying again", exc_info=True)

    async def look(self) -> None:
        """End every session whose login counts no more."""
        identities = {identity for identity, _ in self._sessions.values()}
        if not identities:
            return
        revoked = identities - await _still_good(identities)
        for session, (identity, end) in list(self._sessions.items()):
            if identity in revoked:
                self.leave(session)
                log.info("a session of %s ends: its login counts no more", identity.login)
                end()


async def _still_good(identities: Iterable[Identity]) -> set[Identity]:
    waiting = list(identities)
    good: set[Identity] = set()
    for start in range(0, len(waiting), CHUNK):
        good |= await store.read(good_ones, waiting[start : start + CHUNK])
    return good


def good_ones(identities: Sequence[Identity]) -> set[Identity]:
    """Those of at most CHUNK identities that could sign in again with what they have."""
    users = User.objects.filter(pk__in={i.user_id for i in identities}, is_active=True, domain__is_active=True)
    versions = dict(users.values_list("pk", "credential_version"))
    wanted = {i.credential_id for i in identities if i.credential_id is not None}
    credentials: set[int] = set()
    if wanted:
        alive = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        credentials = set(Credential.objects.filter(alive, pk__in=wanted).values_list("pk", flat=True))
    return {
        i
        for i in identities
        if i.user_id in versions
        and (versions[i.user_id] == i.credential_version if i.credential_id is None else i.credential_id in credentials)
    }


live_sessions = LiveSessions()
