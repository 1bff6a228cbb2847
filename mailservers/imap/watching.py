"""Hearing of changes in one's own mailboxes and in those of whoever shares some with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailservers.store.changes import hub
from mailservers.store.transaction import EVERYBODY, Change


class OwnersWatch:
    """Subscriptions at the hub that follow a set of owners. Changes of rights are heard of, too."""

    __slots__ = ("_hear", "_is_closed", "_owners")

    def __init__(self, hear: Callable[[Change], None], user_id: int) -> None:
        self._hear = hear
        self._owners: frozenset[int] = frozenset()
        self._is_closed = False
        self.follow((user_id,))

    def follow(self, owners: Iterable[int]) -> None:
        """From here on these, and no others; none after `close`, which may come while somebody looks who they are."""
        wanted = frozenset() if self._is_closed else frozenset((*owners, EVERYBODY))
        for owner_id in wanted - self._owners:
            hub.watch_owner(owner_id, self._hear)
        self._leave(self._owners - wanted)
        self._owners = wanted

    def close(self) -> None:
        self._is_closed = True
        self.follow(())

    def _leave(self, owners: Iterable[int]) -> None:
        for owner_id in owners:
            hub.unwatch_owner(owner_id, self._hear)
