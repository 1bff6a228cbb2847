"""The exclusive lock on a maildrop (RFC 1939 section 4): one POP3 session for a user at a time.

It holds within this process. When several processes serve POP3 (`manage.py runmail` on more than one host), two
sessions in different processes can have the same maildrop open. They do no harm to the mail: each works on its own
snapshot of UIDs, and removing what is gone already is no error. The lock cannot be left behind by a crash.
"""

from __future__ import annotations


class MaildropLocks:
    """User ids whose maildrop is open. Used on the event loop only, so that no lock is needed for the lock."""

    def __init__(self) -> None:
        self._held: set[int] = set()

    def acquire(self, user_id: int) -> bool:
        """False when another session has it."""
        if user_id in self._held:
            return False
        self._held.add(user_id)
        return True

    def release(self, user_id: int) -> None:
        self._held.discard(user_id)


maildrop_locks = MaildropLocks()
