"""An administrator's lists of blocked and trusted senders, of everybody or one domain."""

from __future__ import annotations

from accounts.models import Domain
from accounts.services import audit
from accounts.services.domains import get_domain
from accounts.services.errors import InvalidValue
from mailservers.store.sender_rules import InvalidPattern, forget_rule, normal_pattern, set_rule
from mailservers.store.transaction import Transaction


def list_sender(tx: Transaction, pattern: str, *, is_block: bool, domain_id: int | None, actor: str) -> str:
    """Store operation: block or trust a sender, for a domain or (None) everybody; the pattern as it is kept.

    Raises `InvalidValue`, `NotFound`, `TooManyRules`."""
    domain = get_domain(domain_id) if domain_id is not None else None
    try:
        pattern = normal_pattern(pattern)
    except InvalidPattern as error:
        raise InvalidValue(f"{str(error)[:1].upper()}{str(error)[1:]}.", "pattern") from None
    set_rule(tx, pattern, is_block=is_block, domain_id=domain_id)
    audit.record(actor, "sender.block" if is_block else "sender.trust", pattern, whose=_whose(domain))
    return pattern


def unlist_sender(tx: Transaction, pattern: str, *, domain_id: int | None, actor: str) -> bool:
    """Store operation: whether there was such a rule. Raises `NotFound`, `InvalidPattern`."""
    domain = get_domain(domain_id) if domain_id is not None else None
    if not forget_rule(tx, pattern, domain_id=domain_id):
        return False
    audit.record(actor, "sender.forget", normal_pattern(pattern), whose=_whose(domain))
    return True


def _whose(domain: Domain | None) -> str:
    return domain.name if domain is not None else "everybody"
