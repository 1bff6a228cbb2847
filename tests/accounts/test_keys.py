"""DKIM keys: made, encrypted at rest, read back, published."""

from __future__ import annotations

import base64
import re

import pytest
from cryptography.hazmat.primitives import serialization

from accounts import keys
from accounts.models import DkimKey, Domain
from mailservers.store.engine import store


def test_private_key_comes_back_and_matches_the_record(harbour: Domain) -> None:
    row = DkimKey.objects.get(domain=harbour, algorithm=keys.RSA)
    key = keys.load_private_key(row)
    assert key.key_size == 2048
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(row.public_key) == public


def test_private_key_is_not_readable_in_the_database(harbour: Domain, settings) -> None:
    row = DkimKey.objects.get(domain=harbour, algorithm=keys.RSA)
    with pytest.raises(ValueError):
        serialization.load_der_private_key(bytes(row.private_key), None)
    settings.SECRET_KEY = "another installation's"
    with pytest.raises(keys.KeyUnreadable):
        keys.load_private_key(row)


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_damaged_rows(harbour: Domain, damage: bytes | None) -> None:
    row = DkimKey.objects.get(domain=harbour, algorithm=keys.RSA)
    row.private_key = damage if damage is not None else bytes(row.private_key)[:-1] + b"\0"
    with pytest.raises(keys.KeyUnreadable):
        keys.load_private_key(row)


def test_dns_record(harbour: Domain) -> None:
    row = DkimKey.objects.get(domain=harbour, algorithm=keys.RSA)
    record = keys.dns_record(row)
    assert record.startswith("test1._domainkey.harbour.test. IN TXT ( ")
    strings = re.findall(r'"([^"]*)"', record)
    assert all(len(text) <= 255 for text in strings)
    assert "".join(strings) == keys.record_value(row) == f"v=DKIM1; k=rsa; p={row.public_key}"


def test_the_other_key(harbour: Domain) -> None:
    row = DkimKey.objects.get(domain=harbour, algorithm=keys.ED25519)
    key = keys.load_private_key(row)
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    assert keys.record_value(row) == f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"
    assert row.selector == "test1e" and len(raw) == 32


def test_names_are_a_labels(mail: None, key_pair: tuple[keys.KeyPair, ...]) -> None:
    domain = Domain.objects.create(name="bücher.test")
    store.call_sync(keys.make_dkim_keys, domain.pk, key_pair)
    row = DkimKey.objects.select_related("domain").order_by("pk")[0]
    assert keys.record_name(row) == "test1._domainkey.xn--bcher-kva.test"


def states() -> list[tuple[str, bool, bool]]:
    rows = DkimKey.objects.order_by("pk").values_list("selector", "is_active", "retired_at")
    return [(selector, is_active, retired_at is not None) for selector, is_active, retired_at in rows]


def test_new_keys_retire_the_old(harbour: Domain, key_pair: tuple[keys.KeyPair, ...]) -> None:
    store.call_sync(keys.make_dkim_keys, harbour.pk, key_pair)
    assert states() == [
        ("test1", False, True),
        ("test1e", False, True),
        ("test1a", True, False),  # the selector was taken
        ("test1ea", True, False),
    ]


def test_keys_that_wait_for_their_records(harbour: Domain, key_pair: tuple[keys.KeyPair, ...]) -> None:
    first, _ = store.call_sync(keys.make_dkim_keys, harbour.pk, key_pair, is_active=False)
    assert states()[:3] == [("test1", True, False), ("test1e", True, False), ("test1a", False, False)]
    store.call_sync(keys.activate_dkim_key, first)
    assert states()[:3] == [("test1", False, True), ("test1e", True, False), ("test1a", True, False)]
