"""How a user wants pages to look; the user's own choice, so no audit entry."""

from __future__ import annotations

import zoneinfo
from functools import cache

from accounts.models import Density, Theme, User
from accounts.services.errors import InvalidValue
from mailservers.store.transaction import Transaction


@cache
def time_zones() -> tuple[str, ...]:
    """Those that are named after places, by name."""
    return ("UTC", *sorted(name for name in zoneinfo.available_timezones() if "/" in name and name[:4] != "Etc/"))


def set_display(tx: Transaction, user_id: int, *, theme: str, density: str, time_zone: str) -> None:
    """Raises `InvalidValue`."""
    if theme not in Theme.values:
        raise InvalidValue("There is no such theme.", "theme")
    if density not in Density.values:
        raise InvalidValue("There is no such density.", "density")
    if time_zone and time_zone not in time_zones():
        raise InvalidValue("There is no such time zone.", "time_zone")
    User.objects.filter(pk=user_id).update(theme=theme, density=density, time_zone=time_zone)
