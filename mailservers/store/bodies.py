"""Where large bodies lie: Django's storage "messages", files by default, an S3 bucket in a cluster (settings.STORAGES).

A storage here is one of Django's with one promise more: `write` returns when the body will be there after a power cut.
A name is never used twice. All of this blocks; it is called in threads.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages

from mailservers.store.failures import as_store_error

log = logging.getLogger(__name__)

HOLD = ".hold"  # in the directory of the files; who makes a backup has it locked


class BodyStorage(Protocol):
    """`LocalBodies`, or `s3_bodies.S3Bodies`."""

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Durable when it returns. Raises a `StoreError`; then nothing of it is there."""

    def read(self, name: str) -> BinaryIO:
        """From its beginning, can be sought in. Raises FileNotFoundError, OSError, `StoreUnavailable`."""

    def delete(self, name: str) -> None:
        """One that is not there is no error. Raises OSError, `StoreUnavailable`."""

    def all_bodies(self) -> Iterator[tuple[str, float]]:
        """(name, when it was written in POSIX seconds) of each. Raises OSError, `StoreUnavailable`."""


class LocalBodies(FileSystemStorage):
    """Files below MESSAGE_FILES_DIR, in 256 directories by the first two characters of their name."""

    def path(self, name: str) -> str:
        return str(file_path(name))

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        path = file_path(name)
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _fsync_directory(path.parent.parent)
        draft = path.with_name(f".{name}")
        try:
            with open(draft, "xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, path)
            _fsync_directory(path.parent)
        except OSError as error:
            draft.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise as_store_error(error) from error

    def read(self, name: str) -> BinaryIO:
        return open(file_path(name), "rb")

    def delete(self, name: str) -> None:
        file_path(name).unlink(missing_ok=True)

    def all_bodies(self) -> Iterator[tuple[str, float]]:
        """Drafts of a write that was cut off, too."""
        for path in Path(settings.MESSAGE_FILES_DIR).glob("??/*"):
            with contextlib.suppress(FileNotFoundError):
                yield path.name, path.stat().st_mtime


def bodies() -> BodyStorage:
    return cast(BodyStorage, storages["messages"])


def file_path(name: str) -> Path:
    """Of `LocalBodies`."""
    return Path(settings.MESSAGE_FILES_DIR) / name.lstrip(".")[:2] / name


def write_body(sha256: bytes, chunks: Iterable[bytes]) -> str:
    """The name of a new body, which is durable now. Raises a `StoreError`."""
    name = f"{sha256.hex()}-{secrets.token_hex(4)}"
    bodies().write(name, chunks)
    return name


def read_body(name: str) -> bytes:
    """Raises FileNotFoundError, OSError, `StoreUnavailable`."""
    with bodies().read(name) as file:
        return file.read()


def remove_body(name: str) -> None:
    """Remove a body no transaction names (any more)."""
    if are_bodies_held():
        return
    try:
        bodies().delete(name)
    except Exception:
        log.warning("the body %s of a removed message is left over", name, exc_info=True)


def _fsync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


# ---------------------------------------------------------------- while a backup is made


@contextlib.contextmanager
def hold_bodies() -> Iterator[None]:
    """Inside, no process of this host removes a body: what a snapshot taken inside names stays there. The kernel ends
    it with the process. What was not removed is left over, and swept later."""
    directory = Path(settings.MESSAGE_FILES_DIR)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(directory / HOLD, "a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def are_bodies_held() -> bool:
    try:
        with open(Path(settings.MESSAGE_FILES_DIR) / HOLD, "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
