"""`manage.py users import|list|add|quota|password|link|invite|disable|enable|delete|app-password`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import CommandParser

from accounts.api.users import UserOut
from accounts.auth.app_secrets import SCOPES
from accounts.auth.scram import Keys
from accounts.management.accounts_command import AccountsCommand, count, find_domain, find_user
from accounts.models import Credential, Role, User
from accounts.services import (
    COMMAND_LINE,
    ImportReport,
    create_user,
    delete_user,
    generate_password,
    hash_given,
    hash_typed,
    import_users,
    names,
    new_app_password,
    note_one_time_link,
    remove_user,
    restore_user,
    revoke_credential,
    scram_keys_for,
    set_password,
    set_user_active,
    set_user_quota,
    update_user,
)
from accounts.services.user_file import UnreadableFile, read_users
from accounts.sign_in.tokens import INVITATION_LIFETIME, LIFETIME, make_one_time_link, make_password_link
from mailservers.models import Usage
from mailservers.store.engine import store

NO_USAGE = Usage()
SHOWN_PROBLEMS = 50


class Command(AccountsCommand):
    help = "Users: import from a CSV file, list, add, set passwords, make sign-in links, switch off and on, delete."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("import", help="make many users from a CSV file: login,password,name,quota,role")
        one.add_argument("file", metavar="FILE.csv", help="“-” reads standard input")
        one.add_argument("--create-domains", action="store_true", help="make the domains that are missing")
        one.add_argument("--skip-bad", action="store_true", help="import the good lines even if others are bad")
        one.add_argument("--invite", action="store_true", help="lines may have no password: print a link for each")
        one.add_argument("--dry-run", action="store_true", help="change nothing; say what is wrong, line by line")
        one.set_defaults(act=self.import_file)

        one = actions.add_parser("list", help="all users, or those of one domain")
        self.json_argument(one)
        one.add_argument("domain", nargs="?", help="only this domain's")
        one.set_defaults(act=self.list_users)

        one = actions.add_parser("add", help="one user; the password is made and printed unless given")
        one.add_argument("login", metavar="LOGIN", help="the e-mail address")
        one.add_argument("--name", default="", help="the person's name")
        one.add_argument("--admin", action="store_true", help="an owner: may do everything in the console")
        one.add_argument("--role", choices=Role.values, default=Role.USER.value, help="user if left out")
        one.add_argument("--for", nargs="+", default=[], dest="domains", metavar="DOMAIN", help="what the role is for")
        one.add_argument("--quota", default="", help="500M, 2G; no limit if left out")
        one.add_argument("--quota-messages", default="", metavar="N", help="how many messages; no limit if left out")
        one.add_argument("--invite", action="store_true", help="print a link to choose a password, instead of one")
        self.password_argument(one)
        one.set_defaults(act=self.add_user)

        one = actions.add_parser("password", help="a new password; made and printed unless given")
        one.add_argument("login", metavar="LOGIN")
        self.password_argument(one)
        one.set_defaults(act=self.new_password)

        one = actions.add_parser("quota", help="how much mail a user may keep; what is left out has no limit")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("--quota", default="", help="500M, 2G")
        one.add_argument("--quota-messages", default="", metavar="N", help="how many messages")
        one.set_defaults(act=self.set_quota)

        one = actions.add_parser("role", help="what a user may do in the console")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("role", choices=Role.values)
        one.add_argument("--for", nargs="+", default=[], dest="domains", metavar="DOMAIN", help="what the role is for")
        one.set_defaults(act=self.set_role)

        one = actions.add_parser("set", help="how a user's mail is treated; what is left out stays")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("--stores-sent", choices=("yes", "no"), help="mail handed in over SMTP goes into Sent, too")
        one.add_argument("--tags-to-folders", choices=("yes", "no"), help="user+tag goes to the folder of that name")
        one.set_defaults(act=self.set_treatment)

        for action, act, text in (
            ("link", self.sign_in_link, "print a link that signs in once"),
            ("invite", self.invite, "print a link with which the user chooses a password"),
            ("disable", self.disable, "no sign-in and no mail any more; everything is kept"),
            ("enable", self.enable, "undo disable"),
            ("restore", self.restore, "undo delete, while there is time"),
        ):
            one = actions.add_parser(action, help=text)
            one.add_argument("login", metavar="LOGIN")
            one.set_defaults(act=act)

        one = actions.add_parser("delete", help="take a user away with all mail; can be restored for some days")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("--now", action="store_true", help="for good, at once")
        one.add_argument("--yes", action="store_true", help="do not ask")
        one.set_defaults(act=self.delete)

        self.app_password_arguments(actions.add_parser("app-password", help="a user's app passwords"))

    def app_password_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("add", help="make one and print it, once")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("name", metavar="NAME", help="where it is used: “phone”")
        one.add_argument("--scope", nargs="+", choices=SCOPES, default=SCOPES, help="what it opens; all if left out")
        one.add_argument("--days", type=int, help="works so long; for ever if left out")
        one.set_defaults(act=self.add_app_password)
        one = actions.add_parser("list", help="names and scopes")
        one.add_argument("login", metavar="LOGIN")
        one.set_defaults(act=self.list_app_passwords)
        one = actions.add_parser("revoke", help="it works no more, and its sessions end")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("name", metavar="NAME")
        one.set_defaults(act=self.revoke_app_password)

    def password_argument(self, parser: CommandParser) -> None:
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    # ------------------------------------------------------------ many

    def import_file(
        self, file: str, create_domains: bool, skip_bad: bool, invite: bool, dry_run: bool, **_: Any
    ) -> None:
        try:
            data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
            users = read_users(data)
        except (OSError, UnreadableFile) as error:
            raise CommandError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
        started = time.monotonic()
        report = import_users(
            users.rows,
            create_domains,
            actor=COMMAND_LINE,
            skip_bad=skip_bad,
            invites=invite,
            dry_run=dry_run,
            problems=users.problems,
        )
        self.print_problems(report)
        if report.domains:
            self.stdout.write(f"New domains: {', '.join(report.domains)}")
        for user_id, login in report.invited:
            self.stdout.write(f"{login}  {self.password_link(user_id)}")
        seconds = time.monotonic() - started
        if dry_run:
            self.stdout.write(f"Nothing was changed. {count(report.users, 'user')} would be imported.")
        elif report.users or not report.problems:
            self.stdout.write(f"Imported {count(report.users, 'user')} in {seconds:.1f} s.")
        if report.problems and not (skip_bad and report.users):
            raise CommandError(
                f"{file}: {count(len(report.problems), 'bad line')}, "
                + ("the others were imported." if report.users and not dry_run else "nothing was imported.")
                + ("" if skip_bad else " Correct them, or use --skip-bad.")
            )

    def print_problems(self, report: ImportReport) -> None:
        for line, reason in report.problems[:SHOWN_PROBLEMS]:
            self.stderr.write(f"line {line}: {reason}")
        if len(report.problems) > SHOWN_PROBLEMS:
            self.stderr.write(f"… and {len(report.problems) - SHOWN_PROBLEMS} more")

    def list_users(self, domain: str | None, as_json: bool, **_: Any) -> None:
        users = User.objects.order_by("domain__name", "login").select_related("usage")
        if domain is not None:
            users = users.filter(domain__name=domain.lower())
        if as_json:
            self.write_json(UserOut, users.prefetch_related("scope"))
            return
        rows = [
            (
                user.login,
                user.name or "-",
                user.role,
                "DELETED" if user.removal_clock_s is not None else "on" if user.is_active else "OFF",
                names.format_octets(usage.octets),
                names.format_octets(user.quota_octets) if user.quota_octets else "-",
                f"{usage.messages:,}",
                f"{user.quota_messages:,}" if user.quota_messages else "-",
            )
            for user in users
            for usage in (getattr(user, "usage", NO_USAGE),)
        ]
        if not rows:
            self.stdout.write("No users. `users add LOGIN --admin` makes one.")
            return
        self.table(("LOGIN", "NAME", "ROLE", "STATE", "USED", "QUOTA", "MESSAGES", "QUOTA"), rows)

    # ------------------------------------------------------------ one

    def add_user(
        self,
        login: str,
        name: str,
        admin: bool,
        role: str,
        domains: list[str],
        quota: str,
        quota_messages: str,
        password_stdin: bool,
        invite: bool,
        **_: Any,
    ) -> None:
        role = Role.ADMIN.value if admin else role
        octets, messages = names.quota(quota), names.message_quota(quota_messages)
        invite = invite and not password_stdin
        password, password_hash, scram_keys = (
            (None, None, None) if invite else self.read_password(password_stdin, login)
        )
        user_id = store.call_sync(
            create_user,
            login,
            actor=COMMAND_LINE,
            name=name,
            password_hash=password_hash,
            scram_keys=scram_keys,
            role=role,
            scope=[find_domain(domain).pk for domain in domains],
            quota_octets=octets,
            quota_messages=messages,
        )
        self.stdout.write(f"Made {names.own_address(login)[0]}{'' if role == Role.USER else f' ({Role(role).label})'}.")
        self.print_password(password)
        if invite:
            self.stdout.write(f"Link to choose a password: {self.password_link(user_id)}")

    def set_quota(self, login: str, quota: str, quota_messages: str, **_: Any) -> None:
        user = find_user(login)
        octets, messages = names.quota(quota), names.message_quota(quota_messages)
        store.call_sync(set_user_quota, user.pk, octets, messages, actor=COMMAND_LINE)
        self.stdout.write(f"{user.login} may keep {names.format_limits(octets, messages)}.")

    def set_role(self, login: str, role: str, domains: list[str], **_: Any) -> None:
        user = find_user(login)
        store.call_sync(
            update_user,
            user.pk,
            name=user.name,
            role=role,
            scope=[find_domain(domain).pk for domain in domains],
            quota_octets=user.quota_octets,
            quota_messages=user.quota_messages,
            actor=COMMAND_LINE,
        )
        self.stdout.write(f"{user.login} is now: {Role(role).label}.")

    def set_treatment(self, login: str, stores_sent: str | None, tags_to_folders: str | None, **_: Any) -> None:
        user = find_user(login)
        store.call_sync(
            update_user,
            user.pk,
            name=user.name,
            role=user.role,
            quota_octets=user.quota_octets,
            quota_messages=user.quota_messages,
            actor=COMMAND_LINE,
            stores_sent=_chosen(stores_sent),
            tags_to_folders=_chosen(tags_to_folders),
        )
        self.stdout.write(f"{user.login} is saved.")

    def new_password(self, login: str, password_stdin: bool, **_: Any) -> None:
        user = find_user(login)
        password, password_hash, scram_keys = self.read_password(password_stdin, user.login, user)
        store.call_sync(set_password, user.pk, password_hash, actor=COMMAND_LINE, scram_keys=scram_keys)
        self.stdout.write(f"{user.login} has a new password.")
        self.print_password(password)

    def read_password(
        self, from_stdin: bool, login: str, user: User | None = None
    ) -> tuple[str | None, str, Keys | None]:
        """(the password if it was made here, its hash, its SCRAM keys)."""
        if from_stdin:
            typed = sys.stdin.readline().rstrip("\r\n")
            return None, hash_typed(typed, user), scram_keys_for(login, typed)
        password = generate_password()
        return password, hash_given(password), scram_keys_for(login, password)

    def print_password(self, password: str | None) -> None:
        if password is not None:
            self.stdout.write(f"Password: {password}")

    # ------------------------------------------------------------ app passwords

    def add_app_password(self, login: str, name: str, scope: Sequence[str], days: int | None, **_: Any) -> None:
        user = find_user(login)
        secret = new_app_password(user.login)
        self.store_credential(user, secret, name, scope, days)
        self.stdout.write(f"App password: {secret.secret}")

    def list_app_passwords(self, login: str, **_: Any) -> None:
        self.list_credentials(find_user(login), Credential.Kind.APP_PASSWORD)

    def revoke_app_password(self, login: str, name: str, **_: Any) -> None:
        user = find_user(login)
        store.call_sync(revoke_credential, user.pk, Credential.Kind.APP_PASSWORD, name, actor=COMMAND_LINE)
        self.stdout.write(f"{name} of {user.login} works no more.")

    # ------------------------------------------------------------ off and on

    def sign_in_link(self, login: str, **_: Any) -> None:
        user = find_user(login)
        store.call_sync(note_one_time_link, user.pk, actor=COMMAND_LINE)
        hours = int(LIFETIME.total_seconds() // 3600)
        self.stderr.write(f"Works once, within {hours} hours, for {user.login}:")
        self.stdout.write(site() + make_one_time_link(user.pk))

    def invite(self, login: str, **_: Any) -> None:
        user = find_user(login)
        link = self.password_link(user.pk)
        self.stderr.write(f"Works once, within {INVITATION_LIFETIME.days} days; {user.login} chooses a password:")
        self.stdout.write(link)

    def password_link(self, user_id: int) -> str:
        store.call_sync(note_one_time_link, user_id, sets_password=True, actor=COMMAND_LINE)
        return site() + make_password_link(user_id)

    def disable(self, login: str, **_: Any) -> None:
        user = find_user(login)
        store.call_sync(set_user_active, user.pk, False, actor=COMMAND_LINE)
        self.stdout.write(f"{user.login} is off: no sign-in, no new mail; everything is kept.")

    def enable(self, login: str, **_: Any) -> None:
        user = find_user(login)
        store.call_sync(set_user_active, user.pk, True, actor=COMMAND_LINE)
        self.stdout.write(f"{user.login} is on.")

    def restore(self, login: str, **_: Any) -> None:
        user = find_user(login)
        store.call_sync(restore_user, user.pk, actor=COMMAND_LINE)
        self.stdout.write(f"{user.login} is back, with all mail.")

    def delete(self, login: str, yes: bool, now: bool, **_: Any) -> None:
        user = find_user(login)
        if settings.REMOVAL_DAYS > 0 and not now:
            delete_user(user.pk, actor=COMMAND_LINE)
            self.stdout.write(f"{user.login} is off; `users restore` brings it back for {settings.REMOVAL_DAYS} days.")
            return
        if not yes:
            if not sys.stdin.isatty():
                raise CommandError("this removes all their mail: say --yes")
            if input(f"Remove {user.login} and all their mail for good? Type the address to confirm: ") != user.login:
                raise CommandError("not confirmed; nothing was removed")
        remove_user(user.pk, actor=COMMAND_LINE)
        self.stdout.write(f"Removed {user.login}.")


def site() -> str:
    """Where a browser finds this installation; "" when only the running server knows its port."""
    if settings.WEB_TLS:
        return f"https://{settings.HOSTNAME}"
    port = settings.PORTS.get("web")
    return f"http://{settings.BIND[0]}:{port}" if port else ""


def _chosen(value: str | None) -> bool | None:
    return None if value is None else value == "yes"
