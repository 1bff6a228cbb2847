"""A file that somebody handed in, made ready for `importing`: a zip file is unpacked, anything else is told by its
beginning."""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from django.conf import settings

from mailservers.transfer.importing import NothingFound

SUFFIXES = (".mbox", ".eml", ".jsonl")
MAILDIRS = ("cur", "new")
MAX_DEPTH = 20
_ODD = re.compile(r"[^\w .&+()-]")  # in a folder's name
_FIELD = re.compile(rb"[!-9;-~]{1,100}[ \t]*:")  # RFC 5322 3.6.8: how a message begins


class CannotUnpack(Exception):
    """Says why, for whoever handed it in."""


def prepared(file: Path, name: str, into: Path) -> Path:
    """What to import: a directory of what was in the zip file, or one mbox or .eml file; below `into`, which is made.

    `name`: what the file was called. Raises `CannotUnpack`, `NothingFound`, OSError."""
    into.mkdir(mode=0o700)
    if zipfile.is_zipfile(file):
        _unzip(file, into)
        return into
    with open(file, "rb") as opened:
        beginning = opened.read(4096).lstrip(b"\r\n")
    if not (beginning.startswith(b"From ") or _FIELD.match(beginning)):
        raise NothingFound("This is neither a zip file, nor an mbox file, nor a message.")
    suffix = ".mbox" if beginning.startswith(b"From ") else ".eml"
    stem = PurePosixPath(name.replace("\\", "/")).stem.strip(". ")[:60] or "Imported"
    target = into / f"{_ODD.sub('_', stem)}{suffix}"
    shutil.move(file, target)
    return target


def _unzip(file: Path, into: Path) -> None:
    """Files of mail and our notes alone; nothing outside of `into`, no links, no more than the limits."""
    left = settings.IMPORT_UNPACKED_LIMIT
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > settings.IMPORT_MAX_FILES:
                raise CannotUnpack(f"There are more than {settings.IMPORT_MAX_FILES:,} files in it.")
            for entry in entries:
                path = _safe(entry)
                if path is None:
                    continue
                target = into / path
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                left -= _copy(archive, entry, target, left)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise CannotUnpack(f"The zip file is damaged or locked: {error}") from error


def _safe(entry: zipfile.ZipInfo) -> Path | None:
    """Where it goes; None for what is no mail or would lead out."""
    parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
    if entry.is_dir() or not parts or len(parts) > MAX_DEPTH or parts[0] in ("/", "__MACOSX"):
        return None
    if any(part in ("..", ".") or "\0" in part or len(part.encode("utf-8", "replace")) > 255 for part in parts):
        return None
    is_mail = parts[-1].endswith(SUFFIXES) or (len(parts) > 1 and parts[-2] in MAILDIRS)
    return Path(*parts) if is_mail else None


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """What the entry says of its own size is not believed."""
    written = 0
    with archive.open(entry) as source, open(target, "wb") as file:
        while piece := source.read(256 * 1024):
            written += len(piece)
            if written > left:
                raise CannotUnpack(f"Unpacked it would be more than {settings.IMPORT_UNPACKED_LIMIT:,} octets.")
            file.write(piece)
    return written
