"""Which mail programs sign in: noted in memory at each login, written a few times a minute, so that a login costs no
write. A user sees them, and an administrator (`accounts.security`)."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q
from django.utils import timezone

from accounts.auth.door import Identity
from accounts.models import Credential, Device, User
from mailservers.store.engine import store
from mailservers.store.transaction import Transaction

AGAIN_AFTER_S = 900.0  # one that is there already is written again
MAX_REMEMBERED = 20_000
MAX_CLIENT = 200
MAX_OF_USER = 200  # the oldest go


class Key(NamedTuple):
    user_id: int
    credential_id: int | None
    protocol: str
    client: str


class DeviceBook:
    """One per process; on the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[Key, tuple[str, datetime]] = {}
        self._written: OrderedDict[tuple[Key, str], float] = OrderedDict()

    def note(self, identity: Identity, protocol: str, address: str, client: str = "") -> None:
        """`client`: what the program calls itself."""
        name = "".join(c for c in client if c.isprintable())[:MAX_CLIENT].strip()
        key = Key(identity.user_id, identity.credential_id, protocol, name)
        if time.monotonic() - self._written.get((key, address), -AGAIN_AFTER_S) < AGAIN_AFTER_S:
            return
        self._written[key, address] = time.monotonic()
        if len(self._written) > MAX_REMEMBERED:
            self._written.popitem(last=False)
        self._waiting[key] = (address, timezone.now())

    async def write(self) -> None:
        """Raises a `StoreError`; the next login notes it again."""
        waiting, self._waiting = self._waiting, {}
        if waiting:
            await store.call(write_devices, waiting)

    def clear(self) -> None:
        self._waiting.clear()
        self._written.clear()


devices = DeviceBook()


def write_devices(tx: Transaction, seen: Mapping[Key, tuple[str, datetime]]) -> None:
    """Store operation. Users and credentials that have gone meanwhile are passed over."""
    users = set(User.objects.filter(pk__in={key.user_id for key in seen}).values_list("pk", flat=True))
    wanted = {key.credential_id for key in seen if key.credential_id is not None}
    credentials = set(Credential.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    for key, (address, at) in seen.items():
        if key.user_id not in users or (key.credential_id is not None and key.credential_id not in credentials):
            continue
        mine = Device.objects.filter(user_id=key.user_id)
        same = mine.filter(Q(credential=key.credential_id), protocol=key.protocol, client=key.client)
        if not same.update(address=address, seen_at=at):
            Device.objects.create(**key._asdict(), address=address, first_seen_at=at, seen_at=at)
            old = mine.order_by("-seen_at").values_list("pk", flat=True)[MAX_OF_USER : MAX_OF_USER + 100]
            mine.filter(pk__in=list(old)).delete()
