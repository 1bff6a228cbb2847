"""Files into a user's mail: mbox, Maildir and eml, one file or a whole tree, our own exports and other programs'.

With notes beside it (see `tree`) a message comes in byte for byte as it went out, proved by its digest. Without, lines
that end in LF alone are given the CRLF that mail has, and flags come from the file's name (Maildir) or from Status and
X-Status fields (mbox), which stay where they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from mailservers.formats.headers import first_field
from mailservers.formats.mbox import MboxEntry, candidates, date_of, read_entries, with_crlf
from mailservers.formats.mime import header_end
from mailservers.models import Flag
from mailservers.transfer.exporting import MAILDIR_FLAGS
from mailservers.transfer.filing import Filed, Filing
from mailservers.transfer.tree import NOTES, Note, directories, name_of, read_notes

_STATUS_FLAGS = {
    b"R": Flag.SEEN,
    b"A": Flag.ANSWERED,
    b"F": Flag.FLAGGED,
    b"D": Flag.DELETED,
    b"T": Flag.DRAFT,
}
LINE_PIECE = 1024 * 1024  # octets of a line that are read at once
QUOTED_AT_MOST = 2  # times the length of the message: ">" before each line that begins with From, CRLF for LF
_NOT_IN_NAMES = re.compile(r"[*%\x00-\x1f\x7f]")  # of our folders; other programs allow them
_LETTERS = {letter: flag for flag, letter in MAILDIR_FLAGS.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """One message in the files. `what` says where it was found."""

    folder: str
    raw: bytes
    flags: int
    keywords: tuple[str, ...]
    internal_date: datetime | None
    what: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A message that is over the limit: it is not read."""

    what: str


class NothingFound(Exception):
    """No mail in there."""


def import_mail(source: Path, filing: Filing, folder: str = "") -> Filed:
    """Everything found in `source`, a file or a directory. `folder`: put it all below that folder (or, of a single
    file, into it). Raises `NothingFound`, OSError."""
    is_empty = True
    for found in find_mail(source, folder):
        is_empty = False
        if isinstance(found, str):
            filing.mailbox(found)
        elif isinstance(found, TooLarge):
            filing.refuse_large(found.what)
        else:
            filing.add(found.folder, found.raw, found.flags, found.keywords, found.internal_date, found.what)
    if is_empty:
        raise NothingFound(f"there is no mail in {source}: it has no mbox, no Maildir and no .eml file")
    return filing.finish()


def find_mail(source: Path, folder: str = "") -> Iterator[Found | TooLarge | str]:
    """The names of the folders, each before the messages in it; empty ones, too."""
    if source.is_file() and source.suffix == ".eml":
        yield from _eml_files(source.parent, folder or "INBOX", [source])
        return
    if not source.is_dir():
        yield from _mbox(source, folder or name_of(Path(source.stem)))
        return
    for directory in directories(source):
        relative = directory.relative_to(source)
        name = _below(folder, name_of(relative))
        if (directory / "cur").is_dir() or (directory / "new").is_dir():
            yield from _maildir(directory, name)
        files = sorted(path for path in directory.iterdir() if path.is_file())
        yield from _eml_files(directory, name, [path for path in files if path.suffix == ".eml"])
        for path in files:
            if path.suffix == ".mbox":
                yield from _mbox(path, _below(folder, name_of(relative / path.stem)))


def _below(folder: str, name: str) -> str:
    name = _NOT_IN_NAMES.sub("_", name)
    return f"{folder}/{name}" if folder else name


# ---------------------------------------------------------------- mbox


def _mbox(path: Path, folder: str) -> Iterator[Found | TooLarge | str]:
    yield folder
    notes = iter(read_notes(path.with_name(f"{path.name}.jsonl")))
    with open(path, "rb") as file:
        lines = iter(lambda: file.readline(LINE_PIECE), b"")
        for number, entry in enumerate(read_entries(lines, QUOTED_AT_MOST * settings.MESSAGE_SIZE_LIMIT), 1):
            note = next(notes, None)
            what = f"{path} message {number}"
            if entry.is_cut:
                yield TooLarge(what)
                continue
            raw = _exact(entry, note)
            if raw is not None and note is not None:
                yield Found(folder, raw, note.flags, note.keywords, note.internal_date, what)
            else:
                raw = next(candidates(entry))
                yield Found(folder, raw, _status_flags(raw), (), date_of(entry), what)


def _exact(entry: MboxEntry, note: Note | None) -> bytes | None:
    if note is None:
        return None
    fitting = (raw for raw in candidates(entry) if hashlib.sha256(raw).hexdigest() == note.sha256)
    return next(fitting, None)


def _status_flags(raw: bytes) -> int:
    header = raw[: header_end(raw)]
    letters = (first_field(header, b"status") or b"") + (first_field(header, b"x-status") or b"")
    return sum({flag.value for letter, flag in _STATUS_FLAGS.items() if letter in letters})


# ---------------------------------------------------------------- one file a message


def _maildir(directory: Path, folder: str) -> Iterator[Found | TooLarge | str]:
    yield folder
    notes = {note.file: note for note in read_notes(directory / NOTES)}
    files = [path for part in ("cur", "new") for path in (directory / part).glob("*") if path.is_file()]
    for path in sorted(files, key=_order):
        name, has_info, info = path.name.partition(":2,")
        flags = sum({_LETTERS[letter].value for letter in info if letter in _LETTERS}) if has_info else None
        yield _one(path, folder, notes.get(name), flags)


def _order(path: Path) -> tuple[int, str]:
    """Maildir names begin with the second they came; ours go on with the UID."""
    first, _, rest = path.name.partition(".")
    return int(first) if first.isascii() and first.isdigit() else 0, _padded(rest)


def _padded(rest: str) -> str:
    uid = rest[1:].partition(".")[0] if rest.startswith("U") else ""
    return f"U{int(uid):020}" if uid.isascii() and uid.isdigit() else rest


def _eml_files(directory: Path, folder: str, paths: list[Path]) -> Iterator[Found | TooLarge | str]:
    if paths or (directory / NOTES).is_file():
        yield folder
    notes = {note.file: note for note in read_notes(directory / NOTES)} if paths else {}
    for path in paths:
        yield _one(path, folder, notes.get(path.name), None)


def _one(path: Path, folder: str, note: Note | None, flags: int | None) -> Found | TooLarge:
    """`flags`: what the file's name says, None where it says nothing."""
    if path.stat().st_size > settings.MESSAGE_SIZE_LIMIT:
        return TooLarge(str(path))
    raw = path.read_bytes()
    if note is not None and hashlib.sha256(raw).hexdigest() == note.sha256:
        # Flags of the name are newer: another program may have changed them since.
        return Found(folder, raw, note.flags if flags is None else flags, note.keywords, note.internal_date, str(path))
    date = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    return Found(folder, with_crlf(raw), flags or 0, (), date, str(path))
