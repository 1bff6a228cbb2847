"""The address book: what can be done with people and groups. Functions whose first argument is `tx` are store
operations; all are of one user's own."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db.models import F, QuerySet

from mailservers.formats.mailbox_address import InvalidAddress, parse_mailbox_address
from mailservers.store.errors import StoreError
from mailservers.store.transaction import Transaction
from webmail.compose.building import Person, one_line
from webmail.compose.people import normal_address
from webmail.contacts.vcard import Card
from webmail.models import CollectedAddress, Contact, ContactAddress, ContactGroup

MAX_CONTACTS = 20_000
MAX_GROUPS = 500
MAX_ADDRESSES = 50
MAX_NOTE = 20_000  # characters
MAX_REST = 1_000_000  # characters: a photo
MAX_COLLECTED = 5_000
IMPORT_STEP = 200  # cards in one transaction


class Refused(StoreError):
    """The text is for the user."""


# ---------------------------------------------------------------- people


def save_contact(tx: Transaction, user_id: int, card: Card, contact_id: int | None = None) -> int:
    """Make or change a person; the id. Raises `Refused`."""
    card = _checked(card)
    if contact_id is None:
        if Contact.objects.filter(user_id=user_id).count() >= MAX_CONTACTS:
            raise Refused(f"an address book can hold {MAX_CONTACTS} people")
        contact = Contact(user_id=user_id, uid=card.uid or str(uuid.uuid4()))
    else:
        contact = _contact(user_id, contact_id)
    _fill(contact, card)
    contact.changed_at = tx.now
    contact.save()
    contact.addresses.all().delete()
    ContactAddress.objects.bulk_create([ContactAddress(contact=contact, address=one) for one in card.addresses])
    return contact.pk


def _contact(user_id: int, contact_id: int) -> Contact:
    contact = Contact.objects.filter(user_id=user_id, pk=contact_id).first()
    if contact is None:
        raise Refused("this person is no longer in your address book")
    return contact


def _fill(contact: Contact, card: Card) -> None:
    if contact.name != card.name and contact.rest and not card.rest:
        # The name in parts would contradict the new one.
        card.rest = [line for line in contact.rest.split("\n") if not line.upper().startswith(("N:", "N;"))]
    elif not card.rest:
        card.rest = contact.rest.split("\n") if contact.rest else []
    contact.name, contact.organisation, contact.note = card.name, card.organisation, card.note
    contact.phones = card.phones
    rest = "\n".join(card.rest)
    contact.rest = rest if len(rest) <= MAX_REST else ""
    contact.search = " ".join([card.name, card.organisation, *card.addresses]).casefold()


def _checked(card: Card) -> Card:
    """Raises `Refused` for what is no address, and for a card of nobody."""
    addresses = []
    for text in card.addresses[:MAX_ADDRESSES]:
        try:
            addresses.append(normal_address(text))
        except InvalidAddress as error:
            raise Refused(f"“{text[:100]}” is not an e-mail address ({error})") from None
    card.addresses = list(dict.fromkeys(addresses))
    card.name = one_line(card.name)[:200]
    card.organisation = one_line(card.organisation)[:200]
    card.phones = [one_line(one)[:100] for one in card.phones[:MAX_ADDRESSES]]
    card.note = card.note.replace("\0", "")[:MAX_NOTE]
    card.uid = one_line(card.uid)[:255]
    if not (card.name or card.addresses or card.organisation):
        raise Refused("a name or an e-mail address is needed")
    return card


def delete_contacts(tx: Transaction, user_id: int, ids: Sequence[int]) -> int:
    """How many there were."""
    doomed = Contact.objects.filter(user_id=user_id, pk__in=ids)
    count = doomed.count()
    doomed.delete()
    return count


def as_card(contact: Contact) -> Card:
    """Reads `addresses` (prefetch them)."""
    return Card(
        uid=contact.uid,
        name=contact.name or next((one.address for one in contact.addresses.all()), contact.organisation),
        organisation=contact.organisation,
        addresses=[one.address for one in contact.addresses.all()],
        phones=list(contact.phones),
        note=contact.note,
        rest=contact.rest.split("\n") if contact.rest else [],
    )


# ---------------------------------------------------------------- doubles


def find_doubles(user_id: int) -> list[list[Contact]]:
    """People who share an address or have the same name, two or more each, in the order of their names."""
    people = list(Contact.objects.filter(user_id=user_id).prefetch_related("addresses").order_by("name", "pk"))
    leader = {one.pk: one.pk for one in people}

    def first(pk: int) -> int:
        while leader[pk] != pk:
            leader[pk] = leader[leader[pk]]
            pk = leader[pk]
        return pk

    seen: dict[str, int] = {}
    for one in people:
        keys = [f"@{address.address.lower()}" for address in one.addresses.all()]
        keys += [one.name.casefold()] if " " in one.name else []  # a first name alone says too little
        for key in keys:
            leader[first(one.pk)] = first(seen.setdefault(key, one.pk))
    sets: defaultdict[int, list[Contact]] = defaultdict(list)
    for one in people:
        sets[first(one.pk)].append(one)
    return [members for members in sets.values() if len(members) > 1]


def merge(tx: Transaction, user_id: int, ids: Sequence[int]) -> int:
    """Make one person of several: the first keeps what it has and gets what it lacks; its id. Raises `Refused`."""
    found = Contact.objects.filter(user_id=user_id, pk__in=ids).prefetch_related("addresses")
    people = sorted(found, key=lambda one: ids.index(one.pk))
    if len(people) < 2:
        raise Refused("these people are no longer in your address book")
    kept, *others = people
    cards = [as_card(one) for one in people]
    whole = Card(
        name=next((one.name for one in people if one.name), ""),
        organisation=next((card.organisation for card in cards if card.organisation), ""),
        addresses=list({one.lower(): one for card in reversed(cards) for one in reversed(card.addresses)}.values())[
            ::-1
        ],
        phones=list(dict.fromkeys(one for card in cards for one in card.phones)),
        note="\n".join(dict.fromkeys(card.note for card in cards if card.note)),
        rest=list(dict.fromkeys(line for card in cards for line in card.rest)) if kept.rest else cards[1].rest,
    )
    groups = ContactGroup.objects.filter(user_id=user_id, members__in=others).distinct()
    for group in groups:
        group.members.add(kept)
    save_contact(tx, user_id, whole, kept.pk)
    Contact.objects.filter(user_id=user_id, pk__in=[one.pk for one in others]).delete()
    return kept.pk


# ---------------------------------------------------------------- groups


def save_group(tx: Transaction, user_id: int, name: str, members: Sequence[int], group_id: int | None = None) -> int:
    """Make or change a group; its id. Raises `Refused`."""
    name = one_line(name)[:200]
    groups = ContactGroup.objects.filter(user_id=user_id)
    if not name:
        raise Refused("a group needs a name")
    namesakes = groups.filter(name__iexact=name).values_list("pk", flat=True)
    if any(pk != group_id for pk in namesakes):
        raise Refused(f"there is a group “{name}” already")
    if group_id is None:
        if groups.count() >= MAX_GROUPS:
            raise Refused(f"an address book can hold {MAX_GROUPS} groups")
        group = ContactGroup.objects.create(user_id=user_id, name=name)
    else:
        found = groups.filter(pk=group_id).first()
        if found is None:
            raise Refused("this group is gone")
        group = found
        group.name = name
        group.save()
    group.members.set(Contact.objects.filter(user_id=user_id, pk__in=members))
    return group.pk


def delete_group(tx: Transaction, user_id: int, group_id: int) -> None:
    ContactGroup.objects.filter(user_id=user_id, pk=group_id).delete()


# ---------------------------------------------------------------- import


def import_people(tx: Transaction, user_id: int, cards: Sequence[Card]) -> tuple[int, int]:
    """(new, changed): a card with the UID of a person replaces that one; addresses that are none are left out."""
    known = dict(
        Contact.objects.filter(user_id=user_id, uid__in=[card.uid[:255] for card in cards if card.uid]).values_list(
            "uid", "pk"
        )
    )
    added = changed = 0
    for card in cards:
        card.addresses = [one for one in card.addresses if _is_address(one)]
        existing = known.get(one_line(card.uid)[:255])
        try:
            pk = save_contact(tx, user_id, card, existing)
        except Refused:
            continue
        if card.uid:
            known[card.uid] = pk
        added, changed = added + (existing is None), changed + (existing is not None)
    return added, changed


def import_group(tx: Transaction, user_id: int, card: Card) -> None:
    """A group of that name gets the members, and is made if need be."""
    name = one_line(card.name)[:200]
    group = ContactGroup.objects.filter(user_id=user_id, name__iexact=name).first()
    had = list(group.members.values_list("pk", flat=True)) if group else []
    new = Contact.objects.filter(user_id=user_id, uid__in=card.members[:500]).values_list("pk", flat=True)
    save_group(tx, user_id, name, [*had, *new], group.pk if group else None)


def _is_address(text: str) -> bool:
    try:
        parse_mailbox_address(text)
    except InvalidAddress:
        return False
    return True


# ---------------------------------------------------------------- collected addresses


def collect(tx: Transaction, user_id: int, people: Iterable[Person]) -> None:
    """Remember whom a message went to."""
    named = {one.address.lower(): one_line(one.name)[:200] for one in people}
    rows: QuerySet[CollectedAddress] = CollectedAddress.objects.filter(user_id=user_id)
    known = set(rows.filter(address__in=list(named)[:500]).values_list("address", flat=True))
    rows.filter(address__in=known).update(times=F("times") + 1, last_at=tx.now)
    for address in known:
        if named[address]:
            rows.filter(address=address, name="").update(name=named[address])
    new = [address for address in list(named)[:500] if address not in known]
    CollectedAddress.objects.bulk_create(
        [CollectedAddress(user_id=user_id, address=one, name=named[one], last_at=tx.now) for one in new],
        ignore_conflicts=True,
    )
    surplus = rows.count() - MAX_COLLECTED if new else 0
    if surplus > 0:
        oldest = rows.order_by("last_at").values_list("pk", flat=True)[:surplus]
        rows.filter(pk__in=list(oldest)).delete()
