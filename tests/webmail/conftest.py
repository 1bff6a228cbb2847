"""Signed-in browsers without a browser, and messages put straight into mailboxes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from mailservers.models import MailboxMessage
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Append, append
from tests.conftest import mailbox_id

WEB = pytest.mark.django_db(transaction=True, databases=tuple(settings.DATABASES))  # sessions lie in "web"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
Put = Callable[..., MailboxMessage]


def letter(subject: str = "Hello", text: str = "Hi there\r\n", **fields: str) -> bytes:
    """A message; more header fields as keywords (`reply_to="…"`), `html="…"` for an HTML message."""
    html = fields.pop("html", None)
    values = {"from": "Carla <carla@far.test>", "to": "anna@harbour.test", **fields}
    header = "".join(f"{name.replace('_', '-').title()}: {value}\r\n" for name, value in values.items())
    kind = "text/plain" if html is None else "text/html"
    return f"{header}Subject: {subject}\r\nContent-Type: {kind}; charset=utf-8\r\n\r\n{html or text}".encode()


@pytest.fixture
def put(mail: None) -> Put:
    """put(user, raw, "INBOX", flags=0, minutes=0) -> the place."""

    def do(user: User, raw: bytes, name: str = "INBOX", *, flags: int = 0, minutes: int = 0) -> MailboxMessage:
        box = mailbox_id(user, name)
        date = NOON + timedelta(minutes=minutes)
        [placed] = store.call_sync(append, Append(user.pk, box, [(prepare(raw), flags, (), date)]))
        return MailboxMessage.objects.get(mailbox_id=box, uid=placed.uid)

    return do


def signed_in(user: User, **options: object) -> Client:
    client = Client(**options)
    client.force_login(user, backend="accounts.auth.backend.OneDoorBackend")
    return client


@pytest.fixture
def browser(anna: User) -> Client:
    """Anna's."""
    return signed_in(anna)


@pytest.fixture
def stranger(ben: User) -> Client:
    """Ben's."""
    return signed_in(ben)


HTMX = {"HTTP_HX_REQUEST": "true"}
