"""Browsers of an administrator, a user and a stranger."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import Client

from accounts import keys
from accounts.models import User

WEB = pytest.mark.django_db(transaction=True, databases=tuple(settings.DATABASES))  # sessions lie in "web"
BACKEND = "accounts.auth.backend.OneDoorBackend"


@pytest.fixture(scope="session")
def key_pair() -> keys.KeyPair:
    return keys.generate("test1")


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch, key_pair: keys.KeyPair) -> None:
    monkeypatch.setattr(keys, "generate", lambda selector="": key_pair)


@pytest.fixture
def boss(make_user: Callable[..., User]) -> User:
    return make_user("boss@harbour.test", name="Boss", role="admin")


@pytest.fixture
def browser(boss: User) -> Client:
    """The administrator's, signed in."""
    client = Client()
    client.force_login(boss, BACKEND)
    return client
