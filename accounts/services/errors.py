"""What the account services refuse. The text is a whole sentence for the person who asked."""

from __future__ import annotations

from mailservers.store.errors import StoreError


class AccountError(StoreError):
    """Base. `field` names the value at fault: "login", "name", "password", "quota", "role", "targets" or ""."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class InvalidValue(AccountError):
    """Not well formed, or too long."""


class AlreadyExists(AccountError):
    """Somebody or something has this name already."""


class NotFound(AccountError):
    """There is no such domain, user or address (any more)."""


class StillInUse(AccountError):
    """It cannot go while others depend on it."""


class NotAllowed(AccountError):
    """It would lock out the last administrator, or the one who asks."""
