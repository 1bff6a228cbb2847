"""Whom an address leads to: our users, aliases and groups, sub-addresses (`user+tag`), catch-alls (`@domain`, what
else is unknown there), or another host. An SRS address of ours leads back to whom it was made for.

Addresses of our domains are compared without case (RFC 5321 2.4: the host that owns them may); what stands in an SRS
address belongs to another host, and keeps its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from accounts.models import Address, AddressTarget, Domain, User
from mailservers.delivery.rewriting import NotReversible, is_srs, way_back
from mailservers.formats.mailbox_address import domain_spellings
from mailservers.models import Mailbox
from mailservers.store.engine import store

MAX_DEPTH = 8  # aliases that lead to aliases
REMEMBER_S = 5.0
MAX_REMEMBERED = 10_000


class RoutingError(Exception):
    """Base of what keeps an address from being delivered to."""


class UnknownRecipient(RoutingError):
    """The domain is ours, but nobody has the address."""


class NotOurDomain(RoutingError):
    """Another host's mail."""


@dataclass(frozen=True, slots=True)
class LocalTarget:
    """One of our users, by the mailbox mail goes to: the INBOX, unless a sub-address names another."""

    user_id: int
    login: str
    inbox_id: int
    folder: str = "INBOX"  # or the one a sub-address names
    is_limited: bool = False  # the user or the domain has a quota


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where mail for one address goes; each target once. `takes_reports`: nowhere, it is read by `reporting`."""

    local: tuple[LocalTarget, ...]
    remote: tuple[str, ...] = ()
    takes_reports: bool = False


def resolve_address(address: str) -> Resolution:
    """Raises `UnknownRecipient`, `NotOurDomain`. Reads the database."""
    ours = _as_we_spell_it(comparable(address))
    if _takes_reports(ours):
        return Resolution((), takes_reports=True)
    local, remote = _expand(ours, 0)
    if not local and not remote:
        raise UnknownRecipient(address)
    return Resolution(tuple(dict.fromkeys(local)), tuple(dict.fromkeys(remote)))


def _takes_reports(address: str) -> bool:
    """The address that our DNS records name for aggregate reports, unless somebody has it."""
    local_part, _, domain = address.rpartition("@")
    return (
        local_part == settings.REPORTS_LOCAL_PART
        and Domain.objects.filter(name=domain, is_active=True).exists()
        and not User.objects.filter(login=address).exists()
        and not Address.objects.filter(address=address).exists()
    )


def comparable(address: str) -> str:
    """The same for all spellings of an address of ours."""
    return address if is_srs(address) else address.lower()


def _as_we_spell_it(address: str) -> str:
    """A domain of ours that is written in U-labels where we have A-labels, or the other way round."""
    local_part, _, domain = address.rpartition("@")
    if domain.isascii() and "xn--" not in domain:
        return address
    ours = Domain.objects.filter(name__in=domain_spellings(domain)).values_list("name", flat=True).first()
    return f"{local_part}@{ours}" if ours else address


def _expand(address: str, depth: int) -> tuple[list[LocalTarget], list[str]]:
    local_part, _, domain = address.rpartition("@")
    if is_srs(address) and depth <= MAX_DEPTH:
        return _homewards(address, domain, depth)
    target = _user(address)
    if target is not None:
        return [target], []
    if not Domain.objects.filter(name=domain, is_active=True).exists():
        raise NotOurDomain(address)
    if depth > MAX_DEPTH:
        return [], []
    row = Address.objects.filter(address=address).first()
    if row is not None:
        return _targets(row, depth)
    base, plus, tag = local_part.partition("+")
    if plus and base:
        owner = _user(f"{base}@{domain}")
        return ([_tagged(owner, tag)], []) if owner is not None else _expand(f"{base}@{domain}", depth + 1)
    if local_part == "postmaster":
        return _admins(), []
    row = Address.objects.filter(address=f"@{domain}").first()  # the domain's catch-all
    return _targets(row, depth) if row is not None else ([], [])


def _homewards(address: str, domain: str, depth: int) -> tuple[list[LocalTarget], list[str]]:
    """Whom an SRS address was made for; forged and expired ones lead nowhere."""
    if not Domain.objects.filter(name=domain.lower(), is_active=True).exists():
        raise NotOurDomain(address)
    try:
        home = way_back(address)
    except NotReversible:
        return [], []
    try:
        return _expand(comparable(home), depth + 1)
    except NotOurDomain:
        return [], [home]


def _tagged(target: LocalTarget, tag: str) -> LocalTarget:
    """The folder named by the tag, when the user wants that and has it; else the INBOX."""
    folders = Mailbox.objects.filter(owner_id=target.user_id, owner__tags_to_folders=True, name__iexact=tag)
    row = folders.order_by("pk").values_list("id", "name").first()
    return replace(target, inbox_id=row[0], folder=row[1]) if row else target


_QUOTAS = tuple(f"owner__{where}quota_{what}" for where in ("", "domain__") for what in ("octets", "messages"))


def _user(address: str) -> LocalTarget | None:
    row = (
        Mailbox.objects.filter(owner__login=address, name="INBOX", owner__is_active=True, owner__domain__is_active=True)
        .values_list("owner_id", "id", *_QUOTAS)
        .first()
    )
    return LocalTarget(row[0], address, row[1], is_limited=any(row[2:])) if row else None


def _targets(row: Address, depth: int) -> tuple[list[LocalTarget], list[str]]:
    local: list[LocalTarget] = []
    remote: list[str] = []
    for target in AddressTarget.objects.filter(address=row).select_related("user").order_by("pk"):
        if target.user is not None:
            found = _user(target.user.login)
            local += [found] if found else []
            continue
        try:
            more_local, more_remote = _expand(target.remote.lower(), depth + 1)
        except NotOurDomain:
            remote.append(target.remote)
        else:
            local += more_local
            remote += more_remote
    return local, remote


def _admins() -> list[LocalTarget]:
    """RFC 5321 4.5.1: postmaster always exists; the first administrator reads it."""
    login = User.objects.filter(role="admin", is_active=True).order_by("pk").values_list("login", flat=True).first()
    target = _user(login) if login else None
    return [target] if target else []


_remembered: dict[str, tuple[float, Resolution]] = {}


def remembered(address: str) -> Resolution | None:
    """What `resolve` found in the last few seconds; a user removed since then is noticed at delivery."""
    entry = _remembered.get(comparable(address))
    return entry[1] if entry is not None and time.monotonic() < entry[0] else None


_foreign: dict[str, float] = {}  # domains that are not ours -> until when that is remembered


def is_foreign(domain: str) -> bool:
    """Found in the last few seconds to be another host's."""
    return _foreign.get(domain, 0.0) > time.monotonic()


async def resolve(address: str) -> Resolution:
    """`resolve_address` for the event loop; good answers, and domains not ours, are remembered for REMEMBER_S."""
    address = comparable(address)
    known = remembered(address)
    if known is not None:
        return known
    domain = address.rpartition("@")[2].lower()
    if is_foreign(domain):
        raise NotOurDomain(address)
    try:
        resolution = await store.read(resolve_address, address)
    except NotOurDomain:
        _make_room(_foreign)
        _foreign[domain] = time.monotonic() + REMEMBER_S
        raise
    _make_room(_remembered)
    _remembered[address] = (time.monotonic() + REMEMBER_S, resolution)
    return resolution


def _make_room(memory: dict[Any, Any]) -> None:
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()


def forget() -> None:
    """Forget what is remembered: addresses have changed."""
    _remembered.clear()
    _foreign.clear()
    _senders.clear()


_senders: dict[tuple[int, str], float] = {}  # (user, address) that was the user's own -> until when that is remembered


def sends_as(user_id: int, address: str) -> bool:
    """Found in the last few seconds to be the user's own address."""
    return _senders.get((user_id, address.lower()), 0.0) > time.monotonic()


def may_send_as(user_id: int, address: str) -> bool:
    """Is this the user's own address: the login, an alias that leads to them, or a sub-address of one?"""
    try:
        resolution = resolve_address(address)
    except RoutingError:
        return False
    is_own = any(target.user_id == user_id for target in resolution.local)
    if is_own:
        _make_room(_senders)
        _senders[user_id, address.lower()] = time.monotonic() + REMEMBER_S
    return is_own


def postmaster_address(address: str, hostname: str) -> str:
    """<Postmaster> without a domain means the postmaster of one of our domains (RFC 5321 4.5.1)."""
    domain = Domain.objects.filter(is_active=True).order_by("pk").values_list("name", flat=True).first()
    return f"postmaster@{domain or hostname}"
