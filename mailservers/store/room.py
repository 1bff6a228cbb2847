"""Room on the disk: new mail is refused while some is still left, so that deleting, which writes too, always works."""

from __future__ import annotations

import os
import time

from django.conf import settings

from mailservers.store.errors import StoreFull

LOOK_EVERY_S = 0.25
_looked_at = float("-inf")
_free = 0  # octets, when last looked


def require_room(octets: int) -> None:
    """Raises `StoreFull` when a new message of this size would leave less than DISK_RESERVE free."""
    global _looked_at, _free
    now = time.monotonic()
    if now - _looked_at > LOOK_EVERY_S:
        disk = os.statvfs(settings.DATA_DIR)
        _looked_at, _free = now, disk.f_bavail * disk.f_frsize
    if _free - octets < settings.DISK_RESERVE:
        raise StoreFull("there is no room for more mail; please try again later")
