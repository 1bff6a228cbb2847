"""Quotas: what an owner and a domain hold and may hold, exact however many write at once.

`Usage` is one row an owner, `DomainUsage` one row a domain that has a limit; both change in the transaction that
changes what they count. Whoever adds mail first takes these rows under their locks, decides, and writes; so on
PostgreSQL, too, no two processes can both take the last room. The order is mailboxes, owners, domains, each by id and
all at once: nobody waits for another in a circle. A domain's row itself is locked for sharing: setting its first
limit waits for the writers that do not count for it yet.

One place in a mailbox counts once, even where several places share one content: what a user sees is what counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Sum

from accounts.models import Domain, User
from mailservers.models import DomainUsage, Usage
from mailservers.store.errors import OverQuota
from mailservers.store.inserting import execute_rows
from mailservers.store.statements import fetch, marks


@dataclass(slots=True)
class Allowance:
    """What one owner or one domain has, and may have; a limit of 0 is none."""

    octets: int
    messages: int
    limit_octets: int
    limit_messages: int

    def lacks_room(self, octets: int, messages: int) -> bool:
        return 0 < self.limit_octets < self.octets + octets or 0 < self.limit_messages < self.messages + messages

    def is_filling(self, added_octets: int = 0, added_messages: int = 0) -> bool:
        """At or over the level where the owner is warned (QUOTA_WARNING_PERCENT)."""
        level = settings.QUOTA_WARNING_PERCENT
        return level > 0 and any(
            limit and used * 100 >= limit * level
            for used, limit in (
                (self.octets + added_octets, self.limit_octets),
                (self.messages + added_messages, self.limit_messages),
            )
        )

    @property
    def is_limited(self) -> bool:
        return bool(self.limit_octets or self.limit_messages)


@dataclass(slots=True)
class Account:
    """An owner's `Usage` row under its lock. `own` and `domain` grow by what is taken."""

    owner_id: int
    own: Allowance
    is_warned: bool
    domain_id: int
    domain: Allowance | None  # shared by all owners of the domain; None: it has no limit
    before: Allowance = field(init=False)

    def __post_init__(self) -> None:
        self.before = Allowance(self.own.octets, self.own.messages, self.own.limit_octets, self.own.limit_messages)


class Counted(Protocol):
    """What a mailbox's change means for its owner's usage."""

    owner_id: int
    added: int
    added_size: int


def lock_accounts(owner_ids: Iterable[int]) -> dict[int, Account]:
    """The owners' rows under their locks; owners that are gone are missing."""
    wanted = sorted(set(owner_ids))
    rows = _lock_rows(wanted)
    missing = set(wanted) - {row[0] for row in rows}
    if missing:  # made by another way than `create_standard_mailboxes`
        _make_rows(missing)
        rows = _lock_rows(wanted)
    domains = _lock_domains({row[6]: (row[7], row[8]) for row in rows if row[7] or row[8]})
    return {
        owner_id: Account(owner_id, Allowance(octets, messages, *limits), warned, domain_id, domains.get(domain_id))
        for owner_id, octets, messages, warned, *limits, domain_id, _, _ in rows
    }


def _lock_rows(owner_ids: list[int]) -> list[tuple]:
    if not owner_ids:
        return []
    can_lock = connections[DEFAULT_DB_ALIAS].features.has_select_for_update
    suffix = " FOR UPDATE OF g FOR SHARE OF d" if can_lock else ""
    return fetch(
        "SELECT g.owner_id, g.octets, g.messages, g.is_warned, u.quota_octets, u.quota_messages,"
        " d.id, d.quota_octets, d.quota_messages FROM mailservers_usage g"
        " JOIN accounts_user u ON u.id = g.owner_id JOIN accounts_domain d ON d.id = u.domain_id"
        f" WHERE g.owner_id IN ({marks(len(owner_ids))}) ORDER BY g.owner_id{suffix}",
        owner_ids,
    )


def _make_rows(owner_ids: Iterable[int]) -> None:
    here = User.objects.filter(pk__in=list(owner_ids)).values_list("pk", flat=True)
    Usage.objects.bulk_create((Usage(owner_id=pk) for pk in sorted(here)), ignore_conflicts=True)


def _lock_domains(limits: Mapping[int, tuple[int, int]]) -> dict[int, Allowance]:
    if not limits:
        return {}
    rows = DomainUsage.objects.select_for_update().filter(domain_id__in=list(limits)).order_by("domain_id")
    found = {
        pk: Allowance(octets, messages, *limits[pk])
        for pk, octets, messages in rows.values_list("domain_id", "octets", "messages")
    }
    for pk in limits.keys() - found.keys():
        octets, messages = count_domain(pk)
        found[pk] = Allowance(octets, messages, *limits[pk])
    return found


def take(accounts: Mapping[int, Account], needs: Mapping[int, tuple[int, int]]) -> None:
    """Take (octets, messages) for each owner, all or nothing. Raises `OverQuota`."""
    domains: dict[int, tuple[int, int]] = {}
    for owner_id, (octets, messages) in needs.items():
        account = accounts[owner_id]
        if account.own.lacks_room(octets, messages):
            raise OverQuota("the mailbox is full")
        had = domains.get(account.domain_id, (0, 0))
        domains[account.domain_id] = (had[0] + octets, had[1] + messages)
        if account.domain is not None and account.domain.lacks_room(*domains[account.domain_id]):
            raise OverQuota("the domain has no room left for mail")
    for owner_id, (octets, messages) in needs.items():
        account = accounts[owner_id]
        for allowance in (account.own, account.domain):
            if allowance is not None:
                allowance.octets += octets
                allowance.messages += messages


_UPDATE_USAGE = """
    WITH new(owner_id, octets, messages, is_warned) AS (VALUES {})
    UPDATE mailservers_usage SET octets = mailservers_usage.octets + new.octets,
        messages = mailservers_usage.messages + new.messages, is_warned = new.is_warned
    FROM new WHERE mailservers_usage.owner_id = new.owner_id
"""
_UPDATE_DOMAIN = """
    WITH new(domain_id, octets, messages) AS (VALUES {})
    UPDATE mailservers_domainusage SET octets = mailservers_domainusage.octets + new.octets,
        messages = mailservers_domainusage.messages + new.messages
    FROM new WHERE mailservers_domainusage.domain_id = new.domain_id
"""


def save_usage(changes: Iterable[Counted], accounts: Mapping[int, Account] | None = None) -> list[int]:
    """Count what the mailboxes' changes add and remove; the owners who now have to be warned.

    `accounts`: as locked for `take`; without them they are locked here, where there is anything to count."""
    net: dict[int, tuple[int, int]] = {}
    for change in changes:
        if change.added or change.added_size:
            octets, messages = net.get(change.owner_id, (0, 0))
            net[change.owner_id] = (octets + change.added_size, messages + change.added)
    net = {owner_id: sums for owner_id, sums in net.items() if sums != (0, 0)}  # moves within an owner
    if not net:
        return []
    if accounts is None:
        accounts = lock_accounts(net)
    rows: list[tuple[int, int, int, bool]] = []
    domains: dict[int, tuple[int, int]] = {}
    filling: list[int] = []
    for owner_id in sorted(net.keys() & accounts.keys()):
        account, (octets, messages) = accounts[owner_id], net[owner_id]
        is_filling = account.before.is_filling(octets, messages)
        is_warned = account.is_warned and is_filling and account.before.is_filling()
        rows.append((owner_id, octets, messages, is_warned))
        if is_filling and not is_warned and messages > 0:
            filling.append(owner_id)
        if account.domain is not None:
            had = domains.get(account.domain_id, (0, 0))
            domains[account.domain_id] = (had[0] + octets, had[1] + messages)
    execute_rows(_UPDATE_USAGE, rows)
    execute_rows(_UPDATE_DOMAIN, [(pk, *sums) for pk, sums in sorted(domains.items())])
    return filling


def find_full(owner_ids: Iterable[int], octets: int) -> frozenset[int]:
    """Those of the owners who have no room for one more message, when all the others get it. Locks their rows."""
    owner_ids = list(owner_ids)
    accounts = lock_accounts(owner_ids)
    full: set[int] = set()
    for owner_id in owner_ids:
        try:
            take(accounts, {owner_id: (octets, 1)})
        except OverQuota:
            full.add(owner_id)
    return frozenset(full)


# ---------------------------------------------------------------- limits that change, owners that go


def count_domain(domain_id: int) -> tuple[int, int]:
    """Count a domain anew and keep the sums: (octets, messages). The caller holds the domain's row."""
    octets, messages = _domain_sums(domain_id)
    DomainUsage.objects.update_or_create(domain_id=domain_id, defaults={"octets": octets, "messages": messages})
    return octets, messages


def _domain_sums(domain_id: int) -> tuple[int, int]:
    sums = Usage.objects.filter(owner__domain_id=domain_id).aggregate(o=Sum("octets"), m=Sum("messages"))
    return sums["o"] or 0, sums["m"] or 0


def forget_domain(domain_id: int) -> None:
    """The domain has no limit any more: its sum is not kept."""
    DomainUsage.objects.filter(domain_id=domain_id).delete()


def release_owner(owner_id: int) -> None:
    """What a user held no longer counts for the domain; before the user is deleted."""
    for account in lock_accounts([owner_id]).values():
        execute_rows(_UPDATE_DOMAIN, [(account.domain_id, -account.own.octets, -account.own.messages)])
        Usage.objects.filter(owner_id=owner_id).delete()


# ---------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class Room:
    """An owner's usage and limits, for people and for RFC 9208. The domain's: None without a limit."""

    own: Allowance
    domain: Allowance | None

    def lacks_room(self, octets: int, messages: int = 1) -> bool:
        return self.own.lacks_room(octets, messages) or (
            self.domain is not None and self.domain.lacks_room(octets, messages)
        )


def room_of(owner_id: int) -> Room | None:
    """None when the owner is gone."""
    user = User.objects.filter(pk=owner_id).values_list(
        "quota_octets",
        "quota_messages",
        "domain__quota_octets",
        "domain__quota_messages",
        "usage__octets",
        "usage__messages",
        "domain__usage__octets",
        "domain__usage__messages",
    )
    for *limits, octets, messages, domain_octets, domain_messages in user:
        own = Allowance(octets or 0, messages or 0, limits[0], limits[1])
        domain = Allowance(domain_octets or 0, domain_messages or 0, limits[2], limits[3])
        return Room(own, domain if domain.is_limited else None)
    return None


def domain_allowance(domain_id: int) -> Allowance | None:
    """A domain's usage and limits; None when it is gone. Counted anew where it has no limit and so no sum."""
    domain = Domain.objects.filter(pk=domain_id).values_list("quota_octets", "quota_messages").first()
    if domain is None:
        return None
    kept = DomainUsage.objects.filter(pk=domain_id).values_list("octets", "messages").first()
    return Allowance(*(kept or _domain_sums(domain_id)), *domain)


def lacking_room(owner_ids: Iterable[int], octets: int) -> bool:
    """Would one more message of this size be too much for any of them? An answer for now, not a reservation."""
    rooms = (room_of(owner_id) for owner_id in dict.fromkeys(owner_ids))
    return any(room is not None and room.lacks_room(octets) for room in rooms)
