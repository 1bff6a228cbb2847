"""The audit record: whole, and how each way of tampering with it shows."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, ServerValue
from accounts.services import audit
from mailservers.store.engine import store
from mailservers.store.transaction import Transaction
from tests.console.conftest import BACKEND, WEB

pytestmark = WEB


def act(tx: Transaction, subject: str) -> None:
    audit.record("boss@harbour.test", "user.update", subject, name=("Ä", None), ids=[1, 2.5], more={1: True})


@pytest.fixture
def some(mail: None) -> list[int]:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: store.call_sync(act, f"user{n}"), range(8)))
    return list(AuditEntry.objects.order_by("pk").values_list("pk", flat=True))


def cut(pk: int) -> None:
    AuditEntry.objects.filter(pk=pk).delete()


WAYS: dict[str, Callable[[list[int]], object]] = {
    "changed": lambda ids: AuditEntry.objects.filter(pk=ids[3]).update(subject="somebody else"),
    "another time": lambda ids: AuditEntry.objects.filter(pk=ids[0]).update(at="2020-01-01T00:00:00Z"),
    "before and after changed": lambda ids: AuditEntry.objects.filter(pk=ids[7]).update(detail={}),
    "taken out": lambda ids: cut(ids[4]),
    "the first taken out": lambda ids: cut(ids[0]),
    "cut off at the end": lambda ids: cut(ids[7]),
    "all of it": lambda ids: AuditEntry.objects.all().delete(),
    "one added": lambda ids: AuditEntry.objects.create(
        at="2026-01-01T00:00:00Z", actor="x", action="y", subject="z", chain="0" * 64
    ),
}


def test_whole(some: list[int]) -> None:
    proof = audit.verify()
    assert (proof.fault, proof.proved, proof.count) == ("", 8, 8)
    assert audit.verify(last=3).proved == 3 and audit.verify(last=8).proved == 8
    call_command("audit", "verify", "--head", proof.head)


@pytest.mark.parametrize("way", WAYS)
def test_tampering_shows(some: list[int], way: str) -> None:
    WAYS[way](some)
    assert audit.verify().fault
    with pytest.raises(CommandError):
        call_command("audit", "verify")


def test_a_chain_made_anew_does_not_have_the_old_head(some: list[int]) -> None:
    head = audit.verify().head
    AuditEntry.objects.all().delete()
    ServerValue.objects.filter(pk=audit.HEAD).delete()
    store.call_sync(act, "user1")
    assert not audit.verify().fault and not audit.verify(known_head=head).has_known_head
    with pytest.raises(CommandError, match="anew"):
        call_command("audit", "verify", "--head", head)


def test_what_is_undone_leaves_no_link(some: list[int]) -> None:
    def fail(tx: Transaction) -> None:
        act(tx, "undone")
        raise ValueError

    with pytest.raises(ValueError):
        store.call_sync(fail)
    store.call_sync(act, "done")
    assert audit.verify().count == 9 and not audit.verify().fault


def test_old_entries_are_chained(some: list[int]) -> None:
    head = audit.verify().head
    AuditEntry.objects.update(chain="")
    ServerValue.objects.filter(pk=audit.HEAD).delete()
    importlib.import_module("accounts.migrations.0016_audit_chain").chain_old_entries(apps, None)
    assert audit.verify().head == head and not audit.verify().fault


def test_the_page_says_so(make_user, some: list[int]) -> None:
    client = Client()
    client.force_login(make_user("boss@harbour.test", role="admin"), BACKEND)
    assert b"Whole: 8 entries" in client.get(reverse("console:audit")).content
    cut(some[2])
    assert b"Tampered with" in client.get(reverse("console:audit")).content
