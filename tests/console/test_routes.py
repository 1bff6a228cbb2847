"""Routes in the console, and by the management command."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from accounts.sealing import unseal
from mailservers.models import SendingRoute
from mailservers.outbound.routes import PASSWORD_PURPOSE
from tests.console.conftest import WEB

pytestmark = WEB

SMARTHOST = {
    "recipient": "", "sender": "Harbour.test", "transport": "smtp", "host": "Smart.example.net", "port": "587",
    "security": "verified", "login": "relay", "password": "open sesame",
}  # fmt: skip


def test_add_change_and_delete(browser: Client) -> None:
    assert "No routes" in browser.get(reverse("console:routes")).content.decode()
    browser.get(reverse("console:route-new"))
    page = browser.post(reverse("console:route-new"), SMARTHOST, follow=True).content.decode()
    assert "smart.example.net:587" in page and "open sesame" not in page
    row = SendingRoute.objects.get()
    assert (row.sender, row.login) == ("harbour.test", "relay")
    assert unseal(bytes(row.password), PASSWORD_PURPOSE) == b"open sesame"
    form = browser.get(reverse("console:route", args=[row.pk])).content.decode()
    assert "empty leaves it as it is" in form and "sesame" not in form
    browser.post(reverse("console:route", args=[row.pk]), {**SMARTHOST, "password": "", "port": "465"})
    row.refresh_from_db()
    assert row.port == 465 and unseal(bytes(row.password), PASSWORD_PURPOSE) == b"open sesame"
    assert "smart.example" in browser.get(reverse("console:routes"), {"q": "SMART"}).content.decode()
    assert "Nothing found" in browser.get(reverse("console:routes"), {"q": "else"}).content.decode()
    browser.post(reverse("console:route-delete", args=[row.pk]))
    assert not SendingRoute.objects.exists()
    entries = list(AuditEntry.objects.order_by("pk").values_list("action", "subject"))
    assert entries == [(f"route.{act}", "from harbour.test") for act in ("create", "update", "delete")]


def test_mistakes_are_told_beside_the_field(browser: Client) -> None:
    new = reverse("console:route-new")
    answer = browser.post(new, {**SMARTHOST, "security": "opportunistic"})
    assert answer.status_code == 422 and "over TLS only" in answer.content.decode()
    assert "The host is missing" in browser.post(new, {**SMARTHOST, "host": ""}).content.decode()
    browser.post(new, SMARTHOST)
    assert "There is a route for from harbour.test already" in browser.post(new, SMARTHOST).content.decode()


def test_not_for_others(anna: User) -> None:
    client = Client()
    client.force_login(anna, "accounts.auth.backend.OneDoorBackend")
    assert client.get(reverse("console:routes")).status_code == 404
    assert client.post(reverse("console:route-new"), SMARTHOST).status_code == 404


def routes(*arguments: str, monkeypatch: pytest.MonkeyPatch | None = None, typed: str = "") -> str:
    out = io.StringIO()
    if monkeypatch is not None:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    call_command("routes", *arguments, stdout=out)
    return out.getvalue()


def test_the_command(mail: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No routes" in routes("list")
    routes("set", "--to", "Gone.test", "--way", "refuse", "--reason", "has left")
    arguments = ("set", "--from", "anna@harbour.test", "--host", "smart.test:587", "--login", "relay")
    routes(*arguments, monkeypatch=monkeypatch, typed="open sesame\n")
    routes("set", "--to", "box.test", "--way", "lmtp", "--host", "[::1]")
    listed = routes("list")
    assert "has left" in listed and "smart.test:587" in listed and "verified" in listed and "::1:24" in listed
    row = SendingRoute.objects.get(sender="anna@harbour.test")
    assert unseal(bytes(row.password), PASSWORD_PURPOSE) == b"open sesame"
    routes("set", "--to", "gone.test", "--way", "discard")
    assert SendingRoute.objects.get(recipient="gone.test").transport == "discard"
    routes("delete", "--to", "gone.test")
    with pytest.raises(CommandError, match="no such route"):
        routes("delete", "--to", "gone.test")
    with pytest.raises(CommandError, match="neither a host name"):
        routes("set", "--to", "x.test", "--host", "a_b!")
