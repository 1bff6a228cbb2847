"""`manage.py serve`: the whole mail system in one process."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.urls import reverse

from accounts.models import Role, User
from accounts.services.set_up import is_needed, new_set_up_token
from accounts.sign_in.tokens import make_one_time_link
from mailservers.management import serving
from mailservers.process import PARTS
from mailservers.seeding import seed_demo
from mailservers.store.engine import store

PORT_LINES = (
    ("web", "Webmail and console", "http://{host}:{port}/"),
    ("https", "Webmail and console, TLS", "https://{host}:{port}/"),
    ("smtp", "SMTP, mail from other hosts", "{host}:{port}"),
    ("submission", "Submission, STARTTLS", "{host}:{port}"),
    ("submissions", "Submission, TLS", "{host}:{port}"),
    ("imap", "IMAP, STARTTLS", "{host}:{port}"),
    ("imaps", "IMAP, TLS", "{host}:{port}"),
    ("pop3", "POP3, STLS", "{host}:{port}"),
    ("pop3s", "POP3, TLS", "{host}:{port}"),
)


class Command(BaseCommand):
    help = "Run web, SMTP, submission, IMAP, POP3 and the outgoing queue in one process."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ready-file", help="write this JSON file once all listeners accept")
        parser.add_argument("--demo", action="store_true", help="fill an empty installation with a demo organisation")

    def handle(self, *args: Any, **options: Any) -> None:
        lock = serving.lock_data_dir()
        serving.migrate()
        accounts = seed_demo() if options["demo"] else []
        extra = {"accounts": accounts, "admin_link": _admin_link(), "set_up_link": _set_up_link()}
        try:
            serving.run(frozenset(PARTS), self._announce, options["ready_file"], extra)
        finally:
            if lock is not None:
                lock.close()
        self.stdout.write("Ended cleanly.")

    def _announce(self, state: dict[str, Any]) -> None:
        """One screen for the person who started it."""
        host = serving.web_host()
        write = self.stdout.write
        write("\nPostroom is ready. State lives in " + str(settings.DATA_DIR) + "\n")
        if state["admin_link"]:
            write(f"  Sign in once, as administrator, within 24 hours:\n  {state['admin_link']}\n")
        else:
            write(f"  Nobody is here yet. Become the owner, in a browser:\n  {state['set_up_link']}\n")
        for name, label, form in (line for line in PORT_LINES if line[0] in state["ports"]):
            write(f"  {label:<30} {form.format(host=host, port=state['ports'][name])}")
        if state["accounts"]:
            write("\n  Demo accounts (these passwords were made for this installation):")
            for account in state["accounts"]:
                write(f"  {account['login']:<30} {account['password']}")
        write("\n  The certificate is " + ("yours." if settings.TLS_CERT_FILE else "self-signed."))
        write("  Ctrl-C ends it.\n")


def _admin_link() -> str | None:
    admin = User.objects.filter(role=Role.ADMIN, is_active=True, domain__is_active=True).order_by("pk").first()
    return make_one_time_link(admin.pk) if admin is not None else None


def _set_up_link() -> str | None:
    return reverse("set-up", args=[store.call_sync(new_set_up_token)]) if is_needed() else None
