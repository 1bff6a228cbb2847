"""`manage.py undelete list|restore|purge LOGIN`: what a user has deleted, while it is kept (POSTROOM_UNDELETE_DAYS)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser
from django.utils import timezone

from accounts.management.accounts_command import AccountsCommand, count, find_user
from accounts.services import COMMAND_LINE, audit, names
from mailservers.store.engine import store
from mailservers.store.retention import STEP
from mailservers.store.transaction import Transaction
from mailservers.store.undeleting import DeletedRow, deleted_page, purge, restore


class Command(AccountsCommand):
    help = "Deleted mail of a user: list it, restore it, or give it up for good."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("list", help="what can be restored, the last deleted first")
        one.add_argument("login", metavar="LOGIN")
        one.set_defaults(act=self.list_deleted)

        one = actions.add_parser("restore", help="put messages back where they were")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("ids", metavar="ID", nargs="*", type=int, help="as `undelete list` shows them")
        one.add_argument("--all", action="store_true", help="everything that was deleted")
        one.add_argument("--from", dest="mailbox", default="", metavar="FOLDER", help="only what was in this folder")
        one.add_argument("--into", default="", metavar="FOLDER", help="put them there, made if it is missing")
        one.set_defaults(act=self.restore)

        one = actions.add_parser("purge", help="give all of it up at once, for good")
        one.add_argument("login", metavar="LOGIN")
        one.set_defaults(act=self.purge)

    def list_deleted(self, login: str, **_: Any) -> None:
        user = find_user(login)
        rows = [
            (
                str(row.id),
                f"{timezone.localtime(row.deleted_at):%Y-%m-%d %H:%M}",
                row.mailbox_name,
                names.format_octets(row.size),
                row.from_address or "-",
                row.subject[:60] or "-",
            )
            for row in every_deleted(user.pk)
        ]
        if not rows:
            self.stdout.write(f"Nothing of {user.login}'s can be restored.")
            return
        self.table(("ID", "DELETED", "FOLDER", "SIZE", "FROM", "SUBJECT"), rows)

    def restore(self, login: str, ids: list[int], all: bool, mailbox: str, into: str, **_: Any) -> None:
        user = find_user(login)
        if not (ids or all or mailbox):
            raise CommandError("say which: IDs, --from FOLDER, or --all")
        wanted = ids or [row.id for row in every_deleted(user.pk) if mailbox in ("", row.mailbox_name)]
        back = 0
        for start in range(0, len(wanted), STEP):
            step = sorted(wanted)[start : start + STEP]
            back += store.call_sync(_restore_and_note, user.pk, user.login, step, into)
        self.stdout.write(f"Restored {count(back, 'message')} of {user.login}'s.")

    def purge(self, login: str, **_: Any) -> None:
        user = find_user(login)
        gone = 0
        while step := store.call_sync(purge, user.pk):
            gone += step
        store.call_sync(_note, "user.purge_deleted", user.login, gone)
        self.stdout.write(f"{count(gone, 'deleted message')} of {user.login}'s gone for good.")


def every_deleted(owner_id: int) -> Iterator[DeletedRow]:
    before = 0
    while rows := deleted_page(owner_id, before, STEP):
        yield from rows
        before = rows[-1].id


def _restore_and_note(tx: Transaction, owner_id: int, login: str, ids: list[int], into: str) -> int:
    back = restore(tx, owner_id, ids, into)
    audit.record(COMMAND_LINE, "user.undelete", login, messages=back)
    return back


def _note(tx: Transaction, action: str, login: str, messages: int) -> None:
    audit.record(COMMAND_LINE, action, login, messages=messages)
