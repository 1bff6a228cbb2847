"""Completing an address as it is typed, and what is odd about one that has been."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from operator import attrgetter

from django.db.models import Q

from accounts.models import Domain, User
from mailservers.delivery.routing import NotOurDomain, RoutingError, resolve_address
from mailservers.models import KnownRecipient
from webmail.compose.building import Person
from webmail.compose.people import NotAddresses, as_text, parse_people
from webmail.models import CollectedAddress, Contact, ContactGroup

SHOWN = 8
READ = 40  # rows of each kind
MAX_QUERY = 100  # characters
# fmt: off
WELL_KNOWN = (
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com",
    "yahoo.com", "yahoo.co.uk", "yahoo.fr", "yahoo.de", "ymail.com", "icloud.com",
    "me.com", "aol.com", "mail.com", "email.com", "gmx.com", "gmx.de",
    "gmx.net", "gmx.at", "web.de", "t-online.de", "freenet.de", "orange.fr",
    "free.fr", "laposte.net", "wanadoo.fr", "libero.it", "virgilio.it", "proton.me",
    "protonmail.com", "fastmail.com", "mail.ru", "yandex.ru", "qq.com", "163.com",
    "comcast.net", "verizon.net", "btinternet.com", "bluewin.ch", "hotmail.co.uk", "hotmail.fr",
    "posteo.de", "mailbox.org", "zoho.com",
)
# fmt: on
_KNOWN = frozenset(WELL_KNOWN)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`value` goes into the field; `kind`: "person", "group", "recent" or "colleague"."""

    name: str
    detail: str
    value: str
    kind: str


def complete(user: User, typed: str) -> list[Suggestion]:
    """The best few, those first in which a word begins as typed; one's own book before others'."""
    query = " ".join(typed[:MAX_QUERY].replace("\0", "").casefold().split())
    if not query:
        return []
    found = [*_people(user, query), *_recent(user, query), *_colleagues(user, query)]
    unique = list({one.detail.lower(): one for one in reversed(found)}.values())[::-1]
    unique.sort(key=lambda one: not _begins(one, query))  # stable
    return [*_groups(user, query), *unique][:SHOWN]


def _begins(one: Suggestion, query: str) -> bool:
    text = f"{one.name} {one.detail}".casefold()
    return text.startswith(query) or f" {query}" in text


def _groups(user: User, query: str) -> Iterator[Suggestion]:
    rows = ContactGroup.objects.filter(user=user, name__icontains=query).order_by("name")[:3]
    for group in rows.prefetch_related("members__addresses"):
        people = members_of(group)
        if people:
            yield Suggestion(group.name, f"{len(people)} people", as_text(people), "group")


def members_of(group: ContactGroup) -> list[Person]:
    """Those of a group who can be written to, each at their first address."""
    members = sorted(group.members.all(), key=attrgetter("name", "pk"))
    return [Person(one.name, addresses[0].address) for one in members if (addresses := list(one.addresses.all()))]


def _people(user: User, query: str) -> Iterator[Suggestion]:
    rows = Contact.objects.filter(user=user)
    for word in query.split():
        rows = rows.filter(search__contains=word)
    for contact in rows.prefetch_related("addresses").order_by("name")[:READ]:
        for row in contact.addresses.all():
            yield _suggestion(contact.name, row.address, "person")


def _recent(user: User, query: str) -> Iterator[Suggestion]:
    rows = CollectedAddress.objects.filter(Q(address__contains=query) | Q(name__icontains=query), user=user)
    for name, address in rows.order_by("-times", "-last_at").values_list("name", "address")[:READ]:
        yield _suggestion(name, address, "recent")
    known = KnownRecipient.objects.filter(user=user, address__contains=query).order_by("-pk")
    for address in known.values_list("address", flat=True)[:READ]:
        yield _suggestion("", address, "recent")


def listed_colleagues(user: User) -> list[Person]:
    """The shared address book of the user's domain: those who chose to be in it."""
    rows = User.objects.filter(domain=user.domain, is_active=True, listeduser__isnull=False).order_by("name", "login")
    return [Person(name, login) for name, login in rows.values_list("name", "login")]


def _colleagues(user: User, query: str) -> Iterator[Suggestion]:
    rows = User.objects.filter(domain=user.domain, is_active=True, listeduser__isnull=False)
    rows = rows.filter(Q(name__icontains=query) | Q(login__contains=query)).order_by("name")
    for name, login in rows.values_list("name", "login")[:READ]:
        yield _suggestion(name, login, "colleague")


def _suggestion(name: str, address: str, kind: str) -> Suggestion:
    return Suggestion(name, address, str(Person(name, address)), kind)


# ---------------------------------------------------------------- checks of what has been typed


@dataclass(frozen=True, slots=True)
class Checked:
    """A chip: `problem`, it cannot be sent to; `hint`, a likely slip and what to replace it by."""

    label: str
    title: str
    is_outside: bool = False
    problem: str = ""
    hint: str = ""
    instead: str = ""


def check_typed(pieces: Iterable[str]) -> list[dict[str, object]]:
    """Each piece of a recipient field, one `Checked` as a dict."""
    ours = set(Domain.objects.filter(is_active=True).values_list("name", flat=True))
    return [asdict(_checked(piece, ours)) for piece in pieces]


def _checked(piece: str, ours: set[str]) -> Checked:
    try:
        people = parse_people(piece)
    except NotAddresses as error:
        return Checked(piece, piece, problem=str(error))
    if len(people) != 1:
        return Checked(piece, piece, problem="" if people else f"“{piece}” is not an e-mail address.")
    [person] = people
    label, domain = person.name or person.address, person.address.rpartition("@")[2]
    if domain in ours:
        return Checked(label, person.address, problem=_unknown(person.address))
    slip = likely_slip(domain)
    if not slip:
        return Checked(label, person.address, is_outside=True)
    instead = Person(person.name, f"{person.address.rpartition('@')[0]}@{slip}")
    return Checked(label, person.address, is_outside=True, hint=f"Did you mean {slip}?", instead=str(instead))


def _unknown(address: str) -> str:
    try:
        resolve_address(address)
    except NotOurDomain:
        return ""
    except RoutingError:
        return f"There is no {address} here."
    return ""


def likely_slip(domain: str) -> str:
    """The well-known domain that this one differs from by one slip of a finger, or ""."""
    if domain in _KNOWN or len(domain) < 5:
        return ""
    return next((known for known in WELL_KNOWN if is_one_slip(domain, known)), "")


def is_one_slip(one: str, other: str) -> bool:
    """One letter too many, too few or wrong, or two neighbours swapped. Short names are too close to each other."""
    if one == other or abs(len(one) - len(other)) > 1 or len(other) < 7:
        return False
    start = next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
