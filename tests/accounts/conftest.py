"""Domains and administrators for the account services."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts import keys
from accounts.models import AuditEntry, Domain, User
from accounts.services import create_domain
from mailservers.store.engine import store

ACTOR = "tests"


@pytest.fixture(scope="session")
def key_pair() -> keys.KeyPair:
    """One RSA key for all tests: making one takes its time."""
    return keys.generate("test1")


@pytest.fixture
def harbour(mail: None, key_pair: keys.KeyPair) -> Domain:
    return Domain.objects.get(pk=store.call_sync(create_domain, "harbour.test", key_pair, actor=ACTOR))


@pytest.fixture
def boss(make_user: Callable[..., User]) -> User:
    return make_user("boss@harbour.test", name="Boss", role="admin")


def last_audit() -> tuple[str, str, str]:
    entry = AuditEntry.objects.order_by("-pk").first()
    assert entry is not None
    return entry.actor, entry.action, entry.subject
