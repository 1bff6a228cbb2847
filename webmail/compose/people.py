"""Recipient fields as people type them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailservers.formats.addresses import Address, InvalidAddress, format_mailbox_address, parse_address_list
from mailservers.formats.mailbox_address import parse_mailbox_address
from webmail.compose.building import Person, one_line

MAX_FIELD = 50_000  # characters


class NotAddresses(ValueError):
    """Something in the field is no address; the text says which part."""


def parse_people(text: str) -> list[Person]:
    """`Anna <anna@a.test>, ben@b.test`; semicolons and line breaks separate too. Raises `NotAddresses`."""
    text = text[:MAX_FIELD].replace("\n", ",").replace("\0", "")
    if ":" not in text:
        text = text.replace(";", ",")
    if not any(mark in text for mark in '<>"():'):  # plain addresses: exact, where the list parser is forgiving
        return list({one.address.lower(): one for one in _plain_people(text)}.values())
    people = [_person(a) for a in parse_address_list(text.encode("utf-8", "replace")) if a.is_mailbox]
    return list({one.address.lower(): one for one in people}.values())


def _plain_people(text: str) -> Iterator[Person]:
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            yield Person("", normal_address(part))
        except InvalidAddress as error:
            raise NotAddresses(f"“{part}” is not an e-mail address ({error}).") from None


def _person(found: Address) -> Person:
    try:
        local, domain = parse_mailbox_address(format_mailbox_address(found.local, found.domain))
    except InvalidAddress as error:
        shown = found.spec if found.raw_domain else found.name or found.local
        raise NotAddresses(f"“{shown}” is not an e-mail address ({error}).") from None
    return Person(one_line(found.name), format_mailbox_address(local, domain))


def normal_address(text: str) -> str:
    """As addresses are kept. Raises `InvalidAddress`."""
    return format_mailbox_address(*parse_mailbox_address(text.strip()))


def people_of(addresses: Iterable[Address]) -> list[Person]:
    """Those of a message's addresses that can be written to."""
    people = []
    for one in addresses:
        try:
            people.append(_person(one))
        except NotAddresses:
            continue
    return people


def as_text(people: Iterable[Person]) -> str:
    """For the form's field."""
    return ", ".join(str(one) for one in people)
