"""`manage.py queue`."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import AuditEntry, User
from mailservers.models import QueuedRecipient
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Delivery, QueueEntry, deliver


def run(*words: str) -> str:
    out = StringIO()
    call_command("queue", *words, stdout=out)
    return out.getvalue()


@pytest.fixture
def waiting(anna: User) -> list[str]:
    """Two recipients of a message; their numbers."""
    entry = QueueEntry("trace1", anna.login, ("x@far.test", "y@near.test"), timezone.now() + timedelta(days=5), anna.pk)
    store.call_sync(deliver, Delivery(prepare(b"Subject: Boats\r\n\r\nhello\r\n"), queue=entry))
    return [str(pk) for pk in QueuedRecipient.objects.order_by("pk").values_list("pk", flat=True)]


def states() -> list[str]:
    return list(QueuedRecipient.objects.order_by("pk").values_list("state", flat=True))


def test_list(waiting: list[str]) -> None:
    assert [line.split()[0] for line in run("list").splitlines()] == ["ID", *reversed(waiting), "2"]
    assert run("list", "--ids", "--domain", "near.test").split() == waiting[1:]
    assert run("list", "--ids", "--state", "held").split() == run("list", "--ids", "--older", "1").split() == []


def test_acts(waiting: list[str]) -> None:
    assert run("hold", "--text", "Boats") == "hold: 2 recipients.\n" and states() == ["held", "held"]
    assert "Held by command line" in run("show", waiting[0])
    assert run("release", waiting[0]) == "release: 1 recipient.\n" and states() == ["queued", "held"]
    run("reroute", waiting[0], "--via", "relay.test")
    assert "By way of relay.test:25" in run("show", waiting[0])
    QueuedRecipient.objects.filter(pk=waiting[0]).update(lease_until=timezone.now() + timedelta(minutes=9))
    left = "1 are being tried right now and were left alone"
    assert run("bounce", "--all") == f"bounce: 1 recipient; {left}.\n"
    assert states() == ["queued", "failed"]
    assert set(AuditEntry.objects.values_list("actor", flat=True)) == {"command line"}


def test_refusals(waiting: list[str]) -> None:
    for words in (("remove",), ("show", "999"), ("reroute", waiting[0], "--via", "no host")):
        with pytest.raises(CommandError):
            run(*words)
    assert states() == ["queued", "queued"]
