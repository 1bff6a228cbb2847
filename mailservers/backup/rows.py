"""Rows from one database to another, table by table, through Django's fields: how a snapshot is made of PostgreSQL,
and how one is put back into it. SQLite to SQLite is a copy of the file instead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from django.apps import apps
from django.core.management.color import no_style
from django.db import connections, models
from django.db.migrations.recorder import MigrationRecorder

APPS = ("accounts", "mailservers")
CHUNK = 500  # rows
ALIAS = "backup"


@contextlib.contextmanager
def sqlite_file(path: Path) -> Iterator[str]:
    """An alias for Django's database layer, for an SQLite file outside the settings."""
    base = connections.databases["default"]
    connections.databases[ALIAS] = {
        **base,
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {},
        "CONN_MAX_AGE": 0,
        "TEST": {**base["TEST"], "NAME": None},
    }
    try:
        yield ALIAS
    finally:
        if hasattr(connections._connections, ALIAS):  # type: ignore[attr-defined]
            connections[ALIAS].close()
            del connections[ALIAS]
        del connections.databases[ALIAS]


def tables() -> list[type[models.Model]]:
    """All tables of ours, those that others refer to first."""
    ordered: list[type[models.Model]] = []
    waiting = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    while waiting:
        for model in list(waiting):
            needs = {field.related_model for field in model._meta.concrete_fields if field.related_model}
            if not needs & ({*waiting} - {model}):
                ordered.append(model)
                waiting.remove(model)
    return ordered


def make_tables(alias: str) -> None:
    """Empty tables as the models are now, and the list of migrations that led to them. (Migrations themselves are not
    run: what they do to data, they do to the configured database.)"""
    with connections[alias].schema_editor() as editor:
        for model in tables():
            editor.create_model(model)
    recorder = MigrationRecorder(connections[alias])
    recorder.ensure_schema()
    for app, name in sorted(migrations("default")):
        recorder.record_applied(app, name)


def migrations(alias: str) -> set[tuple[str, str]]:
    """Which migrations of ours a database has seen: rows go only between databases where they are the same."""
    applied = MigrationRecorder(connections[alias]).applied_migrations()
    return {(app, name) for app, name in applied if app in APPS}


def copy_rows(source: str, target: str) -> int:
    """Copy every row of every table; the target's tables are there and empty. How many there were."""
    total = 0
    for model in tables():
        fields = model._meta.concrete_fields
        names = ", ".join(connections[target].ops.quote_name(f.column or "") for f in fields)
        marks = ", ".join(["%s"] * len(fields))
        statement = f"INSERT INTO {model._meta.db_table} ({names}) VALUES ({marks})"
        rows = iter(
            model._base_manager.using(source).order_by("pk").values_list(*(f.attname for f in fields)).iterator(CHUNK)
        )
        while chunk := list(islice(rows, CHUNK)):
            prepared = [
                [f.get_db_prep_save(v, connections[target]) for f, v in zip(fields, row, strict=True)] for row in chunk
            ]
            with connections[target].cursor() as cursor:
                cursor.executemany(statement, prepared)
            total += len(chunk)
    return total


def set_sequences(alias: str) -> None:
    """After rows came with their ids: the next id of each table is a new one."""
    statements = connections[alias].ops.sequence_reset_sql(no_style(), tables())
    with connections[alias].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
