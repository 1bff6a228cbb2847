"""What is asked of everybody with a role."""

from __future__ import annotations

from collections.abc import Collection

from accounts.models import Role, RoleRule
from accounts.services import audit
from mailservers.store.transaction import Transaction


def set_role_rules(tx: Transaction, needs_second_factor: Collection[Role], *, actor: str) -> None:
    """Store operation: these roles have to have a second factor, the others need not."""
    for role in Role:
        wanted = role in needs_second_factor
        rule, _ = RoleRule.objects.get_or_create(role=role)
        if rule.needs_second_factor != wanted:
            RoleRule.objects.filter(pk=role).update(needs_second_factor=wanted)
            audit.record(actor, "role.second-factor", role.label, before=not wanted, after=wanted)
