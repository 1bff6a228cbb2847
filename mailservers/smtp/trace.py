"""What is written down of a connection besides its messages.

A message's steps are told with the message, and the connection's facts with its first step. A connection has a step
of its own only when it ended without a message and not for nothing: refusals, wrong passwords, failed TLS. So an idle
scanner costs no row, and a good client none either.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mailservers.smtp import replies
from mailservers.smtp.replies import Reply
from mailservers.store.events import Step, new_trace_id
from mailservers.store.transaction import Event

MAX_LINES = 20  # refusals kept
_NO_NEWS = (replies.SHUTTING_DOWN, replies.TIMED_OUT)  # told only with something before them


@dataclass(slots=True)
class ConnectionTrace:
    """One connection's; `id` is made when it is first wanted."""

    lines: list[str] = field(default_factory=list)
    outcome: str = "temporary"
    is_told: bool = False  # a message, or the refusal of one, has been written down
    _id: str = ""

    @property
    def id(self) -> str:
        self._id = self._id or new_trace_id()
        return self._id

    def replied(self, reply: Reply) -> None:
        """Every reply passes here."""
        if reply[0] < 400 or (reply in _NO_NEWS and not self.lines):
            return
        if reply[0] >= 500:
            self.outcome = "permanent"
        self.note(" ".join(part for part in (str(reply[0]), reply[1], reply[2]) if part))

    def note(self, line: str) -> None:
        if len(self.lines) < MAX_LINES:
            self.lines.append(line)

    def ending(self, peer: str, helo: str, tls: str) -> Event | None:
        """The step for a connection that ended without a message; None when there is nothing to tell."""
        if self.is_told or not self.lines:
            return None
        secured = f" over {tls}" if tls else ""
        detail = "\n".join((f"From {helo or 'a host that gave no name'} [{peer}]{secured}", *self.lines))
        data = {"helo": helo, "tls": tls, "replies": self.lines}
        return Event(self.id, Step.DISCONNECTED, self.outcome, peer=peer, detail=detail, data=data)
