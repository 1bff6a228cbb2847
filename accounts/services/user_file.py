"""A CSV file of users: header `login` and, optional, `password,name,quota,role`, in any order.

What is written can be read again. A cell that a spreadsheet would take for a formula gets a `'` in front, which reading
takes off."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from accounts.models import User
from accounts.services.importing import ImportRow

REQUIRED = ("login",)
OPTIONAL = ("password", "name", "quota", "role")
MAX_ROWS = 100_000
_FORMULA = ("=", "+", "-", "@", "\t", "'")  # how a cell begins that is more than text to a spreadsheet


class UnreadableFile(Exception):
    """The file as a whole cannot be read; the text says why, for the one who has it before them."""


@dataclass(slots=True)
class UserFile:
    """The rows that have the right shape, and (line, reason) for the others."""

    rows: list[ImportRow] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)


def read_users(data: bytes) -> UserFile:
    """UTF-8 (a byte order mark is fine), comma or semicolon between columns. Raises `UnreadableFile`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"line {line} is not UTF-8") from None
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first and "," not in first else ",")
    result = UserFile()
    try:
        columns = _columns(next(reader, []))
        start = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                _take(result, start, columns, cells)
            start = reader.line_num + 1
    except csv.Error as error:
        raise UnreadableFile(f"line {reader.line_num}: {error}") from None
    return result


def _columns(header: list[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in header]
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise UnreadableFile(
            f"the first line must name the columns: {','.join(REQUIRED + OPTIONAL)} (missing: {', '.join(missing)})"
        )
    for name in columns:
        if name not in REQUIRED + OPTIONAL:
            raise UnreadableFile(f"unknown column “{name}”; known are {', '.join(REQUIRED + OPTIONAL)}")
        if columns.count(name) > 1:
            raise UnreadableFile(f"the column “{name}” is there twice")
    return columns


def _take(result: UserFile, line: int, columns: list[str], cells: list[str]) -> None:
    if len(cells) > len(columns):
        result.problems.append((line, f"{len(cells)} values for {len(columns)} columns"))
        return
    if len(result.rows) >= MAX_ROWS:
        raise UnreadableFile(f"more than {MAX_ROWS:,} users: split the file")
    values = dict(zip(columns, cells))
    if "name" in values:
        values["name"] = _as_read(values["name"])
    result.rows.append(ImportRow(line, **{"login": "", **values}))


def write_users(users: Iterable[User]) -> Iterator[str]:
    """Lines of a file that `read_users` reads; passwords are known to nobody."""
    for cells in _rows(users):
        line = io.StringIO()
        csv.writer(line).writerow(cells)
        yield line.getvalue()


def _rows(users: Iterable[User]) -> Iterator[tuple[str, ...]]:
    yield "login", "name", "quota", "role"
    for user in users:
        yield user.login, _as_written(user.name), str(user.quota_octets or ""), user.role


def _as_written(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _as_read(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text
