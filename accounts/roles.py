"""Who may do what in the console, the API and on live views, and for which domains: the one place that says it.

An owner may do everything. A domain administrator looks after the people and addresses of some domains; support follows
messages there, and reads and changes nothing else. Every view names the `Permission` it needs, and gets its rows from
the `Scope` of whoever asks: what is outside of it is not there (404).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from functools import cached_property

from django.db.models import Q, QuerySet

from accounts.models import Address, Domain, Role, User
from mailservers.formats.mailbox_address import InvalidAddress, domain_spellings, domain_to_ascii
from mailservers.models import DeliveryEvent, QueuedRecipient, SenderRule


class Permission(StrEnum):
    OVERVIEW = "overview"
    DOMAINS = "domains"  # see them, with their DNS records
    CHANGE_DOMAINS = "change-domains"  # quota, MTA-STS, on and off
    OWN_DOMAINS = "own-domains"  # add and delete
    USERS = "users"
    CHANGE_USERS = "change-users"  # also passwords and sign-in links
    ADDRESSES = "addresses"
    CHANGE_ADDRESSES = "change-addresses"
    SENDERS = "senders"
    TRACE = "trace"
    QUEUE = "queue"
    CHANGE_QUEUE = "change-queue"
    ROUTES = "routes"  # which way mail to other hosts takes
    REPORTS = "reports"
    AUDIT = "audit"
    SERVER = "server"  # certificates, ports, health


_SUPPORT = frozenset(
    {Permission.OVERVIEW, Permission.DOMAINS, Permission.USERS, Permission.ADDRESSES, Permission.TRACE,
     Permission.QUEUE, Permission.REPORTS}
)  # fmt: skip
PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.DOMAIN_ADMIN: _SUPPORT
    | {
        Permission.CHANGE_DOMAINS,
        Permission.CHANGE_USERS,
        Permission.CHANGE_ADDRESSES,
        Permission.SENDERS,
        Permission.CHANGE_QUEUE,
    },
    Role.SUPPORT: _SUPPORT,
    Role.USER: frozenset(),
}
HIGHER = {  # whom a role may not touch: as high as itself, or higher
    Role.DOMAIN_ADMIN: (Role.ADMIN, Role.DOMAIN_ADMIN, Role.SUPPORT),
}


class Scope:
    """What one person may do, and for whom. Made anew for each request: rights change."""

    def __init__(self, user: User, among: Collection[str] | None = None) -> None:
        """`among`: the names of the permissions that an API token has; it never has more than its owner."""
        self.user = user
        self.permissions = PERMISSIONS.get(user.role, frozenset()) if _counts(user) else frozenset()
        if among is not None:
            self.permissions = self.permissions.intersection(among)
        self.is_everything = user.role == Role.ADMIN

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    @cached_property
    def domain_ids(self) -> frozenset[int]:
        """Only asked where the scope is not everything."""
        return frozenset(self.user.scope.values_list("pk", flat=True))

    @cached_property
    def domain_names(self) -> frozenset[str]:
        """In every spelling."""
        names = Domain.objects.filter(pk__in=self.domain_ids).values_list("name", flat=True)
        return frozenset(spelling for name in names for spelling in domain_spellings(name))

    # ------------------------------------------------------------ rows

    def domains(self) -> QuerySet[Domain]:
        rows = Domain.objects.all()
        return rows if self.is_everything else rows.filter(pk__in=self.domain_ids)

    def users(self) -> QuerySet[User]:
        rows = User.objects.all()
        return rows if self.is_everything else rows.filter(domain_id__in=self.domain_ids)

    def changeable_users(self) -> QuerySet[User]:
        return self.users().exclude(role__in=HIGHER.get(Role(self.user.role), ()))

    def addresses(self) -> QuerySet[Address]:
        rows = Address.objects.all()
        return rows if self.is_everything else rows.filter(domain_id__in=self.domain_ids)

    def sender_rules(self) -> QuerySet[SenderRule]:
        """Those that are not one user's own."""
        rows = SenderRule.objects.filter(user__isnull=True)
        return rows if self.is_everything else rows.filter(domain_id__in=self.domain_ids)

    def queued(self) -> QuerySet[QueuedRecipient]:
        """To a domain of the scope, or from one of its users."""
        rows = QueuedRecipient.objects.all()
        if self.is_everything:
            return rows
        return rows.filter(Q(domain__in=self.domain_names) | Q(queued__sender__domain_id__in=self.domain_ids))

    def events(self) -> QuerySet[DeliveryEvent]:
        rows = DeliveryEvent.objects.all()
        if self.is_everything:
            return rows
        parties = Q(pk__in=())
        for name in self.domain_names:
            parties |= Q(sender__iendswith=f"@{name}") | Q(recipient__icontains=f"@{name}")
        return rows.filter(parties)

    def sees(self, sender: str, recipient: str) -> bool:
        """The same for an event that has just happened."""
        if self.is_everything:
            return True
        sender, recipient = sender.lower(), recipient.lower()
        return any(sender.endswith(f"@{name}") or f"@{name}" in recipient for name in self.domain_names)

    def holds_domain(self, name: str) -> bool:
        """`name`: as typed."""
        try:
            return self.is_everything or domain_to_ascii(name) in self.domain_names
        except InvalidAddress:
            return self.is_everything

    def holds_address(self, address: str) -> bool:
        return self.holds_domain(address.rpartition("@")[2].strip().lower())

    def roles(self) -> tuple[Role, ...]:
        """Which it may give."""
        return tuple(Role) if self.is_everything else (Role.USER,)

    def __eq__(self, other: object) -> bool:
        """The same rights over the same domains."""
        if not isinstance(other, Scope):
            return NotImplemented
        mine, theirs = ((s.permissions, s.is_everything or s.domain_names) for s in (self, other))
        return self.user.pk == other.user.pk and mine == theirs

    __hash__ = None  # type: ignore[assignment]


def _counts(user: User) -> bool:
    return user.is_active and user.domain.is_active
