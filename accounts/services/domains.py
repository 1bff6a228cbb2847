"""Domains: create, switch on and off, delete."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.keys import KeyPair, make_dkim_keys
from accounts.models import Address, AddressTarget, Domain, Role, User
from accounts.services import audit, names
from accounts.services.errors import AlreadyExists, NotFound, StillInUse
from accounts.services.users import must_leave_an_admin
from mailservers.delivery import routing
from mailservers.formats.mailbox_address import domain_to_ascii
from mailservers.store.transaction import Transaction


def create_domain(tx: Transaction, name: str, keys: Sequence[KeyPair], *, actor: str) -> int:
    """The new domain's id. `keys` (`accounts.keys.generate()`) become its DKIM keys.

    Raises `InvalidValue`, `AlreadyExists`; the same domain as U-labels and as A-labels is one domain."""
    name = names.domain_name(name)
    ascii_name = domain_to_ascii(name)
    for other in Domain.objects.values_list("name", flat=True):
        if other == name or domain_to_ascii(other) == ascii_name:
            raise AlreadyExists(f"The domain {other} is here already.", "domain")
    domain = Domain.objects.create(name=name)
    make_dkim_keys(tx, domain.pk, keys)
    audit.record(actor, "domain.create", name, selectors=[key.selector for key in keys])
    tx.after_commit.append(routing.forget)
    return domain.pk


def set_domain_active(tx: Transaction, domain_id: int, is_active: bool, *, actor: str) -> None:
    """Off: mail for the domain is refused and its users cannot sign in; nothing is removed.

    Raises `NotFound`, `NotAllowed`."""
    domain = get_domain(domain_id)
    if domain.is_active == is_active:
        return
    domain.is_active = is_active
    domain.save(update_fields=["is_active"])
    if not is_active and User.objects.filter(domain=domain, role=Role.ADMIN, is_active=True).exists():
        must_leave_an_admin()
    audit.record(actor, "domain.enable" if is_active else "domain.disable", domain.name)
    tx.after_commit.append(routing.forget)


def delete_domain(tx: Transaction, domain_id: int, *, actor: str) -> None:
    """Its aliases, groups and DKIM keys go with it. Raises `NotFound`, `StillInUse` (users, others' targets)."""
    domain = get_domain(domain_id)
    users = User.objects.filter(domain=domain).count()
    if users:
        raise StillInUse(f"{domain.name} still has {users} user{'s' if users > 1 else ''}: delete them first.")
    own = list(Address.objects.filter(domain=domain).values_list("address", flat=True))
    pointer = AddressTarget.objects.filter(remote__in=own).exclude(address__domain=domain).first()
    if pointer is not None:
        raise StillInUse(f"{pointer.address.address} leads to {pointer.remote}: change it first.")
    domain.delete()
    audit.record(actor, "domain.delete", domain.name, addresses=own[:100])
    tx.after_commit.append(routing.forget)


def get_domain(domain_id: int) -> Domain:
    domain = Domain.objects.filter(pk=domain_id).first()
    if domain is None:
        raise NotFound("This domain is not here any more.", "domain")
    return domain
