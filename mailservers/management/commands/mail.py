"""`manage.py mail export|import LOGIN PATH`: a user's mail out to files and back in, while the server runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from accounts.management.accounts_command import AccountsCommand, count, find_user
from mailservers.management.progress import ProgressLine
from mailservers.transfer.exporting import FORMS, export
from mailservers.transfer.filing import Filing
from mailservers.transfer.importing import NothingFound, import_mail

SHOWN = 50  # refused messages


class Command(AccountsCommand):
    help = "Export a user's mail to mbox, Maildir or eml files, and import such files: byte for byte, folders kept."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("export", help="all folders of a user into an empty directory")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("target", metavar="DEST", type=Path)
        one.add_argument("--format", dest="form", choices=sorted(FORMS), default="mbox")
        one.set_defaults(act=self.export)

        one = actions.add_parser("import", help="mbox files, Maildirs and .eml files: one, or a directory of them")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("source", metavar="SRC", type=Path)
        one.add_argument("--folder", default="", metavar="NAME", help="put it into (a directory: below) this folder")
        one.add_argument("--skip-existing", action="store_true", help="pass over what the folder has already")
        one.set_defaults(act=self.import_files)

    def export(self, login: str, target: Path, form: str, **_: Any) -> None:
        user = find_user(login)
        progress = ProgressLine("messages")
        try:
            messages, folders = export(user.pk, target, form, progress)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        finally:
            progress.end()
        self.stdout.write(f"Exported {count(messages, 'message')} in {count(folders, 'folder')} to {target}")

    def import_files(self, login: str, source: Path, folder: str, skip_existing: bool, **_: Any) -> None:
        user = find_user(login)
        progress = ProgressLine("messages")
        try:
            filed = import_mail(source, Filing(user.pk, skip_existing, progress), folder)
        except NothingFound as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        finally:
            progress.end()
        skipped = f"; {filed.skipped:,} were there already" if skip_existing else ""
        self.stdout.write(f"Imported {count(filed.added, 'message')}{skipped}.")
        for what, why in filed.refused[:SHOWN]:
            self.stderr.write(f"{what}: {why}")
        if filed.refused:
            raise CommandError(f"{count(len(filed.refused), 'message')} refused. Import again with --skip-existing.")
