"""Looking into a backup: users, folders, places and octets."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zstandard
from django.utils.dateparse import parse_datetime

from mailservers.backup.archive import BackupError, blob_path, open_database, read_manifest


@dataclass(frozen=True, slots=True)
class BackedUpUser:
    login: str
    name: str
    role: str
    password: str
    quota_octets: int
    quota_messages: int


@dataclass(frozen=True, slots=True)
class BackedUpFolder:
    id: int
    owner: str  # login
    name: str
    special_use: str


@dataclass(frozen=True, slots=True)
class BackedUpPlace:
    """A message in a folder. Dates in UTC."""

    folder: BackedUpFolder
    sha256: bytes
    flags: int
    keywords: tuple[str, ...]
    internal_date: datetime


_PLACE = """
    SELECT b.id, u.login, b.name, b.special_use, m.sha256, p.flags, p.keywords, p.internal_date
    FROM mailservers_mailboxmessage p JOIN mailservers_mailbox b ON b.id = p.mailbox_id
    JOIN accounts_user u ON u.id = b.owner_id JOIN mailservers_message m ON m.id = p.message_id
"""


class BackupReader:
    """`with BackupReader(directory) as backup`. Raises `BackupError`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manifest = read_manifest(directory)
        self._database = open_database(directory)
        self._decompressor = zstandard.ZstdDecompressor()

    def __enter__(self) -> BackupReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def _all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise BackupError(f"the database of {self.directory} cannot be read: {error}") from None

    def user(self, login: str) -> BackedUpUser:
        found = self._all(
            "SELECT login, name, role, password, quota_octets, quota_messages FROM accounts_user WHERE login = ?", login
        )
        if not found:
            raise BackupError(f"there is no {login} in {self.directory}")
        return BackedUpUser(*found[0])

    def folders(self, login: str) -> list[BackedUpFolder]:
        rows = self._all(
            "SELECT b.id, u.login, b.name, b.special_use FROM mailservers_mailbox b"
            " JOIN accounts_user u ON u.id = b.owner_id WHERE u.login = ? ORDER BY b.name",
            login,
        )
        return [BackedUpFolder(*row) for row in rows]

    def places_of_user(self, login: str) -> Iterator[BackedUpPlace]:
        """In the order of folders and UIDs."""
        return self._places(f"{_PLACE} WHERE u.login = ? ORDER BY b.name, p.uid", login)

    def places_of_message(self, message: str, login: str | None) -> Iterator[BackedUpPlace]:
        """Where a message lies, by its Message-ID or the start of its SHA-256, of all users or one."""
        by_id = "@" in message or message.startswith("<")
        condition = "m.message_id = ?" if by_id else "lower(hex(m.sha256)) LIKE ?"
        value = f"<{message.strip('<> ')}>" if by_id else f"{message.lower()}%"
        values = (value, login) if login else (value,)
        return self._places(f"{_PLACE} WHERE {condition}{' AND u.login = ?' if login else ''}", *values)

    def _places(self, statement: str, *values: Any) -> Iterator[BackedUpPlace]:
        for pk, owner, name, use, sha256, flags, keywords, date in self._all(statement, *values):
            moment = parse_datetime(date) or datetime.fromtimestamp(0, UTC)
            folder = BackedUpFolder(pk, owner, name, use)
            yield BackedUpPlace(
                folder, bytes(sha256), flags, tuple(keywords.split()), moment.replace(tzinfo=moment.tzinfo or UTC)
            )

    def octets(self, sha256: bytes) -> bytes | None:
        """A message's octets; None where the backup has none, or none that are whole."""
        rows = self._all(
            "SELECT d.header, d.body, d.file FROM mailservers_messagedata d"
            " JOIN mailservers_message m ON m.id = d.message_id WHERE m.sha256 = ?",
            sha256,
        )
        for header, body, name in rows:
            try:
                packed = blob_path(self.directory, name).read_bytes() if name else body
                octets = self._decompressor.decompress(header) + self._decompressor.decompress(packed)
            except (OSError, zstandard.ZstdError):
                return None
            if hashlib.sha256(octets).digest() == sha256:
                return octets
        return None
