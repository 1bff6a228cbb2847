"""An administrator's acts on queued mail: each one also writes the audit entry, in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from accounts.services import audit
from mailservers.outbound import acts
from mailservers.outbound.acts import MAX_IDS, Acted
from mailservers.store.transaction import Transaction

__all__ = ["MAX_IDS", "Act", "Acted", "act"]


class Act(StrEnum):
    RETRY = "retry"
    HOLD = "hold"
    RELEASE = "release"
    REROUTE = "reroute"
    REMOVE = "remove"  # without a word to the sender
    BOUNCE = "bounce"  # with a bounce


def act(tx: Transaction, what: Act, ids: Sequence[int], *, actor: str, target: str = "") -> Acted:
    """Store operation. `ids`: of recipients. `target`: HOST:PORT for REROUTE, "" for the ordinary way.

    Raises `mailservers.outbound.routes.InvalidTarget`."""
    acted = _carry_out(tx, what, ids, actor, target)
    if acted.done:
        detail = {"way": target or "ordinary"} if what is Act.REROUTE else {}
        some = "1 recipient" if acted.done == 1 else f"{acted.done} recipients"
        audit.record(actor, f"queue.{what}", some, ids=list(ids), **detail)
    return acted


def _carry_out(tx: Transaction, what: Act, ids: Sequence[int], actor: str, target: str) -> Acted:
    match what:
        case Act.RETRY:
            return acts.retry_now(tx, ids, actor)
        case Act.HOLD:
            return acts.hold(tx, ids, actor)
        case Act.RELEASE:
            return acts.release(tx, ids, actor)
        case Act.REROUTE:
            return acts.reroute(tx, ids, target, actor)
        case Act.REMOVE | Act.BOUNCE:
            return acts.remove(tx, ids, actor, tell_sender=what is Act.BOUNCE)
