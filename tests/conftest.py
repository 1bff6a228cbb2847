"""What every test area shares: people with mailboxes, and a store that is proved sound after each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from accounts.auth.door import throttle
from accounts.models import Domain, User
from mailservers.delivery import routing
from mailservers.models import Mailbox
from mailservers.store.engine import store
from mailservers.store.mailboxes import create_standard_mailboxes
from mailservers.store.searching import fulltext
from mailservers.store.soundness import find_faults
from mailservers.store.tallies import tallies

# Speed is shown in benchmarks, never in tests: a starved machine must not fail a property.
hypothesis_settings.register_profile(
    "postroom",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("postroom")

PASSWORD = "correct horse 9"
_HASH: list[str] = []


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """PostgreSQL does not drop a database that threads are connected to; its server goes with the run."""
    return settings.DATABASES["default"]["ENGINE"].endswith("postgresql")


@pytest.fixture
def mail(transactional_db: None) -> Iterator[None]:
    """A clean database that the store's threads see; afterwards its invariants must hold."""
    shutil.rmtree(settings.MESSAGE_FILES_DIR, ignore_errors=True)  # the database is emptied, not the files
    throttle.clear()
    routing.forget()
    tallies.clear()
    fulltext.clear()  # no model: the database is emptied without it
    yield
    faults = list(find_faults())
    assert not faults, faults


@pytest.fixture
def any_database(mail: None, django_db_blocker) -> Iterator[None]:
    """Databases beyond those of the settings may be opened (a snapshot's file)."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def make_user(mail: None) -> Callable[..., User]:
    """make_user("anna@harbour.test", role="user") -> a user with the standard mailboxes and PASSWORD."""

    def make(login: str, **fields: object) -> User:
        if not _HASH:
            _HASH.append(make_password(PASSWORD))
        domain, _ = Domain.objects.get_or_create(name=login.rpartition("@")[2])
        user = User.objects.create(login=login, domain=domain, password=_HASH[0], **fields)
        store.call_sync(create_standard_mailboxes, [user.pk])
        return user

    return make


@pytest.fixture
def anna(make_user: Callable[..., User]) -> User:
    return make_user("anna@harbour.test", name="Anna Holm")


@pytest.fixture
def ben(make_user: Callable[..., User]) -> User:
    return make_user("ben@harbour.test", name="Ben Okafor")


def mailbox_id(user: User, name: str = "INBOX") -> int:
    return Mailbox.objects.get(owner=user, name=name).pk
