"""A user's mail into files: one mbox a folder, one Maildir a folder, or one eml file a message. Reads only, in steps;
mail that comes meanwhile may or may not be in it, what goes is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings

from mailservers.formats.mbox import entry_pieces
from mailservers.formats.octets import Octets, chunks
from mailservers.formats.zip_stream import ZipStream
from mailservers.models import Flag
from mailservers.store.content import read_messages
from mailservers.store.queries import MailboxRow, fetch_rows, list_mailboxes, uids
from mailservers.store.stored import open_stored
from mailservers.transfer.tree import NOTES, Note, path_of, write_lines

STEP = 50  # messages
MAILDIR_FLAGS = {  # in the order of the letters, as readers expect
    Flag.DRAFT: "D",
    Flag.FLAGGED: "F",
    Flag.ANSWERED: "R",
    Flag.SEEN: "S",
    Flag.DELETED: "T",
}
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """One message on its way out."""

    uid: int
    raw: Octets
    flags: int
    keywords: tuple[str, ...]
    internal_date: datetime
    sha256: str

    def note(self, file: str = "") -> Note:
        return Note(self.sha256, self.flags, self.keywords, self.internal_date, file)


Write = Callable[[Path, Iterator[Exported]], None]


def export(owner_id: int, target: Path, form: str, progress: Progress) -> tuple[int, int]:
    """(messages, folders) written. `form`: a key of FORMS. Raises FileExistsError when `target` has anything in it."""
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(0, "is not empty", str(target))
    write = FORMS[form]
    boxes = list_mailboxes(owner_id)
    total, done = sum(box.messages for box in boxes), 0

    def counted(messages: Iterator[Exported]) -> Iterator[Exported]:
        nonlocal done
        for message in messages:
            yield message
            done += 1
            progress(done, max(total, done))

    for box in boxes:
        write(target / path_of(box.name), counted(messages_in(box)))
    return done, len(boxes)


def messages_in(box: MailboxRow) -> Iterator[Exported]:
    wanted = list(uids(box.id))
    columns = ("uid", "message_id", "flags", "keywords", "internal_date", "message__sha256", "message__size")
    for start in range(0, len(wanted), STEP):
        rows = fetch_rows(box.id, wanted[start : start + STEP], columns)
        small = dict(read_messages([row[1] for row in rows if row[6] <= settings.STREAM_OVER]))
        for uid, message_id, flags, keywords, date, sha256, size in rows:
            raw = open_stored(message_id) if size > settings.STREAM_OVER else small.get(message_id)
            if raw is not None:
                yield Exported(uid, raw, flags, tuple(keywords.split()), date, bytes(sha256).hex())


def write_mbox(path: Path, messages: Iterator[Exported]) -> None:
    """`path`.mbox, and its notes beside it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    mbox = path.with_name(f"{path.name}.mbox")
    notes = []
    with open(mbox, "xb") as file:
        for message in messages:
            file.writelines(entry_pieces(message.raw, message.internal_date))
            notes.append(message.note().line())
    write_lines(mbox.with_name(f"{mbox.name}.jsonl"), notes)


def write_maildir(path: Path, messages: Iterator[Exported]) -> None:
    """A Maildir, all of it in `cur`; its notes beside that."""
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    notes = []
    for message in messages:
        letters = "".join(letter for flag, letter in MAILDIR_FLAGS.items() if message.flags & flag)
        name = f"{int(message.internal_date.timestamp())}.U{message.uid}.{settings.HOSTNAME},S={len(message.raw)}"
        _write(path / "cur" / f"{name}:2,{letters}", message)
        notes.append(message.note(name).line())
    write_lines(path / NOTES, notes)


def write_eml(path: Path, messages: Iterator[Exported]) -> None:
    """A directory with one file a message, named after its UID."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    notes = []
    for message in messages:
        name = f"{message.uid:010}.eml"
        _write(path / name, message)
        notes.append(message.note(name).line())
    write_lines(path / NOTES, notes)


def _write(path: Path, message: Exported) -> None:
    """The octets as they are; the file's date is the internal date."""
    with open(path, "wb") as file:
        file.writelines(chunks(message.raw))
    moment = int(message.internal_date.timestamp())
    os.utime(path, (moment, moment))


def zipped(boxes: Sequence[MailboxRow], form: str) -> Iterator[bytes]:
    """The pieces of a zip file with the same files as `export` writes; `form`: "mbox" or "eml"."""
    stream = ZipStream()
    write = {"mbox": _zip_mbox, "eml": _zip_eml}[form]
    for box in boxes:
        yield from write(stream, path_of(box.name).as_posix(), messages_in(box))
    yield from stream.end()


def _zip_mbox(stream: ZipStream, path: str, messages: Iterator[Exported]) -> Iterator[bytes]:
    notes: list[str] = []

    def pieces() -> Iterator[bytes]:
        for message in messages:
            yield from entry_pieces(message.raw, message.internal_date)
            notes.append(message.note().line())

    yield from stream.entry(f"{path}.mbox", pieces(), is_compressed=True)
    yield from stream.entry(f"{path}.mbox.jsonl", _lines(notes), is_compressed=True)


def _zip_eml(stream: ZipStream, path: str, messages: Iterator[Exported]) -> Iterator[bytes]:
    notes: list[str] = []
    for message in messages:
        name = f"{message.uid:010}.eml"
        yield from stream.entry(f"{path}/{name}", chunks(message.raw), is_compressed=True, date=message.internal_date)
        notes.append(message.note(name).line())
    yield from stream.entry(f"{path}/{NOTES}", _lines(notes), is_compressed=True)


def _lines(notes: Sequence[str]) -> Iterator[bytes]:
    yield from (f"{note}\n".encode() for note in notes)


FORMS: dict[str, Write] = {"mbox": write_mbox, "maildir": write_maildir, "eml": write_eml}
