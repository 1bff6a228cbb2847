"""REPLACE: one message takes another's place, as one act (RFC 8508)."""

from __future__ import annotations

from mailservers.store.errors import NoSuchMessage
from mailservers.store.placing import Append, Placed, lock_mailbox, lock_mailboxes, save_mailboxes, write_appends
from mailservers.store.quota import lock_accounts
from mailservers.store.removing import remove_places, select_places
from mailservers.store.transaction import Transaction


def replace(tx: Transaction, owner_id: int, mailbox_id: int, uid: int, new: Append) -> Placed:
    """Remove a message and append the new one, which may go into another mailbox. Only what it adds counts for the
    quota (section 3.4). Raises `NoSuchMessage`, `NoSuchMailbox`, `OverQuota`."""
    states = lock_mailboxes([mailbox_id, new.mailbox_id])
    lock_accounts(state.owner_id for state in states.values())
    state = lock_mailbox(owner_id, mailbox_id)
    places = select_places(mailbox_id, [uid])
    if not places:
        raise NoSuchMessage("the message does not exist")
    remove_places(tx, state, places, keep=False)  # an older version of a draft
    save_mailboxes(tx, [state])
    (outcome,) = write_appends(tx, [new])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome[0]
