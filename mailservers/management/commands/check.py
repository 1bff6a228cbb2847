"""`manage.py check [--deep] [--repair [--from BACKUP]]`: Django's checks, then the mail store's invariants.

Exits with 0 when all is sound (or was repaired), with 1 when a fault is left. See docs/operations.md.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.commands.check import Command as DjangoCheck
from django.db import connection

from accounts.services.health import note_check
from mailservers.backup.archive import BackupError
from mailservers.backup.reading import BackupReader
from mailservers.management.progress import ProgressLine
from mailservers.models import MailboxMessage, Message
from mailservers.store.deep import BadContent, bad_contents, database_faults, fault_of
from mailservers.store.engine import store
from mailservers.store.repairing import mend, refill
from mailservers.store.soundness import find_faults, left_over_bodies

SHOWN = 200  # faults


class Command(DjangoCheck):
    help = (DjangoCheck.help or "") + " Then proves the invariants of the mail store (skipped when there is none yet)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)  # type: ignore[arg-type]
        parser.add_argument("--deep", action="store_true", help="read every message and compare its digest")
        parser.add_argument("--repair", action="store_true", help="mend what can be mended")
        parser.add_argument("--from", dest="backup", type=Path, metavar="BACKUP", help="with --repair: lost octets")

    def handle(self, *app_labels: Any, **options: Any) -> None:
        super().handle(*app_labels, **options)
        if options["list_tags"] or options["tags"] or app_labels:
            return
        if Message._meta.db_table not in connection.introspection.table_names():
            self.stdout.write("No mail store yet.")
            return
        try:
            self._prove(options["deep"], options["repair"], options["backup"])
        except BackupError as error:
            raise CommandError(str(error)) from None
        finally:
            store.close()
            store.reopen()

    def _prove(self, deep: bool, repair: bool, backup: Path | None) -> None:
        if backup is not None and not repair:
            raise CommandError("--from goes with --repair")
        bad = self._read_all() if deep or backup is not None else []
        faults = [*(database_faults() if deep else ()), *find_faults(), *map(str, bad)]
        if repair:
            self._show(faults)
            faults = self._repair(bad, backup)
        self._show(faults)
        store.call_sync(note_check, len(faults))
        if faults:
            raise CommandError(f"The mail store has {len(faults)} faults{' left' if repair else ''}.")
        left_over = len(left_over_bodies())
        note = f" ({left_over} left-over files will be swept)" if left_over else ""
        self.stdout.write(
            f"The mail store is sound{', every digest is right' if deep else ''}: {Message.objects.count()} messages"
            f" in {MailboxMessage.objects.count()} places.{note}"
        )

    def _read_all(self) -> list[BadContent]:
        line = ProgressLine("messages")
        try:
            return list(bad_contents(line))
        finally:
            line.end()

    def _repair(self, bad: list[BadContent], backup: Path | None) -> list[str]:
        """What is left after it."""
        for sentence in mend():
            self.stdout.write(f"Repaired: {sentence}")
        if backup is not None and bad:
            with BackupReader(backup) as reader:
                for content in bad:
                    if refill(content.message_id, content.sha256, reader.octets):
                        self.stdout.write(f"Repaired: message {content.message_id} has its octets from {backup}")
        return [*find_faults(), *(str(content) for content in bad if fault_of(content.message_id))]

    def _show(self, faults: list[str]) -> None:
        for fault in faults[:SHOWN]:
            self.stderr.write(fault)
        if len(faults) > SHOWN:
            self.stderr.write(f"… and {len(faults) - SHOWN} more")
