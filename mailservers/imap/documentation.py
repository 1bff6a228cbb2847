"""The tables of docs/protocols.md on IMAP, made of `extensions.EXTENSIONS` and `commands.COMMANDS`."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from mailservers.imap.commands import COMMANDS
from mailservers.imap.extensions import EXTENSIONS

BEGIN = "<!-- made by `manage.py protocols`: begin -->\n"
END = "<!-- made by `manage.py protocols`: end -->\n"


class Untrue(Exception):
    """A row names a file or a test that is not there."""


def tables(root: Path) -> str:
    """``root``: the repository. Raises `Untrue`."""
    lines = ["| RFC | what | status | files | tests |", "|---|---|---|---|---|"]
    for row in EXTENSIONS:
        for path in (*(f"mailservers/{name}" for name in row.files), *(f"tests/{name}" for name in row.tests)):
            if not (root / path).is_file():
                raise Untrue(f"{path}, named for RFC {row.rfc}, is not there")
        what = ", ".join(filter(None, (*row.names, row.also)))
        lines.append(f"| {row.rfc} | {what} | {row.status} | {_code(row.files)} | {_code(row.tests)} |")
    played = "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "tests" / "imap").glob("test_*.py")))
    lines += ["", "| command | RFC and section | file |", "|---|---|---|"]
    for command in COMMANDS.values():
        if not re.search(rf"\b{command.name}\b", played):
            raise Untrue(f"no test plays {command.name}")
        lines.append(f"| {command.name} | {command.source} | {_code((_file(command.handler),))} |")
    return "\n".join(lines) + "\n"


def _file(handler: object) -> str:
    """Where it is written, below mailservers/."""
    function = handler.func if isinstance(handler, partial) else handler
    return function.__module__.removeprefix("mailservers.").replace(".", "/") + ".py"


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def with_tables(document: str, made: str) -> str:
    """The document with what is between the marks replaced."""
    before, _, rest = document.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise Untrue("docs/protocols.md has lost its marks")
    return before + BEGIN + "\n" + made + "\n" + END + after
