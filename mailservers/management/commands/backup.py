"""`manage.py backup create|verify|restore`: while the server runs. See docs/operations.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser

from accounts.services import names
from accounts.services.health import note_backup
from mailservers.backup.archive import BackupError
from mailservers.backup.creating import create, verify
from mailservers.backup.restoring import Restored, restore_all, restore_message, restore_user
from mailservers.management.progress import ProgressLine
from mailservers.store.engine import store
from mailservers.store.errors import StoreError

SHOWN = 50  # faults


class Command(BaseCommand):
    help = "Back up the whole installation, prove a backup, and restore: all, one user, or one message."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("create", help="make a backup; the server goes on")
        one.add_argument("target", metavar="DEST", type=Path, help="a directory that is not there yet")
        one.add_argument("--earlier", type=Path, metavar="BACKUP", help="take unchanged files from this one")
        one.set_defaults(act=self.create)

        one = actions.add_parser("verify", help="read all of a backup and compare every digest")
        one.add_argument("source", metavar="BACKUP", type=Path)
        one.set_defaults(act=self.verify)

        one = actions.add_parser("restore", help="all, with --data-dir EMPTY; or one user or message into this")
        one.add_argument("source", metavar="BACKUP", type=Path)
        one.add_argument("--release-queue", action="store_true", help="send what waited then, without being asked")
        one.add_argument("--user", metavar="LOGIN", help="only this user's mail, into the running installation")
        one.add_argument("--message", metavar="ID", help="only this message: its Message-ID, or its SHA-256")
        one.add_argument("--folder", default="", metavar="NAME", help="put them below this folder")
        one.set_defaults(act=self.restore)

    def handle(self, *args: Any, **options: Any) -> None:
        self.progress = ProgressLine("")
        try:
            options["act"](**options)
        except (BackupError, StoreError) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")) from None
        finally:
            self.progress.end()
            store.close()
            store.reopen()

    def create(self, target: Path, earlier: Path | None, **_: Any) -> None:
        self.progress = ProgressLine("files")
        created = create(target, earlier, self.progress)
        self.progress.end()
        linked = f" ({created.linked:,} from the earlier backup)" if created.linked else ""
        self.stdout.write(
            f"Backed up {created.messages:,} messages; {created.blobs:,} large ones in files{linked},"
            f" {names.format_octets(created.octets)}, to {target}"
        )
        store.call_sync(note_backup, len(created.missing))
        if created.missing:
            for name in created.missing[:SHOWN]:
                self.stderr.write(f"file {name}: a message names it, but it is missing in the mail store")
            raise CommandError(f"{len(created.missing)} files were missing: see `manage.py check --deep`")

    def verify(self, source: Path, **_: Any) -> None:
        self.progress = ProgressLine("messages")
        faults = list(verify(source, self.progress))
        self.progress.end()
        for fault in faults[:SHOWN]:
            self.stderr.write(fault)
        if len(faults) > SHOWN:
            self.stderr.write(f"… and {len(faults) - SHOWN} more")
        if faults:
            raise CommandError(f"{source} has {len(faults)} faults.")
        self.stdout.write(f"{source} is whole.")

    def restore(
        self,
        source: Path,
        release_queue: bool,
        user: str | None,
        message: str | None,
        folder: str,
        **_: Any,
    ) -> None:
        if message:
            self._say(restore_message(source, message, user and user.lower(), folder))
        elif user:
            self.progress = ProgressLine("messages")
            self._say(restore_user(source, user.lower(), folder, self.progress))
        else:
            data_dir = Path(settings.DATA_DIR)  # manage.py has taken --data-dir before the settings were read
            self.progress = ProgressLine("files")
            restore_all(source, data_dir, hold_queue=not release_queue, progress=self.progress)
            self.progress.end()
            held = "" if release_queue else " Mail that waited to be sent is held: let it go in the console's queue."
            self.stdout.write(f"Restored {source} to {data_dir}. Now `serve --data-dir {data_dir}`.{held}")

    def _say(self, restored: Restored) -> None:
        self.progress.end()
        for login in restored.made:
            self.stdout.write(f"Made {login} again, with the password of then.")
        filed = restored.filed
        self.stdout.write(f"Restored {filed.added:,} messages; {filed.skipped:,} were there already.")
        for what, why in filed.refused[:SHOWN]:
            self.stderr.write(f"{what}: {why}")
        lost = len(filed.refused) + restored.damaged
        if lost:
            raise CommandError(f"{lost:,} messages could not be restored ({restored.damaged:,} damaged in the backup).")
