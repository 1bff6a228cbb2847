"""Every target, registered."""

from tests.fuzz import imap_targets, message_targets, record_targets, session_targets, smtp_targets, web_targets
from tests.fuzz.target import TARGETS

__all__ = [
    "TARGETS",
    "imap_targets",
    "message_targets",
    "record_targets",
    "session_targets",
    "smtp_targets",
    "web_targets",
]
