"""Large bodies in S3: what was accepted is there, an outage is a temporary error, nothing is left behind for ever."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from mailservers.backup import restoring
from mailservers.backup.creating import create
from mailservers.backup.restoring import restore_all
from mailservers.models import MailboxMessage, MessageData
from mailservers.store.bodies import bodies, write_body
from mailservers.store.content import read_message
from mailservers.store.deep import fault_of
from mailservers.store.engine import store
from mailservers.store.errors import ContentDamaged, StoreUnavailable
from mailservers.store.removing import expunge
from mailservers.store.soundness import find_faults, left_over_bodies
from mailservers.store.stored import open_stored
from tests.conftest import mailbox_id
from tests.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, s3_server
from tests.store.test_engine import HELLO, put

pytestmark = pytest.mark.slow
LARGE = HELLO + random.Random(7).randbytes(9_000_000)  # more than one part of an upload, more than is read into memory


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as started:
        yield started


@pytest.fixture(autouse=True)
def s3(server: S3Server, settings: Any) -> S3Server:
    for key in server.stored():
        server.client().delete_object(Bucket=BUCKET, Key=key)
    options = {"bucket_name": BUCKET, "endpoint_url": server.url, "region_name": "us-east-1", "location": "bodies",
               "access_key": ACCESS_KEY, "secret_key": SECRET_KEY}  # fmt: skip
    settings.STORAGES = settings.STORAGES | {
        "messages": {"BACKEND": "mailservers.store.s3_bodies.S3Bodies", "OPTIONS": options}
    }
    return server


def message_of(user: User, raw: bytes = LARGE) -> tuple[int, str]:
    put(user, raw)
    pk = MailboxMessage.objects.order_by("-pk").values_list("message_id", flat=True)[0]
    return pk, MessageData.objects.get(pk=pk).file


def test_a_large_body_lies_in_the_bucket_and_goes_with_its_last_place(anna: User, s3: S3Server, settings: Any) -> None:
    settings.UNDELETE_DAYS = 0
    pk, name = message_of(anna)
    assert s3.stored() == [f"bodies/{name}"]
    assert not list(Path(settings.MESSAGE_FILES_DIR).glob("??/*")), "nothing of it is on the disk"
    assert read_message(pk) == LARGE
    opened = open_stored(pk)
    assert opened is not None
    assert hashlib.sha256(b"".join(opened.chunks())).digest() == hashlib.sha256(LARGE).digest()
    assert opened[5_000_000:5_000_010] == LARGE[5_000_000:5_000_010]
    assert list(find_faults()) == [] and fault_of(pk) == "" and left_over_bodies() == []
    store.call_sync(expunge, anna.pk, mailbox_id(anna), [1], deleted_only=False)
    assert s3.stored() == []


def test_an_outage_is_a_temporary_error_and_nothing_is_accepted(anna: User, s3: S3Server) -> None:
    s3.stop()
    try:
        with pytest.raises(StoreUnavailable) as refused:
            put(anna, LARGE)
        assert refused.value.temporary and not MailboxMessage.objects.exists()
        put(anna)  # a small one needs no bucket
    finally:
        s3.start()
    message_of(anna)


def test_what_was_written_and_is_named_by_nobody_is_found(anna: User, s3: S3Server) -> None:
    name = write_body(b"x" * 32, [b"of a transaction that never came"])
    assert left_over_bodies() == [name] and left_over_bodies(older_than_s=60) == []
    bodies().delete(name)
    bodies().delete(name)
    assert s3.stored() == []


def test_a_lost_or_damaged_body_is_named_and_not_served(anna: User, s3: S3Server) -> None:
    pk, name = message_of(anna)
    whole = s3.client().get_object(Bucket=BUCKET, Key=f"bodies/{name}")["Body"].read()
    s3.client().put_object(Bucket=BUCKET, Key=f"bodies/{name}", Body=whole[:-100] + b"x" * 100)
    assert name in fault_of(pk)
    s3.client().delete_object(Bucket=BUCKET, Key=f"bodies/{name}")
    assert [fault for fault in find_faults() if name in fault]
    from mailservers.store.content import reading_content

    with pytest.raises(ContentDamaged), reading_content():
        read_message(pk)
    s3.client().put_object(Bucket=BUCKET, Key=f"bodies/{name}", Body=whole)
    assert read_message(pk) == LARGE


def test_a_backup_has_it(anna: User, tmp_path: Path) -> None:
    _, name = message_of(anna)
    created = create(tmp_path / "backup")
    assert created.missing == []
    (blob,) = [path for path in (tmp_path / "backup").rglob(name)]
    assert blob.stat().st_size > 8_000_000
    assert sqlite3.connect(next((tmp_path / "backup").glob("*.sqlite3"))).execute(
        "SELECT file FROM mailservers_messagedata"
    ).fetchall() == [(name,)]


def test_a_backup_is_restored_into_the_bucket(
    anna: User, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    _, name = message_of(anna)
    create(tmp_path / "backup")
    whole = bodies().read(name).read()
    bodies().delete(name)
    settings.S3_BUCKET = BUCKET
    monkeypatch.setattr(restoring, "_put_file", lambda *_: None)
    monkeypatch.setattr(restoring, "_put_rows", lambda *_: None)
    assert restore_all(tmp_path / "backup", tmp_path / "new") == 1
    assert bodies().read(name).read() == whole
    assert not (tmp_path / "new" / "messages").exists()
