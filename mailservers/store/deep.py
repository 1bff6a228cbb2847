"""The deep proof: every stored content is read, decompressed and compared with its SHA-256.

Finds flipped bits and missing files, and names each message by who has it where. Reads only, in steps: what is given
up meanwhile is passed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import zstandard
from django.db import connection

from mailservers.models import MailboxMessage, Message, MessageData, QueuedMessage
from mailservers.store.bodies import read_body

STEP = 100  # messages
SHOWN_PLACES = 3
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class BadContent:
    """A message whose octets are not what its digest says."""

    message_id: int
    sha256: bytes
    reason: str
    where: str

    def __str__(self) -> str:
        return f"message {self.message_id} (SHA-256 {self.sha256.hex()}), {self.where}: {self.reason}"


def bad_contents(progress: Progress) -> Iterator[BadContent]:
    """Reads everything; `progress(done, total)` as it goes."""
    total, done, last = Message.objects.count(), 0, 0
    while True:
        rows = list(Message.objects.filter(pk__gt=last).order_by("pk").values_list("pk", "sha256", "size")[:STEP])
        if not rows:
            return
        data = {
            pk: octets
            for pk, *octets in MessageData.objects.filter(pk__in=[row[0] for row in rows]).values_list(
                "pk", "header", "body", "file"
            )
        }
        for pk, sha256, size in rows:
            reason = _fault(bytes(sha256), size, data.get(pk))
            if reason and Message.objects.filter(pk=pk).exists():
                yield BadContent(pk, bytes(sha256), reason, where_is(pk))
        last, done = rows[-1][0], done + len(rows)
        progress(done, max(total, done))


def fault_of(message_id: int) -> str:
    """Why this one message is bad; "" when it is good or gone."""
    row = Message.objects.filter(pk=message_id).values_list("sha256", "size").first()
    data = MessageData.objects.filter(pk=message_id).values_list("header", "body", "file").first()
    return _fault(bytes(row[0]), row[1], list(data) if data else None) if row else ""


def _fault(sha256: bytes, size: int, data: list | None) -> str:
    if data is None:
        return "its octets are missing"
    header, body, name = data
    try:
        packed = read_body(name) if name else bytes(body)
    except FileNotFoundError:
        return f"its file {name} is missing"
    except OSError as error:
        return f"its file {name} cannot be read: {error.strerror}"
    lies = f"its file {name}" if name else "its row"
    try:
        decompressor = zstandard.ZstdDecompressor()
        digest = hashlib.sha256(decompressor.decompress(bytes(header)))
        digest.update(decompressor.decompress(packed))
    except zstandard.ZstdError:
        return f"{lies} is damaged: it cannot be decompressed"
    return "" if digest.digest() == sha256 else f"{lies} is damaged: the digest of its octets is another"


def where_is(message_id: int) -> str:
    """Who has a message where, for people."""
    places = MailboxMessage.objects.filter(message_id=message_id).order_by("pk")
    found = [
        f"{login}/{name} UID {uid}"
        for login, name, uid in places.values_list("mailbox__owner__login", "mailbox__name", "uid")[: SHOWN_PLACES + 1]
    ]
    if len(found) > SHOWN_PLACES:
        found[SHOWN_PLACES:] = ["and others"]
    if QueuedMessage.objects.filter(message_id=message_id).exists():
        found.append("in the queue")
    return ", ".join(found) or "deleted, still restorable"


def database_faults() -> Iterator[str]:
    """What the database itself says of its pages."""
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check(50)")
        yield from (f"database: {row[0]}" for row in cursor.fetchall() if row[0] != "ok")
