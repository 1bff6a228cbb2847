"""The statements of the hot path, as SQL, past Django's cursor on SQLite.

That cursor makes three objects for each statement, and puts SQLite's question marks into its text anew each time: more
work than SQLite has with most of these (twelve statements a batch of deliveries, 0.3 ms; 0.1 ms without it). Errors
are Django's all the same, and whoever watches the connection's queries sees these, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections


def fetch(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows; `%s` stands for each of the values, and there is no other `%`."""
    connection = connections[DEFAULT_DB_ALIAS]
    if _needs_django(connection):
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()
    with connection.wrap_database_errors:
        return connection.connection.execute(_in_sqlite(statement), values).fetchall()


def write(statement: str, values: Sequence[Any]) -> int:
    """Run it; the last row id, where the database has one."""
    connection = connections[DEFAULT_DB_ALIAS]
    if _needs_django(connection):
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.lastrowid or 0 if connection.vendor == "sqlite" else 0
    with connection.wrap_database_errors:
        return connection.connection.execute(_in_sqlite(statement), values).lastrowid or 0


def marks(count: int) -> str:
    """For so many values in an IN clause."""
    return ", ".join(["%s"] * count)


def to_moment(moment: datetime) -> Any:
    """As the database holds and compares it."""
    return connections[DEFAULT_DB_ALIAS].ops.adapt_datetimefield_value(moment)


def from_moment(value: Any) -> Any:
    """What `fetch` gives, as an aware datetime, or None. SQLite has text, which the driver reads where it comes
    straight from a column."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _needs_django(connection: Any) -> bool:
    """Another database, or somebody watches; and it opens the connection where there is none."""
    return (
        connection.vendor != "sqlite"
        or connection.connection is None
        or bool(connection.execute_wrappers)
        or connection.queries_logged
    )


@lru_cache(maxsize=512)
def _in_sqlite(statement: str) -> str:
    return statement.replace("%s", "?")
