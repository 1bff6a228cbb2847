"""What the commands for accounts share: a database that is there, and errors of one line with exit code 1."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.utils import timezone
from ninja import Schema

from accounts.models import Credential, Domain, User
from accounts.services import COMMAND_LINE, add_credential
from accounts.services.credentials import NewSecret
from mailservers.store.engine import store
from mailservers.store.errors import StoreError


class AccountsCommand(BaseCommand):
    """Subclasses add subcommands, each with `set_defaults(act=method)`; a `StoreError` becomes one line."""

    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.make_database()
        try:
            options["act"](**options)
            self.stdout.flush()
        except BrokenPipeError:  # `users list | head`: whoever read has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except StoreError as error:
            raise CommandError(str(error)) from None
        finally:
            store.close()
            store.reopen()

    def make_database(self) -> None:
        """On a data directory that has none yet."""
        if Domain._meta.db_table in connection.introspection.table_names():
            return
        self.stderr.write(f"Making a new mail store in {settings.DATA_DIR}")
        for alias in settings.DATABASES:
            call_command("migrate", database=alias, verbosity=0)

    def table(self, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        """Columns as wide as their widest cell."""
        widths = [max(len(cell) for cell in column) for column in zip(head, *rows)]
        for cells in (head, *rows):
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip())

    @staticmethod
    def json_argument(parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="as the REST API says it, for programs")

    def write_json(self, schema: type[Schema], rows: Iterable[Any]) -> None:
        """The rows as the REST API's items."""
        items = [schema.from_orm(row).model_dump(mode="json") for row in rows]
        self.stdout.write(json.dumps(items, indent=2, ensure_ascii=False))

    # ------------------------------------------------------------ app passwords and tokens

    def store_credential(
        self, user: User, secret: NewSecret, name: str, scopes: Sequence[str], days: int | None
    ) -> None:
        expires_at = None if days is None else timezone.now() + timedelta(days=days)
        store.call_sync(
            add_credential, user.pk, secret, name=name, scopes=scopes, expires_at=expires_at, actor=COMMAND_LINE
        )

    def list_credentials(self, user: User, kind: Credential.Kind) -> None:
        rows = [
            (
                row.name,
                row.scopes,
                f"{row.created_at:%Y-%m-%d}",
                f"{row.expires_at:%Y-%m-%d}" if row.expires_at else "-",
            )
            for row in Credential.objects.filter(user=user, kind=kind).order_by("name")
        ]
        if rows:
            self.table(("NAME", "SCOPES", "MADE", "EXPIRES"), rows)
        else:
            self.stdout.write("None.")


def find_user(login: str) -> User:
    user = User.objects.filter(login=login.strip().lower()).first()
    if user is None:
        raise CommandError(f"there is no user {login}")
    return user


def find_domain(name: str) -> Domain:
    domain = Domain.objects.filter(name=name.strip().lower()).first()
    if domain is None:
        raise CommandError(f"there is no domain {name}")
    return domain


def count(number: int, thing: str) -> str:
    """ "1 user", "2 users"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
