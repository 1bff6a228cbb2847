"""`manage.py protocols [--check]`: write the tables on IMAP in docs/protocols.md, or say whether they are stale."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError

from mailservers.imap.documentation import Untrue, tables, with_tables


class Command(BaseCommand):
    help = "Writes the tables on IMAP in docs/protocols.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail where the tables are stale")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        path = settings.BASE_DIR / "docs" / "protocols.md"
        document = path.read_text(encoding="utf-8")
        try:
            wanted = with_tables(document, tables(settings.BASE_DIR))
        except Untrue as error:
            raise CommandError(str(error)) from error
        if check and wanted != document:
            raise CommandError("docs/protocols.md is stale: run manage.py protocols")
        if not check:
            path.write_text(wanted, encoding="utf-8")
