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
    row = DkimKey.objects.get(domain=harbour)
    key = keys.load_private_key(row)
    assert key.key_size == 2048
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(row.public_key) == public


def test_private_key_is_not_readable_in_the_database(harbour: Domain, settings) -> None:
    row = DkimKey.objects.get(domain=harbour)
    with pytest.raises(ValueError):
        serialization.load_der_private_key(bytes(row.private_key), None)
    settings.SECRET_KEY = "another installation's"
    with pytest.raises(keys.KeyUnreadable):
        keys.load_private_key(row)


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_damaged_rows(harbour: Domain, damage: bytes | None) -> None:
    row = DkimKey.objects.get(domain=harbour)
    row.private_key = damage if damage is not None else bytes(row.private_key)[:-1] + b"\0"
    with pytest.raises(keys.KeyUnreadable):
        keys.load_private_key(row)


def test_dns_record(harbour: Domain) -> None:
    row = DkimKey.objects.get(domain=harbour)
    record = keys.dns_record(row)
    assert record.startswith("test1._domainkey.harbour.test. IN TXT ( ")
    strings = re.findall(r'"([^"]*)"', record)
    assert all(len(text) <= 255 for text in strings)
    assert "".join(strings) == keys.record_value(row) == f"v=DKIM1; k=rsa; p={row.public_key}"


def test_names_are_a_labels(mail: None, key_pair: keys.KeyPair) -> None:
    domain = Domain.objects.create(name="bücher.test")
    store.call_sync(keys.make_dkim_key, domain.pk, key_pair)
    assert keys.record_name(DkimKey.objects.select_related("domain").get()) == "test1._domainkey.xn--bcher-kva.test"


def test_a_new_key_retires_the_old(harbour: Domain, key_pair: keys.KeyPair) -> None:
    store.call_sync(keys.make_dkim_key, harbour.pk, keys.KeyPair("test2", key_pair.private_key, key_pair.public_key))
    assert list(DkimKey.objects.order_by("pk").values_list("selector", "is_active")) == [
        ("test1", False),
        ("test2", True),
    ]
