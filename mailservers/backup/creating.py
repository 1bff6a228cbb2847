"""Making a backup of a running installation, and proving one.

First the database's snapshot, then the files that it names; meanwhile no process removes a file (`hold_bodies`), so
each is still there. A file that is not is damage, and is told. Nothing waits for a backup: readers of a snapshot hold
no lock that writers want.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import zstandard
from django.conf import settings
from django.db import connection, transaction

from mailservers.backup import rows
from mailservers.backup.archive import (
    BLOB_LIST,
    BLOBS,
    DATABASE,
    FORMAT,
    MANIFEST,
    SECRET,
    BackupError,
    Blob,
    Progress,
    blob_path,
    copy_file,
    copy_octets,
    digest_of,
    named_blobs,
    no_progress,
    open_database,
    read_blob_list,
    read_manifest,
    sync_directories,
    sync_directory,
    write_blob_list,
    write_durably,
)
from mailservers.store.bodies import bodies, hold_bodies


@dataclass(slots=True)
class Created:
    """What was made. `linked`: of the files, those taken from the earlier backup. `missing`: names without a file."""

    messages: int = 0
    blobs: int = 0
    linked: int = 0
    octets: int = 0
    missing: list[str] = field(default_factory=list)


def create(target: Path, earlier: Path | None = None, progress: Progress = no_progress) -> Created:
    """Make `target`, which must not be there; it appears all at once, when it is whole and on the disk."""
    if target.exists():
        raise BackupError(f"{target} is there already")
    known = read_blob_list(earlier) if earlier is not None and read_manifest(earlier) else {}
    draft = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    created = Created()
    with hold_bodies():
        snapshot(draft / DATABASE)
        blobs = _copy_blobs(draft, earlier, known, created, progress)
    _finish(draft, blobs, created)
    os.rename(draft, target)
    sync_directory(target.parent)
    return created


def _copy_blobs(
    draft: Path, earlier: Path | None, known: dict[str, Blob], created: Created, progress: Progress
) -> dict[str, Blob]:
    database = open_database(draft)
    try:
        named = sorted(named_blobs(database))
        [(created.messages,)] = database.execute("SELECT COUNT(*) FROM mailservers_message")
    finally:
        database.close()
    blobs: dict[str, Blob] = {}
    for done, name in enumerate(named, 1):
        target, blob = blob_path(draft, name), known.get(name)
        if blob is not None and earlier is not None and _link(blob_path(earlier, name), target, blob):
            created.linked += 1
            blobs[name] = blob
        else:
            try:
                with bodies().read(name) as body:
                    blobs[name] = copy_octets(body, target)
            except FileNotFoundError:
                created.missing.append(name)
        progress(done, len(named))
    return blobs


def _link(source: Path, target: Path, blob: Blob) -> bool:
    """A second name for the earlier backup's file: False where that cannot be (another disk, or it is not whole)."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        if source.stat().st_size != blob.octets:
            return False
        os.link(source, target)
    except OSError:
        return False
    return True


def snapshot(path: Path) -> None:
    """All tables as they stand at one moment, in a new SQLite file."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        target = sqlite3.connect(path)
        try:
            connection.connection.backup(target)
        finally:
            target.close()
    else:
        with rows.sqlite_file(path) as alias:
            rows.make_tables(alias)
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                with transaction.atomic(using=alias):
                    rows.copy_rows("default", alias)
    database = sqlite3.connect(path)
    try:
        database.execute("PRAGMA journal_mode = DELETE")  # one file, which can be opened where nobody may write
    finally:
        database.close()
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _finish(draft: Path, blobs: dict[str, Blob], created: Created) -> None:
    (draft / BLOBS).mkdir(exist_ok=True, mode=0o700)
    write_blob_list(draft, blobs)
    secret = Path(settings.DATA_DIR) / SECRET
    has_secret = secret.is_file() and secret.read_text().strip() == settings.SECRET_KEY
    if has_secret:
        copy_file(secret, draft / SECRET)
    created.blobs, created.octets = len(blobs), sum(blob.octets for blob in blobs.values())
    manifest = {
        "format": FORMAT,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "hostname": settings.HOSTNAME,
        "database_of": connection.vendor,
        "messages": created.messages,
        "blobs": created.blobs,
        "octets": created.octets,
        "missing": created.missing,
        "secret": "here" if has_secret else "in the environment (POSTROOM_SECRET_KEY)",
        "sha256": {name: digest_of(draft / name) for name in (DATABASE, BLOB_LIST)},
    }
    write_durably(draft / MANIFEST, json.dumps(manifest, indent=1).encode())
    sync_directories(draft)


# ---------------------------------------------------------------- proving


def verify(directory: Path, progress: Progress = no_progress) -> Iterator[str]:
    """Read all of a backup and compare every digest; what is wrong, as sentences."""
    manifest = read_manifest(directory)
    for name, sha256 in manifest["sha256"].items():
        if not (directory / name).is_file():
            yield f"{name} is missing"
        elif digest_of(directory / name) != sha256:
            yield f"{name} is damaged: its digest is another"
    blobs = read_blob_list(directory)
    for name, blob in blobs.items():
        path = blob_path(directory, name)
        if not path.is_file():
            yield f"{BLOBS}/{name[:2]}/{name} is missing"
        elif digest_of(path) != blob.sha256:
            yield f"{BLOBS}/{name[:2]}/{name} is damaged: its digest is another"
    database = open_database(directory)
    try:
        for name in sorted(named_blobs(database) - blobs.keys()):
            yield f"the file {name} of a message was missing when the backup was made"
        yield from _contents(directory, database, progress)
    except sqlite3.DatabaseError as error:
        yield f"{DATABASE} cannot be read: {error}"
    finally:
        database.close()


def _contents(directory: Path, database: sqlite3.Connection, progress: Progress) -> Iterator[str]:
    [(total,)] = database.execute("SELECT COUNT(*) FROM mailservers_message")
    cursor = database.execute(
        "SELECT m.id, m.sha256, d.header, d.body, d.file FROM mailservers_message m"
        " LEFT JOIN mailservers_messagedata d ON d.message_id = m.id ORDER BY m.id"
    )
    decompressor = zstandard.ZstdDecompressor()
    for done, (pk, sha256, header, body, name) in enumerate(cursor, 1):
        try:
            packed = blob_path(directory, name).read_bytes() if name else body
            octets = decompressor.decompress(header) + decompressor.decompress(packed)
        except (OSError, zstandard.ZstdError, TypeError):
            octets = None
        if octets is None or hashlib.sha256(octets).digest() != sha256:
            yield f"message {pk} ({sha256.hex()}): its octets are missing or damaged"
        progress(done, total)
