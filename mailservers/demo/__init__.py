"""The demo organisation: Kittiwake Boatyard of Skerrow, three people and half a year of their mail.

Pure data: no Django, no I/O, no clock. The same `now` and seed give the same messages, octet for octet.
Everything is invented; all domains end in `.example` and all addresses are of documentation networks
(RFC 2606, RFC 5737), so nothing here can ever reach anybody.
"""

from collections.abc import Iterator
from datetime import datetime

from .cast import ALIASES, CAST, DOMAIN, OWN_KEYS
from .composer import Composer
from .content import LETTERS
from .model import DemoMessage, DemoPerson
from .placing import placed

__all__ = ["ALIASES", "DOMAIN", "DemoMessage", "DemoPerson", "messages", "people"]

ADMIN = "marta"


def people() -> tuple[DemoPerson, ...]:
    """The three accounts."""
    return tuple(DemoPerson(CAST[key].address, CAST[key].name, "admin" if key == ADMIN else "user") for key in OWN_KEYS)


def messages(now: datetime, seed: int = 1931) -> Iterator[DemoMessage]:
    """All messages, in the order of their internal dates, the newest a few minutes before `now`.

    Raises ValueError where `now` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("the demo's `now` needs a time zone")
    composer = Composer(now, seed)
    composer.compose_all(LETTERS)
    return iter(sorted(placed(composer.composed.values(), now), key=lambda message: message.internal_date))
