"""Who may do what with which mailbox (RFC 4314): a user and a name become a mailbox and rights.

Others' mailboxes are named "Shared/<owner's login>/<name>". An owner has every right, always, but on the
Outbox, which is the system's (`store.outbox`). Everybody else has the union of what is granted to their login, to the
groups and aliases that lead to them, and to "anyone", without what negative entries ("-fred") take away. A mailbox on
which somebody has no right does not exist for them.

\\Seen is shared, like every flag. The quota that counts is the owner's.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from accounts.models import Address, User
from mailservers.models import OUTBOX_USE, AclEntry, Flag, Mailbox, Subscription
from mailservers.store.errors import InvalidMailboxName, MailboxProtected, NoSuchMailbox, NotPermitted
from mailservers.store.flags import EVERY_FLAG, MayChange
from mailservers.store.mailboxes import SEPARATOR, normal_name
from mailservers.store.queries import MailboxRow, find_mailbox, list_mailboxes, mailbox_by_id, mailbox_columns
from mailservers.store.transaction import Transaction

RIGHTS = "lrswipkxtea"  # in the order in which they are written
ALL_RIGHTS = frozenset(RIGHTS)
OUTBOX_RIGHTS = frozenset("lrste")  # the owner's on the Outbox: to read, and to cancel by deleting
REVEALING = frozenset("lrikxa")  # RFC 4314 section 4: any of these makes a mailbox known
SHARED = "Shared"
ANYONE = "anyone"
MAX_ENTRIES = 200  # of one mailbox


@dataclass(frozen=True, slots=True)
class Access:
    """A mailbox as one user has it: `row.name` is their name for it, `own_name` its owner's."""

    row: MailboxRow
    own_name: str
    rights: frozenset[str]

    def require(self, wanted: str) -> None:
        """Every one of these rights, or `NotPermitted`; `NoSuchMailbox`, as if it were not there, where the user may
        not even list it (RFC 4314 section 6)."""
        if self.rights.issuperset(wanted):
            return
        if "l" not in self.rights:
            raise NoSuchMailbox("the mailbox does not exist")
        raise NotPermitted("the access control list of the mailbox does not allow this")


def may_annotate(access: Access) -> bool:
    """RFC 5464 section 3.3: "l" and any of "rswip"."""
    return "l" in access.rights and bool(access.rights & set("rswip"))


def may_change(rights: frozenset[str]) -> MayChange:
    """RFC 4314 section 4: "s" is for \\Seen, "t" for \\Deleted, "w" for all others."""
    bits = Flag.SEEN.value if "s" in rights else 0
    bits |= Flag.DELETED.value if "t" in rights else 0
    if "w" in rights:
        bits |= EVERY_FLAG & ~(Flag.SEEN.value | Flag.DELETED.value)
    return MayChange(bits, "w" in rights)


def identifiers_of(user_id: int) -> frozenset[str]:
    """What entries may call this user."""
    login = User.objects.filter(pk=user_id).values_list("login", flat=True).first()
    groups = Address.objects.filter(targets__user_id=user_id).values_list("address", flat=True)
    return frozenset((login or "", ANYONE, *groups))


def combine(entries: Iterable[tuple[bool, str]]) -> frozenset[str]:
    """Rights of (is negative, rights) entries that all apply to a user."""
    granted: set[str] = set()
    denied: set[str] = set()
    for is_negative, rights in entries:
        (denied if is_negative else granted).update(rights)
    return frozenset(granted - denied)


def find_access(user_id: int, name: str) -> Access:
    """Raises `NoSuchMailbox`, `InvalidMailboxName`."""
    name = normal_name(name)
    own = find_mailbox(user_id, name)
    if own is not None:
        return _owned(own)
    login, own_name = _split(name)
    rows = Mailbox.objects.filter(owner__login=login, owner__is_active=True, name=own_name).exclude(owner_id=user_id)
    found = rows.values_list(*mailbox_columns).first() if own_name else None
    if found is not None:
        row = MailboxRow(*found)
        entries = AclEntry.objects.filter(mailbox_id=row.id, identifier__in=identifiers_of(user_id))
        rights = combine(entries.values_list("is_negative", "rights"))
        if rights & REVEALING:
            return Access(replace(row, name=name, special_use="", is_subscribed=False), own_name, rights)
    raise NoSuchMailbox("the mailbox does not exist")


def _owned(row: MailboxRow) -> Access:
    return Access(row, row.name, OUTBOX_RIGHTS if row.special_use == OUTBOX_USE else ALL_RIGHTS)


def _split(name: str) -> tuple[str, str]:
    """(owner's login, the owner's name of the mailbox); ("", "") for what is nobody else's."""
    top, _, rest = name.partition(SEPARATOR)
    login, _, own_name = rest.partition(SEPARATOR)
    if top != SHARED or not own_name:
        return "", ""
    return login.lower(), normal_name(own_name)


def access_by_id(user_id: int, mailbox_id: int) -> Access | None:
    """None where the user has no right on it, or it is gone."""
    rows = Mailbox.objects.filter(pk=mailbox_id, owner__is_active=True).values_list("owner__login", *mailbox_columns)
    for login, *columns in rows:
        row = MailboxRow(*columns)
        with suppress(NoSuchMailbox, InvalidMailboxName):
            return find_access(user_id, row.name if row.owner_id == user_id else f"{SHARED}/{login}/{row.name}")
    return None


def reach(user_id: int, mailbox_id: int, wanted: str = "") -> Access:
    """A mailbox by its id, with these rights at least; one query for the user's own.

    Raises `NoSuchMailbox`, `NotPermitted`."""
    try:
        access = _owned(mailbox_by_id(user_id, mailbox_id))
    except NoSuchMailbox:
        shared = access_by_id(user_id, mailbox_id)
        if shared is None:
            raise
        access = shared
    access.require(wanted)
    return access


def readable_by(user_id: int) -> set[int]:
    """The mailboxes, own and shared, whose messages the user may read."""
    return {access.row.id for access in all_access(user_id) if "r" in access.rights}


def shared_with(user_id: int) -> list[Access]:
    """Others' mailboxes that the user may list. One short query where nobody shares anything."""
    if not AclEntry.objects.exists():
        return []
    entries: dict[int, list[tuple[bool, str]]] = {}
    found = AclEntry.objects.filter(identifier__in=identifiers_of(user_id), mailbox__owner__is_active=True)
    columns = ("mailbox_id", "is_negative", "rights")
    for mailbox_id, is_negative, rights in found.exclude(mailbox__owner_id=user_id).values_list(*columns):
        entries.setdefault(mailbox_id, []).append((is_negative, rights))
    visible = {pk: rights for pk, given in entries.items() if "l" in (rights := combine(given))}
    subscribed = set(Subscription.objects.filter(owner_id=user_id).values_list("name", flat=True))
    rows = Mailbox.objects.filter(pk__in=visible).values_list("owner__login", *mailbox_columns)
    shared = []
    for login, *columns_found in rows.order_by("owner__login", "name"):
        row = MailboxRow(*columns_found)
        name = SEPARATOR.join((SHARED, login, row.name))
        seen = replace(row, name=name, special_use="", is_subscribed=name in subscribed)
        shared.append(Access(seen, row.name, visible[row.id]))
    return shared


def all_access(user_id: int) -> list[Access]:
    """The user's own mailboxes and those that others share."""
    own = [_owned(row) for row in list_mailboxes(user_id)]
    return [*own, *shared_with(user_id)]


def place_for(user_id: int, name: str) -> tuple[int, str]:
    """(owner, the owner's name) for a mailbox to be made: for others' the right "k" on the nearest mailbox above is
    needed. Raises `NotPermitted`, `MailboxProtected`, `InvalidMailboxName`."""
    name = normal_name(name)
    top = name.partition(SEPARATOR)[0]
    if top != SHARED or Mailbox.objects.filter(owner_id=user_id, name=SHARED).exists():
        return user_id, name
    own_name = _split(name)[1]
    if not own_name:
        raise MailboxProtected(f"names below {SHARED} are other users' mailboxes")
    above = name
    while SEPARATOR in above:
        above = above.rpartition(SEPARATOR)[0]
        try:
            parent = find_access(user_id, above)
            parent.require("k")
        except (NoSuchMailbox, InvalidMailboxName):
            continue
        return parent.row.owner_id, own_name
    raise NotPermitted("no mailbox of this user may be made there")


# ---------------------------------------------------------------- the lists themselves


def entries_of(mailbox_id: int) -> tuple[str, list[tuple[str, str]]]:
    """(the owner's login, (identifier, rights) pairs); negative identifiers begin with "-"."""
    owner = Mailbox.objects.filter(pk=mailbox_id).values_list("owner__login", flat=True)[0]
    rows = AclEntry.objects.filter(mailbox_id=mailbox_id).order_by("identifier", "is_negative")
    columns = ("identifier", "is_negative", "rights")
    return owner, [("-" + name if negative else name, rights) for name, negative, rights in rows.values_list(*columns)]


def set_entry(tx: Transaction, user_id: int, name: str, identifier: str, change: str, rights: frozenset[str]) -> None:
    """SETACL: `change` is "+", "-" or "=" (replace). An entry without rights goes. Needs "a".

    Raises `NoSuchMailbox`, `NotPermitted`, `MailboxProtected` (the owner; unknown identifiers; too many)."""
    access = find_access(user_id, name)
    access.require("a")
    is_negative = identifier.startswith("-")
    bare = identifier.removeprefix("-")
    _check_identifier(access.row.owner_id, bare)
    entries = AclEntry.objects.filter(mailbox_id=access.row.id)
    row = entries.filter(identifier=bare, is_negative=is_negative).first()
    before = frozenset(row.rights) if row is not None else frozenset()
    after = {"+": before | rights, "-": before - rights, "=": rights}[change]
    text = "".join(right for right in RIGHTS if right in after)
    if row is None and entries.count() >= MAX_ENTRIES:
        raise MailboxProtected(f"an access control list can have {MAX_ENTRIES} entries")
    if row is not None:
        row.delete()  # and made anew: other processes see by the newest id that something changed
    if text:
        AclEntry.objects.create(mailbox_id=access.row.id, identifier=bare, is_negative=is_negative, rights=text)
    tx.access_changed()


def _check_identifier(owner_id: int, identifier: str) -> None:
    """Typing errors must not become entries that fit a later user."""
    if User.objects.filter(pk=owner_id, login=identifier).exists():
        raise MailboxProtected("the owner always has every right")
    if identifier == ANYONE or User.objects.filter(login=identifier).exists():
        return
    if not Address.objects.filter(address=identifier).exists():
        raise MailboxProtected("there is no such user or group")


def delete_entry(tx: Transaction, user_id: int, name: str, identifier: str) -> None:
    """DELETEACL; nothing happens where there is no such entry. Needs "a"."""
    access = find_access(user_id, name)
    access.require("a")
    bare, is_negative = identifier.removeprefix("-"), identifier.startswith("-")
    AclEntry.objects.filter(mailbox_id=access.row.id, identifier=bare, is_negative=is_negative).delete()
    tx.access_changed()


def subscribe_shared(tx: Transaction, user_id: int, name: str) -> None:
    """SUBSCRIBE to another's mailbox: needs "l"."""
    access = find_access(user_id, name)
    access.require("l")
    Subscription.objects.get_or_create(owner_id=user_id, name=access.row.name)
    tx.folders_changed(user_id)
