"""The record of what administrators did."""

from __future__ import annotations

from typing import Any

from accounts.models import AuditEntry

COMMAND_LINE = "command line"


def record(actor: str, action: str, subject: str, **detail: Any) -> None:
    """One entry, in the transaction of the act. `action` is "<thing>.<verb>"; `detail` holds no secret."""
    AuditEntry.objects.create(actor=actor[:320], action=action, subject=subject[:320], detail=detail)
