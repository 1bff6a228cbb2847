"""`manage.py runmail`: mail listeners and the outgoing queue, with the web served elsewhere."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import CommandError
from django.core.management.base import BaseCommand

from mailservers.management import serving
from mailservers.process import PARTS

MAIL_PARTS = tuple(part for part in PARTS if part != "web")


class Command(BaseCommand):
    help = "Run mail listeners and the outgoing queue without the web (see gunicorn config.asgi:application)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", default=",".join(MAIL_PARTS), help="any of " + ",".join(MAIL_PARTS))
        parser.add_argument("--ready-file", help="write this JSON file once all listeners accept")

    def handle(self, *args: Any, **options: Any) -> None:
        parts = frozenset(part.strip() for part in options["only"].split(",") if part.strip())
        unknown = parts - set(MAIL_PARTS)
        if unknown or not parts:
            raise CommandError(f"--only takes any of {','.join(MAIL_PARTS)}, separated by commas")
        serving.migrate()
        serving.run(parts, self._announce, options["ready_file"], {})
        self.stdout.write("Ended cleanly.")

    def _announce(self, state: dict[str, Any]) -> None:
        ports = ", ".join(f"{name} {port}" for name, port in state["ports"].items())
        self.stdout.write(f"Postroom is ready: {ports or 'the outgoing queue'}. Ctrl-C ends it.")
