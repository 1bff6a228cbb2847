"""What checks say of a message: named reasons with weights, and what they come to.

The interface for whoever has something to say (a content filter, too): a `Check` looks at `Facts` and gives
`Reason`s. Weights add up; JUNK_SCORE and more is junk. A reason that belongs to one user only counts for them. A
reason with a `Refusal` has the message refused in SMTP: for certain abuse, or to be tried again.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings

from mailservers.formats.authentication_results import MethodResult
from mailservers.formats.octets import Octets

if TYPE_CHECKING:
    from mailservers.checks.authentication import Authentication


class Refusal(NamedTuple):
    """An SMTP reply."""

    code: int
    enhanced_status: str
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """`name` is stable and dotted ("spf.fail"); `text` is for people; weights above 0 speak against the message."""

    name: str
    weight: float = 0.0
    text: str = ""
    user_id: int | None = None
    refusal: Refusal | None = None


class Reader(NamedTuple):
    """A user whose mailbox the message is for."""

    user_id: int
    login: str


@dataclass
class Facts:
    """What is known of a message when it has been received. `authentication` comes in the second stage."""

    trace_id: str
    peer: ipaddress.IPv4Address | ipaddress.IPv6Address
    helo: str
    reverse_path: str
    recipients: tuple[str, ...]
    readers: tuple[Reader, ...]
    goes_elsewhere: bool  # some recipients are not here
    content: Octets  # a large message is not in memory; checks run at the same time, each with a `View` of its own
    authentication: Authentication | None = None

    @cached_property
    def sender_domain(self) -> str:
        return self.reverse_path.rpartition("@")[2].lower()


class Check:
    """One opinion. Subclasses are stateless; `examine` may ask the network and must give up by itself in time."""

    name = ""
    is_second = False  # waits for what SPF, DKIM and DMARC say

    def is_on(self) -> bool:
        return True

    async def examine(self, facts: Facts) -> Iterable[Reason]:
        raise NotImplementedError

    def when_failed(self) -> Reason:
        """What it means that the check could not be made: nothing, unless the settings say otherwise."""
        return Reason(f"{self.name}.error", 0.0, "could not be asked")


@dataclass(frozen=True, slots=True)
class Opinion:
    """All reasons, and what was found out about who sent the message."""

    reasons: tuple[Reason, ...] = ()
    results: tuple[MethodResult, ...] = field(default=())

    def score(self, user_id: int | None = None) -> float:
        """The sum that counts for a user; None: what counts for everybody."""
        return round(sum(r.weight for r in self.reasons if r.user_id in (None, user_id)), 2)

    def is_junk(self, user_id: int | None) -> bool:
        return self.score(user_id) >= settings.JUNK_SCORE

    @property
    def refusal(self) -> Refusal | None:
        """A permanent one comes before a temporary one."""
        refusals = [reason.refusal for reason in self.reasons if reason.refusal is not None]
        return max(refusals, key=lambda refusal: refusal.code >= 500, default=None)

    def as_data(self) -> dict[str, Any]:
        """For events and the message's row."""
        return {
            "score": self.score(),
            "results": {result.method: result.result for result in reversed(self.results)},
            "reasons": [
                {"name": r.name, "weight": r.weight, "text": r.text} | ({"user": r.user_id} if r.user_id else {})
                for r in self.reasons
            ],
        }

    def sentence(self) -> str:
        """For the trace."""
        found = ", ".join(f"{result.method}={result.result}" for result in self.results)
        against = "; ".join(f"{r.name} ({r.weight:+g}) {r.text}" for r in self.reasons if r.weight or r.refusal)
        return f"{found}. Score {self.score():g}" + (f": {against}" if against else "")
