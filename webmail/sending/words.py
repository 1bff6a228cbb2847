"""The tracker's words: what became of a message for one recipient, as people say it."""

from __future__ import annotations

from dataclasses import dataclass

from mailservers.outbound.tracking import Stage, Tracked
from webmail.listing.lines import near_date

ICONS = {
    Stage.SCHEDULED: "clock",
    Stage.WAITING: "clock",
    Stage.TRYING: "loader",
    Stage.DEFERRED: "refresh-cw",
    Stage.HELD: "pause",
    Stage.DELIVERED: "circle-check",
    Stage.FAILED: "circle-x",
    Stage.CANCELLED: "ban",
}


@dataclass(frozen=True, slots=True)
class TrackedLine:
    """One recipient as the template draws it. `key` names it in forms: "trace address"."""

    one: Tracked
    icon: str
    words: str
    details: tuple[str, ...]  # the other server's words, and how well the way was secured

    @property
    def key(self) -> str:
        return f"{self.one.trace_id} {self.one.address}"


def line_of(one: Tracked) -> TrackedLine:
    details = [one.said] if one.said and one.stage not in (Stage.CANCELLED, Stage.WAITING, Stage.SCHEDULED) else []
    if one.stage is Stage.DELIVERED and one.peer:
        details.append(f"Secured by {_tls(one.tls)}" if one.tls else "Not encrypted on its way")
    if one.corrected_to:
        details.append(f"Sent to {one.corrected_to} instead")
    if one.is_told:
        details.append("A message about it is in your inbox")
    return TrackedLine(one, ICONS[one.stage], _words(one), tuple(details))


def _words(one: Tracked) -> str:
    moment, next_try = near_date(one.at), near_date(one.next_attempt) if one.next_attempt else ""
    match one.stage:
        case Stage.SCHEDULED:
            return f"Waiting until {next_try}"
        case Stage.WAITING:
            return "Waiting for its turn"
        case Stage.TRYING:
            return "Being sent now"
        case Stage.DEFERRED:
            return f"Not delivered yet; next try {next_try}" if next_try else "Not delivered yet"
        case Stage.HELD:
            return "Held until an administrator has looked at it"
        case Stage.DELIVERED:
            return f"Delivered to {one.peer.partition(' [')[0]} at {moment}" if one.peer else f"Delivered at {moment}"
        case Stage.FAILED:
            return f"Could not be delivered ({moment})"
        case _:
            return f"Cancelled at {moment}"


def _tls(text: str) -> str:
    """ "TLSv1.3, DANE" as "TLS 1.3 with DANE"."""
    version, _, because = text.partition(", ")
    return f"{version.replace('TLSv', 'TLS ')} with {because}" if because else version.replace("TLSv", "TLS ")


def summary(tracked: list[Tracked]) -> str:
    """One line for all: "Delivered to 2 of 3"."""
    delivered = sum(one.stage is Stage.DELIVERED for one in tracked)
    failed = sum(one.stage is Stage.FAILED and not one.corrected_to for one in tracked)
    gone = sum(one.stage is Stage.CANCELLED or bool(one.corrected_to) for one in tracked)
    count = len(tracked) - gone
    if failed:
        return f"Not delivered to {failed} of {count}"
    if count and delivered == count:
        return "Delivered" if count == 1 else f"Delivered to all {count}"
    if not count:
        return "Cancelled"
    times = [one.next_attempt for one in tracked if one.stage is Stage.SCHEDULED and one.next_attempt]
    if len(times) == count:
        return f"Waiting until {near_date(min(times))}"
    return f"Delivered to {delivered} of {count}" if delivered else "On its way"
