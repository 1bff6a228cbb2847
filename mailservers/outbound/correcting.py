"""Sending a message again to the address that was meant.

The new recipient gets the message under a trace of its own, with the same Message-ID; both traces name each other. The
old one is cancelled in the same transaction if it still waits; one that an attempt has in hand cannot be corrected.
"""

from __future__ import annotations

from accounts.auth.door import Identity
from mailservers.delivery.submission import submit
from mailservers.formats.outgoing import to_wire
from mailservers.models import QueuedRecipient
from mailservers.outbound.acts import cancel, take
from mailservers.outbound.holding import TooLate
from mailservers.outbound.tracking import Tracked
from mailservers.store.events import Step, new_trace_id
from mailservers.store.transaction import Event, Transaction


def correct_address(user: Identity, raw: bytes, old: Tracked, address: str, *, peer: str, reverse_path: str) -> str:
    """The new trace's id. Not for the event loop. `raw`: the user's copy; `old`: of one of the user's own messages.

    Raises `TooLate`, `SubmissionRefused`, a `StoreError`."""
    if not old.may_correct:
        raise TooLate("it has been sent to that address, or is being sent")
    trace_id = new_trace_id()

    def give_up_the_old(tx: Transaction) -> None:
        recipients = QueuedRecipient.objects.filter(
            queued__trace_id=old.trace_id, queued__sender_id=user.user_id, address__iexact=old.address
        )
        taken = take(tx, recipients)
        if any(is_in_flight for _, is_in_flight in taken) or bool(taken) != bool(old.recipient_id):
            raise TooLate("it is being sent to that address right now")
        cancel(tx, recipients, user.login, "Cancelled")
        tx.events += [
            _event(user, old.trace_id, old.address, f"Sent to {address} instead", address, trace_id),
            _event(user, trace_id, address, f"In place of {old.address}", "", old.trace_id),
        ]

    return submit(
        user, to_wire(raw), [address], reverse_path=reverse_path, peer=peer, trace_id=trace_id, also=give_up_the_old
    )


def _event(user: Identity, trace_id: str, recipient: str, detail: str, corrected_to: str, other: str) -> Event:
    data = {"actor": user.login, "other_trace": other, "corrected_to": corrected_to}
    return Event(trace_id, Step.CORRECTED, "ok", user.login, recipient, detail=detail, data=data)
