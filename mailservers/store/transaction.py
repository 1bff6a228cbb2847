"""What a batch of store operations collects to be announced after its commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

EVERYBODY = 0  # no user has this id


@dataclass(frozen=True, slots=True)
class Change:
    """A hint: the mailbox has reached `modseq`. `mailbox_id` 0: the owner's list of mailboxes changed. `owner_id`
    EVERYBODY: who may do what with whose mailboxes changed. `modseq` 0: that user's key for URLs of the mailbox."""

    owner_id: int
    mailbox_id: int
    modseq: int


@dataclass(slots=True)
class Event:
    """One `DeliveryEvent`: a step of one message's life."""

    trace_id: str
    step: str
    outcome: str = "ok"
    sender: str = ""
    recipient: str = ""
    peer: str = ""
    detail: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    id: int = 0


@dataclass(slots=True)
class Transaction:
    """Handed to every operation as its first argument. Operations may run twice: only what is collected
    here is announced, and only after commit."""

    now: datetime
    changes: dict[int, Change] = field(default_factory=dict)
    folders: set[int] = field(default_factory=set)
    keys: set[Change] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    after_commit: list[Callable[[], None]] = field(default_factory=list)

    def changed(self, owner_id: int, mailbox_id: int, modseq: int) -> None:
        self.changes[mailbox_id] = Change(owner_id, mailbox_id, modseq)

    def folders_changed(self, owner_id: int) -> None:
        self.folders.add(owner_id)

    def access_changed(self) -> None:
        """What somebody may do with another's mailboxes."""
        self.folders.add(EVERYBODY)

    def key_changed(self, user_id: int, mailbox_id: int) -> None:
        """A user's key for URLs of messages in a mailbox (RFC 4467)."""
        self.keys.add(Change(user_id, mailbox_id, 0))

    def mark(self) -> tuple[int, int]:
        return len(self.events), len(self.after_commit)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what an operation that failed since `mark` collected; a needless hint does no harm."""
        del self.events[mark[0] :]
        del self.after_commit[mark[1] :]
