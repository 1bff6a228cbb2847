"""`manage.py tokens issue|list|revoke`: bearer tokens for OAUTHBEARER and XOAUTH2, where POSTROOM_TOKEN_ISSUERS has
"postroom"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from accounts.auth.app_secrets import SCOPES
from accounts.management.accounts_command import AccountsCommand, find_user
from accounts.models import Credential
from accounts.services import COMMAND_LINE, new_token, revoke_credential
from mailservers.store.engine import store

DAYS = 30


class Command(AccountsCommand):
    help = "Access tokens: issue, list, revoke."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("issue", help="make one and print it, once")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("name", metavar="NAME", help="who uses it: “backup script”")
        one.add_argument("--scope", nargs="+", choices=SCOPES, required=True, help="what it opens")
        one.add_argument("--days", type=int, default=DAYS, help=f"works so long; {DAYS} if left out")
        one.set_defaults(act=self.issue)
        one = actions.add_parser("list", help="names and scopes")
        one.add_argument("login", metavar="LOGIN")
        one.set_defaults(act=self.list_tokens)
        one = actions.add_parser("revoke", help="it works no more, and its sessions end")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("name", metavar="NAME")
        one.set_defaults(act=self.revoke)

    def issue(self, login: str, name: str, scope: Sequence[str], days: int, **_: Any) -> None:
        user = find_user(login)
        secret = new_token()
        self.store_credential(user, secret, name, scope, days)
        if "postroom" not in settings.TOKEN_ISSUERS:
            self.stderr.write("It works once POSTROOM_TOKEN_ISSUERS has “postroom”.")
        self.stdout.write(f"Token: {secret.secret}")

    def list_tokens(self, login: str, **_: Any) -> None:
        self.list_credentials(find_user(login), Credential.Kind.TOKEN)

    def revoke(self, login: str, name: str, **_: Any) -> None:
        user = find_user(login)
        store.call_sync(revoke_credential, user.pk, Credential.Kind.TOKEN, name, actor=COMMAND_LINE)
        self.stdout.write(f"{name} of {user.login} works no more.")
