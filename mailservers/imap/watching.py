"""Hearing of changes in one's own mailboxes and in those of whoever shares some with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailservers.store.changes import hub
from mailservers.store.transaction import EVERYBODY, Change


class OwnersWatch:
    """Subscriptions at the hub that follow a set of owners. Changes of rights are heard of, too."""

    __slots__ = ("_hear", "_owners")

    def __init__(self, hear: Callable[[Change], None], user_id: int) -> None:
        self._hear = hear
        self._owners: frozenset[int] = frozenset()
        self.follow((user_id,))

    def follow(self, owners: Iterable[int]) -> None:
        """From here on these, and no others."""
        wanted = frozenset((*owners, EVERYBODY))
        for owner_id in wanted - self._owners:
            hub.watch_owner(owner_id, self._hear)
        self._leave(self._owners - wanted)
        self._owners = wanted

    def close(self) -> None:
        self._leave(self._owners)
        self._owners = frozenset()

    def _leave(self, owners: Iterable[int]) -> None:
        for owner_id in owners:
            hub.unwatch_owner(owner_id, self._hear)
