"""Folders as directories and files: names that any file system takes, and the notes that go beside the mail.

A note is one line of JSON for each message, in a file beside it (`NAME.mbox.jsonl`, `postroom.jsonl`): what the formats
have no place for (keywords, the exact internal date) and the SHA-256 by which the import knows that it has it right.
Mail of other programs has none; then flags and dates are taken from where those programs keep them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mailservers.models import Flag

NOTES = "postroom.jsonl"
_UNSAFE = re.compile(r'[%<>:"\\|?*\x00-\x1f\x7f]|^\.|[. ]$')
_RESERVED = ("cur", "new", "tmp")
MAX_NAME_OCTETS = 200  # file systems take 255, suffixes included
FLAG_NAMES = {flag.label.lstrip("\\").lower(): flag.value for flag in Flag}


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of one message beside its octets. `file` names it in a directory; "" in an mbox."""

    sha256: str
    flags: int
    keywords: tuple[str, ...]
    internal_date: datetime
    file: str = ""

    def line(self) -> str:
        names = [name for name, bit in FLAG_NAMES.items() if self.flags & bit]
        return json.dumps(
            {
                "file": self.file,
                "sha256": self.sha256,
                "flags": names,
                "keywords": list(self.keywords),
                "internal_date": self.internal_date.isoformat(),
            }
        )


def read_notes(path: Path) -> list[Note]:
    """The notes of a file; none where there is no such file or it is not ours."""
    try:
        lines = path.read_text("utf-8").splitlines()
        return [_note(json.loads(line)) for line in lines]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _note(values: dict[str, Any]) -> Note:
    moment = datetime.fromisoformat(values["internal_date"])
    if moment.tzinfo is None:
        raise ValueError("a date without a zone")
    flags = sum(FLAG_NAMES[name] for name in set(values["flags"]))
    return Note(values["sha256"], flags, tuple(map(str, values["keywords"])), moment, str(values["file"]))


def path_of(name: str) -> Path:
    """A folder's path below the export's directory."""
    return Path(*(_escape(level) for level in name.split("/")))


def name_of(path: Path) -> str:
    """The folder that `path_of` made this of. Maildir++ directories (".Projects.Boat") are folders too."""
    levels: list[str] = []
    for part in path.parts:
        is_maildir_name = part.startswith(".") and len(part) > 1
        levels += part.split(".")[1:] if is_maildir_name else [unquote(part, errors="replace")]
    return "/".join(level for level in levels if level) or "INBOX"


def _escape(level: str) -> str:
    if level in _RESERVED:
        return f"%{ord(level[0]):02X}{level[1:]}"
    level = _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), level)
    if len(level.encode()) > MAX_NAME_OCTETS:  # shortened, and told from others that begin like it
        digest = hashlib.sha256(level.encode()).hexdigest()[:8]
        level = f"{level.encode()[: MAX_NAME_OCTETS - 9].decode('utf-8', 'ignore')}~{digest}"
    return level


def directories(root: Path) -> Iterator[Path]:
    """The root and all below it, in order; links are not followed."""
    yield root
    for path in sorted(root.iterdir()):
        if path.is_dir() and not path.is_symlink() and path.name not in _RESERVED:
            yield from directories(path)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
