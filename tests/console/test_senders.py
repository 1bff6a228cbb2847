"""Blocked and trusted senders of everybody and of domains, in the console."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Domain, User
from mailservers.models import SenderRule
from tests.console.conftest import WEB

pytestmark = WEB


def add(browser: Client, pattern: str, kind: str, domain: object = 0) -> str:
    fields = {"pattern": pattern, "kind": kind, "domain": domain}
    return browser.post(reverse("console:senders"), fields, follow=True).content.decode()


def rules() -> list[tuple[str, bool, str | None]]:
    return list(SenderRule.objects.order_by("pk").values_list("pattern", "is_block", "domain__name"))


def test_add_find_and_remove(browser: Client, boss: User) -> None:
    harbour = Domain.objects.get(name="harbour.test")
    assert "spam.test is blocked" in add(browser, "Spam.test", "block")
    assert "192.0.2.0/24 is trusted" in add(browser, "192.0.2.9/24", "trust", harbour.pk)
    assert rules() == [("spam.test", True, None), ("192.0.2.0/24", False, "harbour.test")]
    page = browser.get(reverse("console:senders"), {"q": "SPAM"}).content.decode()
    assert "spam.test" in page and "192.0.2.0" not in page
    page = browser.get(reverse("console:senders"), {"domain": harbour.pk}).content.decode()
    assert "192.0.2.0/24" in page and "spam.test" not in page
    assert f"domain={harbour.pk}" in browser.get(reverse("console:domain", args=[harbour.pk])).content.decode()
    forget = reverse("console:sender-forget")
    browser.post(forget, {"pattern": "spam.test", "domain": harbour.pk})  # not that domain's
    browser.post(forget, {"pattern": "192.0.2.0/24", "domain": harbour.pk})
    assert rules() == [("spam.test", True, None)]
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "subject", "detail")) == [
        ("sender.block", "spam.test", {"whose": "everybody"}),
        ("sender.trust", "192.0.2.0/24", {"whose": "harbour.test"}),
        ("sender.forget", "192.0.2.0/24", {"whose": "harbour.test"}),
    ]


def test_mistakes_are_told_beside_the_field(browser: Client) -> None:
    assert "is no address, domain or network" in add(browser, "a b", "block")
    assert "Select a valid choice" in add(browser, "a.test", "maybe")
    assert "Select a valid choice" in add(browser, "a.test", "block", 999)
    assert rules() == []


def test_a_users_own_rules_are_theirs(browser: Client, anna: User) -> None:
    SenderRule.objects.create(user=anna, pattern="private.test", is_block=True, created_at=timezone.now())
    assert "private.test" not in browser.get(reverse("console:senders")).content.decode()


def test_not_for_others(anna: User) -> None:
    client = Client()
    client.force_login(anna, "accounts.auth.backend.OneDoorBackend")
    assert client.get(reverse("console:senders")).status_code == 404
    assert (
        client.post(reverse("console:senders"), {"pattern": "a.test", "kind": "block", "domain": 0}).status_code == 404
    )
    assert rules() == []
