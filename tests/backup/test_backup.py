"""Backups: whole though mail comes and goes meanwhile, proved by digests, and restored in every way."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import Domain, User
from accounts.services import remove_user
from mailservers.backup.archive import BackupError, blob_path, named_blobs, open_database, read_blob_list
from mailservers.backup.creating import create, verify
from mailservers.backup.restoring import restore_all, restore_message, restore_user
from mailservers.backup.rows import tables
from mailservers.models import Mailbox, MailboxMessage, MessageData, QueuedRecipient, UidValidity
from mailservers.store.bodies import file_path
from mailservers.store.content import prepare, read_message
from mailservers.store.engine import store
from mailservers.store.flags import FlagChange, store_flags
from mailservers.store.mailboxes import create_mailbox
from mailservers.store.placing import Append, Delivery, Placement, QueueEntry, append, deliver
from mailservers.store.removing import expunge
from tests.conftest import mailbox_id

SQLITE = pytest.mark.skipif(connection.vendor != "sqlite", reason="the new installation is a file of SQLite's")
pytestmark = pytest.mark.usefixtures("any_database")


def small(n: int) -> bytes:
    return f"Message-ID: <small-{n}@a.test>\r\nSubject: small {n}\r\n\r\nText {n}\r\n".encode()


def large(n: int) -> bytes:
    return f"Message-ID: <large-{n}@a.test>\r\n\r\n".encode() + random.Random(n).randbytes(100_000)


def put(user: User, *raws: bytes, name: str = "INBOX", flags: int = 0) -> None:
    store.call_sync(append, Append(user.pk, mailbox_id(user, name), [(prepare(raw), flags, (), None) for raw in raws]))


def contents(user: User, name: str = "INBOX") -> list[bytes]:
    places = MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name=name).order_by("uid")
    return [read_message(pk) or b"" for pk in places.values_list("message_id", flat=True)]


@pytest.fixture
def backup(anna: User, ben: User, tmp_path: Path) -> Path:
    put(anna, small(1), large(1), small(2))
    put(anna, large(2), name="Archive", flags=1)
    put(ben, small(1), small(3))
    create(tmp_path / "backup")
    return tmp_path / "backup"


def test_a_backup_is_whole(backup: Path) -> None:
    assert list(verify(backup)) == []
    assert {path.name for path in backup.iterdir()} == {
        "manifest.json", "database.sqlite3", "blobs.jsonl", "blobs", "secret.key",
    }  # fmt: skip
    assert (backup / "secret.key").stat().st_mode & 0o077 == 0 and backup.stat().st_mode & 0o077 == 0
    assert len(read_blob_list(backup)) == 2
    with pytest.raises(BackupError, match="there already"):
        create(backup)


def test_the_next_one_takes_unchanged_files_from_the_earlier(anna: User, backup: Path, tmp_path: Path) -> None:
    put(anna, large(3))
    created = create(tmp_path / "next", backup)
    assert (created.blobs, created.linked) == (3, 2) and list(verify(tmp_path / "next")) == []
    name = next(iter(read_blob_list(backup)))
    assert blob_path(backup, name).samefile(blob_path(tmp_path / "next", name))


@pytest.mark.parametrize("keep_days", [0, 14])
def test_while_mail_comes_and_goes(anna: User, tmp_path: Path, settings, keep_days: int) -> None:
    """Large bodies are written and given up as fast as they can be; each backup is whole for all that."""
    settings.UNDELETE_DAYS = keep_days
    inbox, stop = mailbox_id(anna), threading.Event()

    def churn() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            item = Append(anna.pk, inbox, [(prepare(raw), 0, (), None) for raw in (large(n), small(n))])
            placed = store.call_sync(append, item)
            store.call_sync(expunge, anna.pk, inbox, [placed[0].uid - 4], deleted_only=False)

    put(anna, *[large(1000 + n) for n in range(20)])
    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for n in range(3):
            create(tmp_path / str(n), tmp_path / str(n - 1) if n else None)
    finally:
        stop.set()
        thread.join()
    for n in range(3):
        assert list(verify(tmp_path / str(n))) == []
        assert named_blobs(open_database(tmp_path / str(n))) == read_blob_list(tmp_path / str(n)).keys()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: flip(next((d / "blobs").glob("*/*"))), "damaged"),
        (lambda d: next((d / "blobs").glob("*/*")).unlink(), "is missing"),
        (lambda d: flip(d / "database.sqlite3"), "database.sqlite3 is damaged"),
        (lambda d: (d / "blobs.jsonl").write_text(""), "blobs.jsonl is damaged"),
    ],
)
def test_damage_is_named(backup: Path, damage, words: str) -> None:
    damage(backup)
    faults = list(verify(backup))
    assert any(words in fault for fault in faults), faults
    with pytest.raises(CommandError, match="faults"):
        call_command("backup", "verify", str(backup), stderr=StringIO())


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_an_unfinished_backup_is_none(tmp_path: Path, mail: None) -> None:
    (tmp_path / "x.unfinished").mkdir()
    for way in (lambda: list(verify(tmp_path / "x")), lambda: restore_all(tmp_path / "x", tmp_path / "new")):
        with pytest.raises(BackupError, match="never finished"):
            way()
    create(tmp_path / "x")  # an earlier try does not stand in the way
    assert list(verify(tmp_path / "x")) == []


@SQLITE
def test_onto_an_empty_host(anna: User, backup: Path, tmp_path: Path) -> None:
    entry = QueueEntry("t", "a@harbour.test", ("x@far.test",), MailboxMessage.objects.all()[0].internal_date)
    store.call_sync(deliver, Delivery(prepare(small(9)), (Placement(mailbox_id(anna)),), entry))
    create(tmp_path / "second", backup)
    new = tmp_path / "new"
    assert restore_all(tmp_path / "second", new) == 2
    database = sqlite3.connect(new / "postroom.sqlite3")
    validities = {row[0] for row in database.execute("SELECT uid_validity FROM mailservers_mailbox")}
    assert min(validities) > max(Mailbox.objects.values_list("uid_validity", flat=True))
    assert database.execute("SELECT state FROM mailservers_queuedrecipient").fetchall() == [("held",)]
    assert QueuedRecipient.objects.get().state == "queued"  # here, nothing has changed
    assert (new / "secret.key").read_text() == configured.SECRET_KEY
    with pytest.raises(BackupError, match="not empty"):
        restore_all(backup, new)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="the rows go into the configured database")
def test_into_an_empty_postgresql(anna: User, ben: User, backup: Path, tmp_path: Path) -> None:
    entry = QueueEntry("t", "a@harbour.test", ("x@far.test",), MailboxMessage.objects.all()[0].internal_date)
    store.call_sync(deliver, Delivery(prepare(small(9)), (Placement(mailbox_id(anna)),), entry))
    store.call_sync(expunge, anna.pk, mailbox_id(anna), [1], deleted_only=False)
    create(tmp_path / "second", backup)
    with pytest.raises(BackupError, match="has users"):
        restore_all(tmp_path / "second", tmp_path / "no")
    validity = max(Mailbox.objects.values_list("uid_validity", flat=True))
    before = {model: list(model.objects.order_by("pk").values_list()) for model in tables()}
    call_command("flush", verbosity=0, interactive=False)
    restore_all(tmp_path / "second", tmp_path / "new")
    for model, rows in before.items():
        if model not in (Mailbox, UidValidity, QueuedRecipient):
            assert list(model.objects.order_by("pk").values_list()) == rows, model
    assert min(Mailbox.objects.values_list("uid_validity", flat=True)) > validity
    assert QueuedRecipient.objects.get().state == "held"
    for path in (tmp_path / "new" / "messages").glob("*/*"):
        file_path(path.name).parent.mkdir(parents=True, exist_ok=True)
        path.replace(file_path(path.name))
    put(User.objects.get(login=ben.login), small(77))  # the next ids are new ones


@SQLITE
@pytest.mark.slow
def test_the_command_restores_a_sound_installation(backup: Path, tmp_path: Path) -> None:
    def manage(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *words, "--data-dir", str(tmp_path / "new")]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("POSTROOM_", "DJANGO_"))}
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    done = manage("backup", "restore", str(backup))
    assert done.returncode == 0 and "is held" in done.stdout, done.stderr
    done = manage("check", "--deep")
    assert done.returncode == 0 and "5 messages in 6 places" in done.stdout, done.stderr
    done = manage("backup", "restore", str(backup))
    assert done.returncode == 1 and "not empty" in done.stderr


def test_one_user_into_the_running_installation(anna: User, ben: User, backup: Path) -> None:
    store.call_sync(expunge, anna.pk, mailbox_id(anna), [1, 2], deleted_only=False)
    put(anna, small(7))
    out = StringIO()
    call_command("backup", "restore", str(backup), "--user", "Anna@harbour.test", stdout=out)
    assert "Restored 2 messages; 2 were there already." in out.getvalue()
    assert sorted(contents(anna)) == sorted([small(1), small(2), small(7), large(1)])
    assert restore_user(backup, anna.login).filed.skipped == 4
    restored = restore_user(backup, anna.login, "Backup of Monday")
    assert restored.filed.added == 4 and contents(anna, "Backup of Monday/Archive") == [large(2)]
    assert len(contents(ben)) == 2


def test_a_user_who_is_gone_is_made_again(anna: User, backup: Path) -> None:
    password = anna.password
    remove_user(anna.pk, actor="tests")
    Domain.objects.filter(name="harbour.test").update(is_active=True)
    restored = restore_user(backup, anna.login)
    again = User.objects.get(login=anna.login)
    assert restored.made == [anna.login] and again.password == password
    place = MailboxMessage.objects.get(mailbox__owner=again, mailbox__name="Archive")
    assert place.flags == 1 and contents(again) == [small(1), large(1), small(2)]


def test_one_message(anna: User, ben: User, backup: Path) -> None:
    for user in (anna, ben):
        store.call_sync(expunge, user.pk, mailbox_id(user), [1, 2, 3], deleted_only=False)
    sha256 = prepare(small(1)).summary.sha256.hex()
    assert restore_message(backup, "<small-1@a.test>", ben.login).filed.added == 1
    assert restore_message(backup, sha256[:12]).filed.added == 1  # Ben has it again
    assert contents(anna) == contents(ben) == [small(1)]
    with pytest.raises(BackupError, match="no such message"):
        restore_message(backup, "<nothing@a.test>")
    with pytest.raises(CommandError, match="no nobody"):
        call_command("backup", "restore", str(backup), "--user", "nobody@harbour.test")


def test_what_cannot_be_restored_is_told(anna: User, backup: Path) -> None:
    store.call_sync(expunge, anna.pk, mailbox_id(anna), [1, 2], deleted_only=False)
    for path in (backup / "blobs").glob("*/*"):
        flip(path)
    assert restore_user(backup, anna.login, "Again").damaged == 2
    with pytest.raises(CommandError, match="2 messages could not be restored"):
        call_command("backup", "restore", str(backup), "--user", anna.login, "--folder", "x", stdout=StringIO())


def test_a_file_that_is_missing_is_told_and_the_rest_is_backed_up(anna: User, tmp_path: Path) -> None:
    put(anna, large(1), large(2))
    name = MessageData.objects.exclude(file="").values_list("file", flat=True)[0]
    path = file_path(name)
    octets = path.read_bytes()
    path.unlink()
    created = create(tmp_path / "backup")
    assert created.missing == [name] and created.blobs == 1
    assert json.loads((tmp_path / "backup" / "manifest.json").read_text())["missing"] == [name]
    path.write_bytes(octets)


def test_marks_and_folders_come_back(anna: User, tmp_path: Path) -> None:
    store.call_sync(create_mailbox, anna.pk, "Projects/Boat")
    put(anna, small(1), name="Projects/Boat")
    box = mailbox_id(anna, "Projects/Boat")
    store.call_sync(store_flags, anna.pk, box, [1], FlagChange.ADD, 4, ["$Label1"])
    before = MailboxMessage.objects.get(mailbox_id=box)
    create(tmp_path / "backup")
    remove_user(anna.pk, actor="tests")
    restore_user(tmp_path / "backup", anna.login)
    after = MailboxMessage.objects.get(mailbox__name="Projects/Boat")
    assert (after.flags, after.keywords, after.internal_date) == (before.flags, before.keywords, before.internal_date)
