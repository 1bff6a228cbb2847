"""A quick import hash, wrapped while nobody looks, replaced at the first login."""

from __future__ import annotations

import asyncio

import pytest
from django.contrib.auth.hashers import check_password, make_password

from accounts.auth.door import AuthenticationFailed, authenticate, check
from accounts.auth.hashers import ArgonOverImportHasher
from accounts.auth.strengthen import Strengthening, replace_hash, strengthen, weak_hashes
from accounts.models import User
from mailservers.store.engine import store

PASSWORD = "imported päßword"


@pytest.fixture
def imported(anna: User) -> User:
    User.objects.filter(pk=anna.pk).update(password=make_password(PASSWORD, hasher="import_pbkdf2"))
    anna.refresh_from_db()
    return anna


def sign_in(user: User, password: str = PASSWORD) -> None:
    check(user.login, password, address="192.0.2.1", service="test")


def algorithm(user: User) -> str:
    return User.objects.get(pk=user.pk).password.split("$")[0]


def test_wrapping_keeps_the_password() -> None:
    quick = make_password(PASSWORD, hasher="import_pbkdf2")
    wrapped = ArgonOverImportHasher().wrap(quick)
    assert wrapped.startswith("argon2_import$")
    assert quick.rsplit("$", 1)[1] not in wrapped
    assert check_password(PASSWORD, wrapped)
    assert not check_password("another", wrapped)
    assert not check_password("", wrapped)


def test_login_replaces_an_import_hash(imported: User) -> None:
    with pytest.raises(AuthenticationFailed):
        sign_in(imported, "wrong")
    assert algorithm(imported) == "import_pbkdf2"
    sign_in(imported)
    assert algorithm(imported) == "argon2"
    sign_in(imported)


async def test_wrapped_then_login(imported: User) -> None:
    assert await store.read(weak_hashes, 10) == [(imported.pk, imported.password)]
    assert await strengthen(imported.pk, imported.password)
    assert await asyncio.to_thread(algorithm, imported) == "argon2_import"
    assert await store.read(weak_hashes, 10) == []
    await authenticate(imported.login, PASSWORD, address="192.0.2.1", service="test")
    assert await asyncio.to_thread(algorithm, imported) == "argon2"


async def test_a_password_changed_meanwhile_is_left_alone(imported: User) -> None:
    assert await store.call(replace_hash, imported.pk, imported.password, "newer")
    assert not await strengthen(imported.pk, imported.password)
    assert (await asyncio.to_thread(User.objects.get, pk=imported.pk)).password == "newer"


async def test_the_job_works_and_stops(imported: User, ben: User) -> None:
    job = Strengthening(pause_s=0.01, look_again_s=0.01)
    await job.start()
    try:
        async with asyncio.timeout(20):
            while await store.read(weak_hashes, 1):  # noqa: ASYNC110 (the job tells nobody)
                await asyncio.sleep(0.02)
    finally:
        await job.stop()
    assert await asyncio.to_thread(algorithm, imported) == "argon2_import"
    assert await asyncio.to_thread(algorithm, ben) == "argon2"
    await job.stop()
