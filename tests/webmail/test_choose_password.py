"""Links with which somebody chooses a password: an invitation, or a new one for whoever lost theirs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.auth.door import check
from accounts.models import AuditEntry, Domain, OneTimeLink, ScramKeys, User
from accounts.services import generate_password
from accounts.sign_in.tokens import make_one_time_link, make_password_link, redeem_with_password
from tests.conftest import PASSWORD
from tests.console.conftest import BACKEND, WEB

pytestmark = WEB
NEW = "seven grey herons"


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_the_link_sets_the_password_once(anna: User) -> None:
    path, client = make_password_link(anna.pk), Client()
    assert b"Choose your password" in client.get(path).content and OneTimeLink.objects.exists(), "looking uses nothing"
    answer = client.post(path, {"password": "short"})
    assert answer.status_code == 422 and b"at least 10" in answer.content and not is_in(client)
    assert client.post(path, {"password": NEW}).status_code == 302 and is_in(client)
    check(anna.login, NEW, address="192.0.2.1", service="imap")
    assert ScramKeys.objects.filter(user=anna, credential=None).exists()
    for again in (Client().get(path), Client().post(path, {"password": "another good one"})):
        assert again.status_code == 404
    check(anna.login, NEW, address="192.0.2.1", service="imap")
    assert AuditEntry.objects.filter(actor=anna.login, action="user.password").count() == 1


def test_each_kind_of_link_has_its_own_address(anna: User) -> None:
    sign_in, choose = make_one_time_link(anna.pk), make_password_link(anna.pk)
    for path, view in ((sign_in, "choose-password"), (choose, "sign-in-link")):
        other = reverse(view, args=[path.rstrip("/").rpartition("/")[2]])
        client = Client()
        assert client.get(other).status_code == 404
        assert client.post(other, {"password": NEW}).status_code == 404 and not is_in(client)
    check(anna.login, PASSWORD, address="192.0.2.1", service="imap")


def test_links_that_are_worth_nothing(anna: User) -> None:
    path = make_password_link(anna.pk)
    User.objects.filter(pk=anna.pk).update(is_active=False)
    assert Client().post(path, {"password": NEW}).status_code == 404
    User.objects.filter(pk=anna.pk).update(is_active=True)
    Domain.objects.update(is_active=False)
    assert Client().post(path, {"password": NEW}).status_code == 404
    Domain.objects.update(is_active=True)
    OneTimeLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Client().post(path, {"password": NEW}).status_code == 404
    assert Client().get(reverse("choose-password", args=["x" * 300])).status_code == 404
    check(anna.login, PASSWORD, address="192.0.2.1", service="imap")


def test_two_at_once_and_one_wins(anna: User) -> None:
    token = make_password_link(anna.pk).rstrip("/").rpartition("/")[2]
    passwords = [generate_password() for _ in range(4)]
    winners: list[str] = []

    def redeem(password: str) -> None:
        if redeem_with_password(token, password) is not None:
            winners.append(password)

    threads = [threading.Thread(target=redeem, args=[password]) for password in passwords]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = winners
    check(anna.login, winner, address="192.0.2.1", service="imap")


def test_a_second_step_is_still_asked_for(anna: User) -> None:
    User.objects.filter(pk=anna.pk).update(has_second_factor=True)
    client = Client()
    answer = client.post(make_password_link(anna.pk), {"password": NEW})
    assert answer["Location"] == reverse("second-step") and not is_in(client)
    assert not ScramKeys.objects.filter(user=anna, credential=None).exists(), "mail programs need app passwords"


def test_the_console_invites(make_user: Callable[..., User]) -> None:
    boss, client = make_user("boss@harbour.test", role="admin"), Client()
    client.force_login(boss, BACKEND)
    new = {"login": "eve@harbour.test", "role": "user", "invites": "on"}
    page = client.post(reverse("console:user-new"), new).content.decode()
    link = page.partition('<pre class="code-block mono" id="secret"')[2].partition(">")[2].partition("<")[0]
    eve = User.objects.get(login="eve@harbour.test")
    assert not eve.has_usable_password()
    assert Client().post(link, {"password": NEW}).status_code == 302
    check(eve.login, NEW, address="192.0.2.1", service="imap")
    page = client.post(reverse("console:user-invite", args=[eve.pk])).content.decode()
    assert "/sign-in/password/" in page
    typed = {**new, "login": "kim@harbour.test", "password": "a good long password"}
    assert "/sign-in/password/" not in client.post(reverse("console:user-new"), typed).content.decode()
    check("kim@harbour.test", "a good long password", address="192.0.2.1", service="imap")
    assert AuditEntry.objects.filter(action="user.invite", actor=boss.login).count() == 2


def test_by_command(anna: User, tmp_path: Path) -> None:
    out = StringIO()
    call_command("users", "invite", anna.login, stdout=out, stderr=StringIO())
    call_command("users", "add", "eve@harbour.test", "--invite", stdout=out)
    file = tmp_path / "new.csv"
    file.write_text("login,name\nkim@harbour.test,Kim\nlee@harbour.test,Lee\n")
    with pytest.raises(CommandError):
        call_command("users", "import", str(file), stdout=StringIO(), stderr=StringIO())  # no passwords, no --invite
    said = StringIO()
    call_command("users", "import", str(file), "--invite", "--dry-run", stdout=said)
    assert "2 users would be imported" in said.getvalue() and not User.objects.filter(login="kim@harbour.test").exists()
    call_command("users", "import", str(file), "--invite", stdout=out)
    links = [word for word in out.getvalue().split() if "/sign-in/password/" in word]
    assert len(links) == 4, json.dumps(out.getvalue())
    for link in links:
        path = link[link.index("/sign-in/") :]
        assert Client().post(path, {"password": NEW}).status_code == 302
    for login in ("anna", "eve", "kim", "lee"):
        check(f"{login}@harbour.test", NEW, address="192.0.2.1", service="imap")


def test_a_dry_run_lists_what_is_wrong(anna: User, tmp_path: Path) -> None:
    file, errors = tmp_path / "new.csv", StringIO()
    file.write_text("login,password\nanna@harbour.test,x\neve@nowhere.test,y\nlee@harbour.test,z\n")
    with pytest.raises(CommandError):
        call_command("users", "import", str(file), "--dry-run", stdout=StringIO(), stderr=errors)
    assert "line 2: " in errors.getvalue() and "line 3: " in errors.getvalue() and "line 4" not in errors.getvalue()
    assert User.objects.count() == 1
