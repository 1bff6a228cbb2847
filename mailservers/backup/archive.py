"""A backup's files: their names, the manifest, and copying with a digest. Raises `BackupError`, OSError."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

FORMAT = 1
DATABASE = "database.sqlite3"
BLOB_LIST = "blobs.jsonl"
BLOBS = "blobs"
MANIFEST = "manifest.json"
SECRET = "secret.key"
BLOCK = 1024 * 1024

Progress = Callable[[int, int], None]  # done, of how many


def no_progress(done: int, total: int) -> None:
    """Nobody looks."""


class BackupError(Exception):
    """A sentence for the administrator."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a large body."""

    name: str
    octets: int
    sha256: str


def blob_path(directory: Path, name: str) -> Path:
    """Spread as the store spreads them."""
    return directory / BLOBS / name[:2] / name


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a finished backup."""
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text())
    except FileNotFoundError:
        raise BackupError(f"{directory} is not a backup, or it was never finished: it has no {MANIFEST}") from None
    except ValueError:
        raise BackupError(f"{directory / MANIFEST} is damaged") from None
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{directory} was made by another version of Postroom (format {manifest.get('format')})")
    return manifest


def read_blob_list(directory: Path) -> dict[str, Blob]:
    try:
        lines = (directory / BLOB_LIST).read_text().splitlines()
        blobs = [Blob(**json.loads(line)) for line in lines]
    except (ValueError, TypeError):
        raise BackupError(f"{directory / BLOB_LIST} is damaged") from None
    return {blob.name: blob for blob in blobs}


def write_blob_list(directory: Path, blobs: dict[str, Blob]) -> None:
    lines = (
        json.dumps({"name": blob.name, "octets": blob.octets, "sha256": blob.sha256})
        for blob in sorted(blobs.values(), key=lambda blob: blob.name)
    )
    write_durably(directory / BLOB_LIST, "".join(f"{line}\n" for line in lines).encode())


def open_database(directory: Path) -> sqlite3.Connection:
    """The snapshot, read-only; nobody writes to it, so no lock files appear beside it."""
    path = (directory / DATABASE).resolve()
    if not path.is_file():
        raise BackupError(f"{path} is missing")
    return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)


def named_blobs(database: sqlite3.Connection) -> set[str]:
    """The files that the snapshot's messages need."""
    return {name for (name,) in database.execute("SELECT file FROM mailservers_messagedata WHERE file <> ''")}


# ---------------------------------------------------------------- files


def digest_of(path: Path) -> str:
    """SHA-256, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_file(source: Path, target: Path, mode: int = 0o600) -> Blob:
    """Copy, fsync and digest in one pass. The target must not be there yet."""
    with open(source, "rb") as reader:
        return copy_octets(reader, target, mode)


def copy_octets(reader: BinaryIO, target: Path, mode: int = 0o600) -> Blob:
    """The same from what is open."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, octets = hashlib.sha256(), 0
    private = partial(os.open, mode=mode)
    with open(target, "xb", opener=private) as writer:
        while block := reader.read(BLOCK):
            digest.update(block)
            writer.write(block)
            octets += len(block)
        writer.flush()
        os.fsync(writer.fileno())
    return Blob(target.name, octets, digest.hexdigest())


def write_durably(path: Path, data: bytes) -> None:
    with open(path, "wb", opener=partial(os.open, mode=0o600)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directories(directory: Path) -> None:
    """Make the names of all that is in it durable."""
    for path in directory.rglob("*"):
        if path.is_dir():
            sync_directory(path)
    sync_directory(directory)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
