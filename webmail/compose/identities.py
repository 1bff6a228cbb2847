"""As whom a user writes: names, Reply-To and signatures for the addresses that are theirs; and canned answers.

What is stored only adds to the addresses: whether one is the user's own is asked of the routing each time, so an alias
that is taken away is no identity any more, whatever is stored. Functions whose first argument is `tx` are store
operations.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import AddressTarget, User
from mailservers.delivery.routing import may_send_as
from mailservers.formats.addresses import InvalidAddress
from mailservers.store.errors import StoreError
from mailservers.store.transaction import Transaction
from webmail.compose.building import Person, one_line
from webmail.compose.people import NotAddresses, normal_address, parse_people
from webmail.models import CannedAnswer, SendingIdentity

MAX_IDENTITIES = 50
MAX_ANSWERS = 200
MAX_SIGNATURE = 5_000  # characters
MAX_ANSWER = 50_000


class Refused(StoreError):
    """The text is for the user."""


@dataclass(frozen=True, slots=True)
class Sender(Person):
    """One of the user's own addresses, with what goes with it."""

    reply_to: str = ""
    signature: str = ""


def identities(user: User) -> list[Sender]:
    """The default first, then the login, the aliases that lead to the user alone or with others, and sub-addresses
    that an identity was made for. Never empty."""
    aliases = AddressTarget.objects.filter(user=user, address__domain__is_active=True).order_by("address__address")
    addresses = dict.fromkeys([user.login, *aliases.values_list("address__address", flat=True)])
    rows = {row.address: row for row in SendingIdentity.objects.filter(user=user).order_by("address")}
    for address in rows:
        if address not in addresses and may_send_as(user.pk, address):
            addresses[address] = None
    found = [_sender(user, address, rows.get(address)) for address in addresses]
    return sorted(found, key=lambda one: not (one.address in rows and rows[one.address].is_default))  # stable


def _sender(user: User, address: str, row: SendingIdentity | None) -> Sender:
    if row is None:
        return Sender(user.name, address)
    return Sender(row.name, address, row.reply_to, row.signature)


def save_identity(
    tx: Transaction, user_id: int, address: str, *, name: str, reply_to: str, signature: str, is_default: bool
) -> None:
    """Name, Reply-To and signature of one of the user's own addresses. Raises `Refused`."""
    try:
        address = normal_address(address)
        reply_to = normal_address(reply_to) if reply_to.strip() else ""
    except InvalidAddress as error:
        raise Refused(f"that is not an e-mail address ({error})") from None
    if not may_send_as(user_id, address):
        raise Refused(f"{address} is not one of your addresses")
    mine = SendingIdentity.objects.filter(user_id=user_id)
    if not mine.filter(address=address).exists() and mine.count() >= MAX_IDENTITIES:
        raise Refused(f"there can be {MAX_IDENTITIES} identities")
    if is_default:
        mine.update(is_default=False)
    mine.update_or_create(
        user_id=user_id,
        address=address,
        defaults={
            "name": one_line(name)[:200],
            "reply_to": reply_to,
            "signature": _text(signature)[:MAX_SIGNATURE].strip("\n"),
            "is_default": is_default,
        },
    )


def forget_identity(tx: Transaction, user_id: int, address: str) -> None:
    """The address stays the user's; what goes with it is as it was at first."""
    SendingIdentity.objects.filter(user_id=user_id, address=address).delete()


def _text(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def reply_to_of(sender: Sender) -> list[Person]:
    try:
        return parse_people(sender.reply_to)
    except NotAddresses:
        return []


def sign(text: str, sender: Sender) -> str:
    """The signature where a new letter's text goes, below the line that programs know it by (RFC 3676 4.3)."""
    return f"\n\n-- \n{sender.signature}\n{text}" if sender.signature else text


# ---------------------------------------------------------------- canned answers


def save_answer(tx: Transaction, user_id: int, name: str, text: str, answer_id: int | None = None) -> None:
    """Make or change one. Raises `Refused`."""
    name, text = one_line(name)[:100], _text(text)[:MAX_ANSWER]
    mine = CannedAnswer.objects.filter(user_id=user_id)
    if not name or not text.strip():
        raise Refused("a template needs a name and a text")
    if any(pk != answer_id for pk in mine.filter(name__iexact=name).values_list("pk", flat=True)):
        raise Refused(f"there is a template “{name}” already")
    if answer_id is not None:
        if not mine.filter(pk=answer_id).update(name=name, text=text):
            raise Refused("this template is gone")
        return
    if mine.count() >= MAX_ANSWERS:
        raise Refused(f"there can be {MAX_ANSWERS} templates")
    CannedAnswer.objects.create(user_id=user_id, name=name, text=text)


def forget_answer(tx: Transaction, user_id: int, answer_id: int) -> None:
    CannedAnswer.objects.filter(user_id=user_id, pk=answer_id).delete()
