"""`ServerValue`: what the installation remembers about itself. Store operations, and reads."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts.models import ServerValue
from mailservers.store.transaction import Transaction


def get_value(name: str) -> Any:
    """None where there is none."""
    return ServerValue.objects.filter(pk=name).values_list("value", flat=True).first()


def set_value(tx: Transaction, name: str, value: Any) -> None:
    ServerValue.objects.update_or_create(pk=name, defaults={"value": value})


def forget_value(tx: Transaction, name: str) -> None:
    ServerValue.objects.filter(pk=name).delete()


def take_lease(tx: Transaction, name: str, seconds: int) -> bool:
    """True for one process at a time; a lease that is not given back ends by itself."""
    now = timezone.now().timestamp()
    ServerValue.objects.get_or_create(pk=name, defaults={"value": 0})
    row = ServerValue.objects.select_for_update().get(pk=name)
    if row.value > now:
        return False
    row.value = now + seconds
    row.save(update_fields=["value"])
    return True
