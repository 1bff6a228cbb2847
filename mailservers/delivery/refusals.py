"""Why mail from one of our own users is not taken."""

from __future__ import annotations


class SubmissionRefused(Exception):
    """Text for the sender; `recipient` when one address is the reason."""

    def __init__(self, text: str, recipient: str | None = None) -> None:
        super().__init__(text)
        self.recipient = recipient


class OverAllowance(SubmissionRefused):
    """The user has sent too much of late; later it may go."""
