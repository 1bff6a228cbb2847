"""Quotas: what a user, or all users of a domain together, may keep. 0 is no limit.

Lowering a quota below what is there removes nothing: new mail is turned away until there is room.
"""

from __future__ import annotations

from accounts.models import Domain, User
from accounts.services import audit, names
from accounts.services.errors import NotFound
from accounts.services.users import get_user
from mailservers.delivery import routing
from mailservers.store.quota import count_domain, forget_domain
from mailservers.store.transaction import Transaction


def set_user_quota(tx: Transaction, user_id: int, octets: int, messages: int, *, actor: str) -> None:
    """Raises `NotFound`, `InvalidValue`."""
    user = get_user(user_id)
    new = {"quota_octets": names.checked_quota(octets), "quota_messages": names.checked_message_quota(messages)}
    before = _said(user)
    if _save(user, new):
        audit.record(actor, "user.quota", user.login, before=before, after=_said(user))
        tx.after_commit.append(routing.forget)


def _said(row: User | Domain) -> list[str]:
    return [f"{row.quota_octets} octets", f"{row.quota_messages} messages"]


def set_domain_quota(tx: Transaction, domain_id: int, octets: int, messages: int, *, actor: str) -> None:
    """Raises `NotFound`, `InvalidValue`. The domain's row is locked first: who writes mail for it at this moment
    has not counted for it yet, and is waited for before all is counted."""
    domain = Domain.objects.select_for_update().filter(pk=domain_id).first()
    if domain is None:
        raise NotFound("This domain is not here any more.", "domain")
    new = {"quota_octets": names.checked_quota(octets), "quota_messages": names.checked_message_quota(messages)}
    before = _said(domain)
    if not _save(domain, new):
        return
    if octets or messages:
        count_domain(domain_id)
    else:
        forget_domain(domain_id)
    audit.record(actor, "domain.quota", domain.name, before=before, after=_said(domain))
    tx.after_commit.append(routing.forget)


def _save(row: User | Domain, new: dict[str, int]) -> bool:
    """False when it was so already."""
    if all(getattr(row, field) == value for field, value in new.items()):
        return False
    for field, value in new.items():
        setattr(row, field, value)
    row.save(update_fields=list(new))
    return True
