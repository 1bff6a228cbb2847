"""Writing many rows of one table with one statement.

The hot operations write four tables for each message; `bulk_create` spends more time on building its statement than
SQLite on running it (1.6 ms a message in batches of eight against 0.3 ms). Values go through the field's own
conversion only where a database needs one (dates, JSON), a column at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from itertools import chain
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models

from mailservers.store.statements import fetch, write

Convert = Callable[[Iterable[Any]], list[Any]]  # the values of a column
_to_json = json.JSONEncoder().encode


ROWS_A_STATEMENT = 64


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows with certain columns go into a table."""

    start: str  # INSERT INTO … VALUES
    marks: str  # of one row
    returning: str  # RETURNING the key; "" where the last rowid tells them all
    converters: tuple[tuple[int, Convert], ...]  # by the place of the column in a row


def insert(
    model: type[models.Model], columns: tuple[str, ...], rows: Sequence[Sequence[Any]], *, want_ids: bool = True
) -> list[int]:
    """Insert `rows` (values in the order of `columns`, which are attribute names); the new ids in the same order.

    Ids are there with `want_ids` only, and for tables with a generated integer key. One statement writes many rows:
    `executemany` gives the interpreter lock away, and waits for it again, for each of them."""
    plan = _plan(model, columns, connections[DEFAULT_DB_ALIAS].vendor)
    ids: list[int] = []
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        ids += _insert(plan, rows[start : start + ROWS_A_STATEMENT], want_ids)
    return ids


def _insert(plan: _Plan, rows: Sequence[Sequence[Any]], want_ids: bool) -> Iterable[int]:
    for at, convert in plan.converters:
        values = convert([row[at] for row in rows])
        rows = [(*row[:at], value, *row[at + 1 :]) for row, value in zip(rows, values, strict=True)]
    statement = _statement(plan, len(rows), want_ids)
    values = list(chain.from_iterable(rows))
    if want_ids and plan.returning:
        return [row[0] for row in fetch(statement, values)]
    last = write(statement, values)  # AUTOINCREMENT, and no other writer in this transaction
    return range(last - len(rows) + 1, last + 1) if want_ids else ()


def execute_rows(statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run a statement in which `{}` stands for the rows of a VALUES clause, for many rows at once."""
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        some = rows[start : start + ROWS_A_STATEMENT]
        write(_with_marks(statement, len(some), len(some[0])), list(chain.from_iterable(some)))


@lru_cache(maxsize=512)
def _with_marks(statement: str, rows: int, columns: int) -> str:
    marks = f"({', '.join(['%s'] * columns)})"
    return statement.format(", ".join([marks] * rows))


@lru_cache(maxsize=512)
def _statement(plan: _Plan, rows: int, want_ids: bool) -> str:
    return plan.start + ", ".join([plan.marks] * rows) + (plan.returning if want_ids else "")


@lru_cache(maxsize=32)
def _plan(model: type[models.Model], columns: tuple[str, ...], vendor: str) -> _Plan:
    connection = connections[DEFAULT_DB_ALIAS]
    by_attribute = {field.attname: field for field in model._meta.concrete_fields}
    fields = [by_attribute[name] for name in columns]
    names = ", ".join(connection.ops.quote_name(field.column or "") for field in fields)
    converters = [(at, _converter(field, vendor)) for at, field in enumerate(fields)]
    return _Plan(
        f"INSERT INTO {model._meta.db_table} ({names}) VALUES ",
        f"({', '.join(['%s'] * len(fields))})",
        "" if vendor == "sqlite" else f" RETURNING {connection.ops.quote_name(model._meta.pk.column or '')}",
        tuple((at, convert) for at, convert in converters if convert is not None),
    )


def _converter(field: models.Field[Any, Any], vendor: str) -> Convert | None:
    if isinstance(field, models.JSONField):
        if vendor == "sqlite":
            return lambda values: [_to_json(value) for value in values]
        return lambda values: [field.get_db_prep_value(value, connections[DEFAULT_DB_ALIAS]) for value in values]
    if isinstance(field, models.DateTimeField) and vendor == "sqlite":
        return _dates
    return None


def _dates(values: Iterable[Any]) -> list[Any]:
    """As Django writes them into SQLite. Most rows of a batch have the one moment of its transaction."""
    converted: list[Any] = []
    last = text = None
    for value in values:
        if value is not last:
            last, text = value, str(value.astimezone(UTC).replace(tzinfo=None)) if value is not None else None
        converted.append(text)
    return converted
