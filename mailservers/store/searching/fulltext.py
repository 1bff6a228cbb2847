"""The full-text index: which contents can hold a text. It narrows; it never decides.

SQLite: one FTS5 table of trigrams, without positions and without the text itself (docs/decisions/0007).
Asking for a text asks for all its trigrams, so a few contents too many may come, never one too few. PostgreSQL: none
yet, and everything is looked through; `condition` says None.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

TABLE = "mailservers_textindex"
TRIGRAM = 3
MAX_TRIGRAMS = 24  # asked for; more narrow no further

Row = tuple[int, str]  # Message.pk, folded text


def is_here() -> bool:
    return connection.vendor == "sqlite"


def condition(text: str) -> tuple[str, list[str]] | None:
    """SQL for "the content {column} can hold this folded text", with its parameters; None where that is any."""
    if not is_here() or len(text) < TRIGRAM:
        return None
    count = len(text) - TRIGRAM + 1
    step = max(1, -(-count // MAX_TRIGRAMS))
    trigrams = {text[at : at + TRIGRAM] for at in range(0, count, step)}
    match = " AND ".join(sorted('"' + trigram.replace('"', '""') + '"' for trigram in trigrams))
    return f"SELECT rowid FROM {TABLE} WHERE {TABLE} MATCH %s", [match]


def add(rows: Iterable[Row]) -> None:
    _write(f"INSERT INTO {TABLE} (rowid, text) VALUES (%s, %s)", rows)


def remove(rows: Iterable[Row]) -> None:
    """The texts must be those that were added."""
    _write(f"INSERT INTO {TABLE} ({TABLE}, rowid, text) VALUES ('delete', %s, %s)", rows)


def clear() -> None:
    if is_here():
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {TABLE} ({TABLE}) VALUES ('delete-all')")


def _write(statement: str, rows: Iterable[Row]) -> None:
    if is_here():
        with connection.cursor() as cursor:
            cursor.executemany(statement, list(rows))
