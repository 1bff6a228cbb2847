"""Large bodies in an S3 bucket, for several hosts with one store. Needs the extra `s3` (django-storages, boto3).

A body goes through a file without a name, so that it is in memory as little as on the way to a disk; S3 promises
that an object whose PUT or multipart upload was answered is there, and is read as it was written. What cannot be
reached is a temporary error, never a lost message.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from storages.backends.s3 import S3Storage

from mailservers.store.errors import StoreUnavailable

IN_MEMORY_OCTETS = 4 * 1024 * 1024  # of a body that is read; more of it goes to a file without a name
_ABSENT = {"404", "NoSuchKey", "NotFound"}


class S3Bodies(S3Storage):
    """One object a body, below OPTIONS["location"]."""

    def get_default_settings(self) -> dict[str, Any]:
        patience = Config(connect_timeout=5, read_timeout=20, retries={"max_attempts": 2, "mode": "standard"})
        return super().get_default_settings() | {
            "default_acl": None,
            "file_overwrite": True,  # a name is never used twice: no need to ask whether it is there
            "querystring_auth": True,
            "client_config": patience.merge(Config(s3={"addressing_style": "path"}, signature_version="s3v4")),
        }

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        with _refusals(), _unnamed() as file:
            for chunk in chunks:
                file.write(chunk)
            file.seek(0)
            self._object(name).upload_fileobj(file)

    def read(self, name: str) -> BinaryIO:
        """All of it is fetched now, so that what is open stays readable."""
        file = _unnamed()
        try:
            with _refusals():
                self._object(name).download_fileobj(file)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return cast(BinaryIO, file)

    def delete(self, name: str) -> None:
        with _refusals():
            self._object(name).delete()

    def all_bodies(self) -> Iterator[tuple[str, float]]:
        prefix = f"{self.location}/" if self.location else ""
        with _refusals():
            for one in self.bucket.objects.filter(Prefix=prefix):
                yield one.key.removeprefix(prefix), one.last_modified.timestamp()

    def _object(self, name: str) -> Any:
        return self.bucket.Object(f"{self.location}/{name}" if self.location else name)


def _unnamed() -> tempfile.SpooledTemporaryFile[bytes]:
    directory = Path(settings.MESSAGE_FILES_DIR)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return tempfile.SpooledTemporaryFile(IN_MEMORY_OCTETS, dir=str(directory))


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _ABSENT:
            raise FileNotFoundError(str(error)) from error
        raise StoreUnavailable("the store of large messages refuses at the moment") from error
    except (BotoCoreError, Boto3Error, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise StoreUnavailable("the store of large messages cannot be reached at the moment") from error
