"""How much mail a user keeps, as the sidebar shows it."""

from __future__ import annotations

from dataclasses import dataclass

from mailservers.store.quota import room_of


@dataclass(frozen=True, slots=True)
class UsageLine:
    """`percent` of the limit that is nearer; None where there is no limit."""

    octets: int
    limit_octets: int
    messages: int
    limit_messages: int
    percent: int | None
    is_filling: bool


def usage_line(owner_id: int) -> UsageLine | None:
    """One query."""
    room = room_of(owner_id)
    if room is None:
        return None
    own = room.own
    pairs = ((own.octets, own.limit_octets), (own.messages, own.limit_messages))
    percent = max((used * 100 // limit for used, limit in pairs if limit), default=None)
    return UsageLine(own.octets, own.limit_octets, own.messages, own.limit_messages, percent, own.is_filling())
