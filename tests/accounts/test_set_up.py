"""The set-up link: works once, only while there is no owner, and says what to mend."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import AuditEntry, Domain, Role, User
from accounts.services.set_up import is_valid, new_set_up_token
from mailservers.store.engine import store
from tests.console.conftest import WEB

pytestmark = [WEB, pytest.mark.usefixtures("mail")]
GOOD = {"login": "Anna@Harbour.test", "name": "Anna", "password": "correct horse 9"}


def test_from_nothing_to_an_owner_who_is_signed_in() -> None:
    path = f"/set-up/{store.call_sync(new_set_up_token)}/"
    client = Client()
    assert client.get(path).status_code == 200
    answer = client.post(path, GOOD)
    assert (answer.status_code, answer["Location"]) == (302, "/console/go-live/")
    assert client.get("/console/go-live/").status_code == 200
    user = User.objects.get()
    assert (user.login, user.role, user.check_password("correct horse 9")) == ("anna@harbour.test", Role.ADMIN, True)
    assert Domain.objects.get().name == "harbour.test"
    assert {entry.action for entry in AuditEntry.objects.all()} == {"domain.create", "user.create"}
    for again in (Client().get(path), Client().post(path, {**GOOD, "login": "eve@harbour.test"})):
        assert again.status_code == 404
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "short"}, "too short"),
        ({"login": "anna"}, "has an “@”"),
        ({"login": "anna@no such"}, "domain"),
        ({"login": ""}, "required"),
    ],
)
def test_what_is_mended(change: dict[str, str], words: str) -> None:
    path = f"/set-up/{store.call_sync(new_set_up_token)}/"
    answer = Client().post(path, {**GOOD, **change})
    assert (answer.status_code, words in answer.content.decode()) == (422, True), answer.content.decode()
    assert not User.objects.exists() and not Domain.objects.exists()


def test_only_the_newest_link_and_only_while_there_is_no_owner(make_user: Callable[..., User]) -> None:
    old, new = (store.call_sync(new_set_up_token) for _ in range(2))
    assert (is_valid(old), is_valid(new), is_valid(""), is_valid("x" * 43)) == (False, True, False, False)
    make_user("ben@harbour.test")
    assert is_valid(new)
    make_user("anna@harbour.test", role=Role.ADMIN)
    assert not is_valid(new) and Client().get(f"/set-up/{new}/").status_code == 404


def test_a_domain_that_is_there_is_taken(make_user: Callable[..., User]) -> None:
    make_user("ben@harbour.test")
    token = store.call_sync(new_set_up_token)
    assert Client().post(f"/set-up/{token}/", GOOD).status_code == 302
    assert Domain.objects.count() == 1
