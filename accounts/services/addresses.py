"""Aliases, groups and catch-alls: an address that is not a login, and where its mail goes.

A target is one of our users, another alias or group of ours, or an address elsewhere. Chains end: nothing leads back
to itself, and no chain is longer than `routing.MAX_DEPTH`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from accounts.models import Address, AddressTarget, Domain, User
from accounts.services import audit, names
from accounts.services.errors import InvalidValue, NotFound, StillInUse
from accounts.services.users import must_be_free
from mailservers.delivery import routing
from mailservers.models import AclEntry
from mailservers.store.transaction import Transaction

MAX_TARGETS = 1000  # of one address


def create_address(tx: Transaction, address: str, targets: Iterable[str], *, actor: str) -> int:
    """The new alias's or group's id. Raises `InvalidValue`, `NotFound` (domain), `AlreadyExists`."""
    address, domain_name = _own_or_catch_all(address)
    domain = Domain.objects.filter(name=domain_name).first()
    if domain is None:
        raise NotFound(f"{domain_name} is not one of our domains: add the domain first.", "address")
    must_be_free(address, "address")
    row = Address.objects.create(domain=domain, address=address)
    led_to = _set_targets(row, targets)
    audit.record(actor, "address.create", address, targets=led_to)
    tx.access_changed()
    tx.after_commit.append(routing.forget)
    return row.pk


def _own_or_catch_all(text: str) -> tuple[str, str]:
    """(address, its domain); "@domain" is the catch-all: what nobody else has there."""
    if text.strip().startswith("@"):
        domain = names.domain_name(text.strip()[1:], "address")
        return f"@{domain}", domain
    return names.own_address(text, "address")


def update_address(tx: Transaction, address_id: int, targets: Iterable[str], *, actor: str) -> None:
    """Replace the targets. Raises `NotFound`, `InvalidValue`."""
    row = get_address(address_id)
    before = targets_of(row)
    led_to = _set_targets(row, targets)
    if led_to == before:
        return
    audit.record(actor, "address.update", row.address, before=before, after=led_to)
    tx.access_changed()
    tx.after_commit.append(routing.forget)


def delete_address(tx: Transaction, address_id: int, *, actor: str) -> None:
    """Raises `NotFound`, `StillInUse` when another alias or group leads here."""
    row = get_address(address_id)
    pointer = AddressTarget.objects.filter(remote=row.address).select_related("address").first()
    if pointer is not None:
        raise StillInUse(f"{pointer.address.address} leads to {row.address}: change it first.")
    led_to = targets_of(row)
    AclEntry.objects.filter(identifier=row.address).delete()
    row.delete()
    audit.record(actor, "address.delete", row.address, targets=led_to)
    tx.access_changed()
    tx.after_commit.append(routing.forget)


def get_address(address_id: int) -> Address:
    row = Address.objects.filter(pk=address_id).first()
    if row is None:
        raise NotFound("This alias or group is not here any more.", "address")
    return row


def targets_of(row: Address) -> list[str]:
    """Where its mail goes, as addresses, in the order they were written."""
    return [
        target.user.login if target.user is not None else target.remote
        for target in row.targets.select_related("user").order_by("pk")
    ]


def _set_targets(row: Address, texts: Iterable[str]) -> list[str]:
    wanted: dict[str, AddressTarget] = {}
    for text in texts:
        if text.strip():
            target = _target(row, text)
            wanted.setdefault(target.user.login if target.user else target.remote.lower(), target)
    if not wanted:
        raise InvalidValue("Say where the mail goes: at least one address.", "targets")
    if len(wanted) > MAX_TARGETS:
        raise InvalidValue(f"More than {MAX_TARGETS} targets.", "targets")
    _must_end(row.address, [target.remote for target in wanted.values() if target.remote])
    row.targets.all().delete()
    AddressTarget.objects.bulk_create(wanted.values(), batch_size=200)
    return [target.user.login if target.user else target.remote for target in wanted.values()]


def _target(row: Address, text: str) -> AddressTarget:
    address = names.any_address(text)
    domain = address.rpartition("@")[2]
    if not Domain.objects.filter(name=domain).exists():
        return AddressTarget(address=row, remote=address)
    address = address.lower()
    user = User.objects.filter(login=address).first()
    if user is not None:
        return AddressTarget(address=row, user=user)
    is_somebody = address == row.address or address.startswith("postmaster@")
    if not is_somebody and not Address.objects.filter(address=address).exists():
        raise InvalidValue(f"Nobody has the address {address} here.", "targets")
    return AddressTarget(address=row, remote=address)


def _must_end(start: str, remotes: Sequence[str]) -> None:
    """Follow the chains of our own aliases from `start` if it led to `remotes`."""
    level = {remote.lower() for remote in remotes}
    for _ in range(routing.MAX_DEPTH):
        if start in level:
            raise InvalidValue(f"{start} would lead back to itself.", "targets")
        level = {
            remote.lower()
            for remote in AddressTarget.objects.filter(address__address__in=level, user=None).values_list(
                "remote", flat=True
            )
        }
        if not level:
            return
    raise InvalidValue(f"More than {routing.MAX_DEPTH} aliases that lead to aliases.", "targets")
