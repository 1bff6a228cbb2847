"""`manage.py check`: Django's checks, then the mail store's invariants; exits with 1 when one is broken."""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError
from django.core.management.commands.check import Command as DjangoCheck
from django.db import connection

from mailservers.models import MailboxMessage, Message
from mailservers.store.soundness import find_faults, left_over_files

SHOWN = 200  # faults


class Command(DjangoCheck):
    help = (DjangoCheck.help or "") + " Then proves the invariants of the mail store (skipped when there is none yet)."

    def handle(self, *app_labels: Any, **options: Any) -> None:
        super().handle(*app_labels, **options)
        if options["list_tags"] or options["tags"] or app_labels:
            return
        if Message._meta.db_table not in connection.introspection.table_names():
            self.stdout.write("No mail store yet.")
            return
        faults = list(find_faults())
        for fault in faults[:SHOWN]:
            self.stderr.write(fault)
        if len(faults) > SHOWN:
            self.stderr.write(f"… and {len(faults) - SHOWN} more")
        if faults:
            raise CommandError(f"The mail store has {len(faults)} faults.")
        left_over = len(left_over_files())
        note = f" ({left_over} left-over files will be swept)" if left_over else ""
        self.stdout.write(
            f"The mail store is sound: {Message.objects.count()} messages"
            f" in {MailboxMessage.objects.count()} places.{note}"
        )
