"""`--json` of the listing commands: what the REST API says, for programs."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import User
from mailservers.models import SenderRule, SendingRoute
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Delivery, QueueEntry, deliver


def listed(*words: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command(*words, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_users_and_domains(anna: User, ben: User) -> None:
    assert [one["login"] for one in listed("users", "list")] == ["anna@harbour.test", "ben@harbour.test"]
    assert listed("users", "list", "elsewhere.test") == []
    [domain] = listed("domains", "list")
    assert (domain["name"], domain["is_active"], domain["quota_octets"]) == ("harbour.test", True, 0)


def test_what_waits(anna: User) -> None:
    entry = QueueEntry("trace1", anna.login, ("x@far.test",), timezone.now() + timedelta(days=5), anna.pk)
    store.call_sync(deliver, Delivery(prepare(b"Subject: Boats\r\n\r\nhello\r\n"), queue=entry))
    [row] = listed("queue", "list")
    assert (row["recipient"], row["sender"], row["subject"], row["state"]) == (
        "x@far.test", "anna@harbour.test", "Boats", "queued",
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_routes_never_tell_a_password(mail: None) -> None:
    SendingRoute.objects.create(recipient="far.test", host="relay.test", port=587, login="us", password=b"sealed")
    [route] = listed("routes", "list")
    assert route["has_password"] is True and "sealed" not in json.dumps(route)
    SenderRule.objects.create(pattern="spam.test", is_block=True, created_at=timezone.now())
    [rule] = listed("senders", "list")
    assert (rule["pattern"], rule["is_block"], rule["domain"]) == ("spam.test", True, None)
