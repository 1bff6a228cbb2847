"""Out of a backup: a whole installation onto an empty host, or one user's mail, or one message, into the running one.

After a whole restore, what clients have seen since the backup was made is unknown here: UIDs and modseqs would be
given out a second time. So every mailbox gets a new UIDVALIDITY, and clients look anew (RFC 9051 section 2.3.1.1). And
mail that waited to be sent then may have been sent since: it is held in the queue for an administrator to let go,
unless asked otherwise.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from accounts import keys
from accounts.models import Domain, User
from accounts.services import COMMAND_LINE, create_domain, create_user
from mailservers.backup import rows
from mailservers.backup.archive import (
    BLOB_LIST,
    BLOCK,
    DATABASE,
    SECRET,
    BackupError,
    Blob,
    Progress,
    blob_path,
    copy_file,
    digest_of,
    no_progress,
    read_blob_list,
    read_manifest,
    sync_directories,
)
from mailservers.backup.reading import BackedUpPlace, BackupReader
from mailservers.store.bodies import bodies
from mailservers.store.engine import store
from mailservers.transfer.filing import Filed, Filing

_RESTART = (
    "UPDATE mailservers_mailbox SET uid_validity = {validity}",
    "DELETE FROM mailservers_uidvalidity",
    "INSERT INTO mailservers_uidvalidity (id, value) VALUES (1, {validity})",
    "UPDATE mailservers_queuedrecipient SET lease_until = NULL, lease_token = ''",
)
_HOLD = "UPDATE mailservers_queuedrecipient SET state = 'held' WHERE state IN ('queued', 'deferred')"


def restore_all(source: Path, data_dir: Path, *, hold_queue: bool = True, progress: Progress = no_progress) -> int:
    """Build an installation in `data_dir`, which must be empty; how many bodies came with it. With PostgreSQL the rows
    go into the configured database, which must have no users, and with S3 the bodies into the configured bucket."""
    manifest = read_manifest(source)
    for name in (DATABASE, BLOB_LIST):
        if digest_of(source / name) != manifest["sha256"][name]:
            raise BackupError(f"{name} is damaged: its digest is another (`backup verify` shows the rest)")
    _must_be_empty(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    blobs = read_blob_list(source)
    for done, blob in enumerate(blobs.values(), 1):
        _put_body(blob, blob_path(source, blob.name), data_dir / "messages")
        progress(done, len(blobs))
    if (source / SECRET).is_file():
        (data_dir / SECRET).unlink(missing_ok=True)
        copy_file(source / SECRET, data_dir / SECRET)
    if connection.vendor == "sqlite":
        if manifest["database_of"] != "sqlite":
            raise BackupError("this is a backup of PostgreSQL: set POSTROOM_DATABASE_URL to an empty database")
        _put_file(source, data_dir / "postroom.sqlite3", hold_queue)
    else:
        _put_rows(source, hold_queue)
    sync_directories(data_dir)
    return len(blobs)


def _put_body(blob: Blob, source: Path, directory: Path) -> None:
    damaged = BackupError(f"the file {blob.name} is damaged: its digest is another")
    if not settings.S3_BUCKET:
        if copy_file(source, directory / blob.name[:2] / blob.name) != blob:
            raise damaged
    elif digest_of(source) != blob.sha256:
        raise damaged
    else:
        with open(source, "rb") as file:
            bodies().write(blob.name, iter(partial(file.read, BLOCK), b""))


def _must_be_empty(data_dir: Path) -> None:
    """The settings make the configured data directory and its secret on every start: those do not count."""
    there = {path.name for path in data_dir.iterdir()} if data_dir.is_dir() else set()
    if data_dir.resolve() == Path(settings.DATA_DIR):
        there.discard(SECRET)
    if there:
        raise BackupError(f"{data_dir} is not empty (it has {', '.join(sorted(there)[:5])}): use --data-dir EMPTY")


def _put_file(source: Path, target: Path, hold_queue: bool) -> None:
    draft = target.with_suffix(".unfinished")
    draft.unlink(missing_ok=True)
    copy_file(source / DATABASE, draft)
    database = sqlite3.connect(draft)
    try:
        with database:
            [(highest,)] = database.execute("SELECT COALESCE(MAX(uid_validity), 0) FROM mailservers_mailbox")
            for statement in _statements(highest, hold_queue):
                database.execute(statement)
    finally:
        database.close()
    draft.rename(target)


def _put_rows(source: Path, hold_queue: bool) -> None:
    call_command("migrate", verbosity=0, interactive=False)
    if User.objects.exists():
        raise BackupError("the configured database has users: restore needs an empty one")
    with _own_copy(source) as copy, rows.sqlite_file(copy) as alias:
        if rows.migrations(alias) != rows.migrations("default"):
            raise BackupError("the backup is of another version of Postroom: restore it with that one, then upgrade")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            rows.copy_rows(alias, "default")
            cursor.execute("SELECT COALESCE(MAX(uid_validity), 0) FROM mailservers_mailbox")
            for statement in _statements(cursor.fetchone()[0], hold_queue):
                cursor.execute(statement)
    rows.set_sequences("default")


@contextlib.contextmanager
def _own_copy(source: Path) -> Iterator[Path]:
    """The backup may lie where nobody may write."""
    with tempfile.TemporaryDirectory(prefix="restore-", dir=settings.DATA_DIR) as directory:
        yield Path(shutil.copyfile(source / DATABASE, Path(directory) / DATABASE))


def _statements(highest: int, hold_queue: bool) -> Iterator[str]:
    validity = max(int(time.time()), highest + 1)
    yield from (statement.format(validity=validity) for statement in _RESTART)
    if hold_queue:
        yield _HOLD


# ---------------------------------------------------------------- into a running installation


@dataclass(slots=True)
class Restored:
    """What came back. `made`: logins that were missing and were made. `damaged`: messages without whole octets."""

    filed: Filed
    made: list[str]
    damaged: int = 0


def restore_user(source: Path, login: str, folder: str = "", progress: Progress = no_progress) -> Restored:
    """All folders and messages of one user. What is there already is left as it is; `folder`: put them below it."""
    with BackupReader(source) as backup:
        backup.user(login)
        places = list(backup.places_of_user(login))
        filing, made = _filing(backup, login)
        for box in backup.folders(login):
            filing.mailbox(_below(folder, box.name), "" if folder else box.special_use)
        damaged = _file(backup, filing, places, folder, progress)
    return Restored(filing.finish(), made, damaged)


def restore_message(source: Path, message: str, login: str | None = None, folder: str = "") -> Restored:
    """One message, by Message-ID or SHA-256, wherever it was, or for one user. Raises `BackupError` if it is not
    there."""
    restored = Restored(Filed(), [])
    with BackupReader(source) as backup:
        places = list(backup.places_of_message(message, login))
        if not places:
            raise BackupError(f"there is no such message in {source}")
        for owner in sorted({place.folder.owner for place in places}):
            filing, made = _filing(backup, owner)
            own = [place for place in places if place.folder.owner == owner]
            restored.damaged += _file(backup, filing, own, folder, no_progress)
            filed = filing.finish()
            restored.filed.added += filed.added
            restored.filed.skipped += filed.skipped
            restored.filed.refused += filed.refused
            restored.made += made
    return restored


def _file(backup: BackupReader, filing: Filing, places: list[BackedUpPlace], folder: str, progress: Progress) -> int:
    damaged = 0
    for done, place in enumerate(places, 1):
        octets = backup.octets(place.sha256)
        if octets is None:
            damaged += 1
            continue
        name = _below(folder, place.folder.name)
        filing.add(name, octets, place.flags, place.keywords, place.internal_date, place.sha256.hex())
        progress(done, len(places))
    return damaged


def _filing(backup: BackupReader, login: str) -> tuple[Filing, list[str]]:
    """For this user, who is made as the backup has them (name, role, password, quota) if they are gone."""
    user_id = User.objects.filter(login=login).values_list("pk", flat=True).first()
    if user_id is not None:
        return Filing(user_id, skip_existing=True), []
    user = backup.user(login)
    domain = login.rpartition("@")[2]
    if not Domain.objects.filter(name=domain).exists():
        store.call_sync(create_domain, domain, keys.generate(), actor=COMMAND_LINE)
    user_id = store.call_sync(
        create_user,
        login,
        name=user.name,
        role=user.role,
        password_hash=user.password,
        quota_octets=user.quota_octets,
        quota_messages=user.quota_messages,
        actor=COMMAND_LINE,
    )
    return Filing(user_id, skip_existing=True), [login]


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
