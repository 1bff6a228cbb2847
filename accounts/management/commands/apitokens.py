"""`manage.py apitokens issue|list|revoke`: tokens of the REST API (docs at /api/)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from accounts.auth.app_secrets import digest, make_api_token
from accounts.management.accounts_command import AccountsCommand, find_user
from accounts.models import ApiToken
from accounts.roles import Permission
from accounts.services import COMMAND_LINE
from accounts.services.api_tokens import add_api_token, revoke_api_token
from mailservers.store.engine import store

DAYS = 90


class Command(AccountsCommand):
    help = "API tokens: issue, list, revoke."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("issue", help="make one and print it, once")
        one.add_argument("login", metavar="LOGIN", help="whose rights it has a part of")
        one.add_argument("name", metavar="NAME", help="which program uses it: “provisioning”")
        one.add_argument("--permission", nargs="+", choices=[each.value for each in Permission], required=True)
        one.add_argument("--days", type=int, default=DAYS, help=f"works so long; {DAYS} if left out")
        one.set_defaults(act=self.issue)
        one = actions.add_parser("list", help="names, permissions, last use; without LOGIN everybody's")
        one.add_argument("login", metavar="LOGIN", nargs="?")
        one.add_argument("--json", action="store_true", dest="as_json")
        one.set_defaults(act=self.list_tokens)
        one = actions.add_parser("revoke", help="it works no more")
        one.add_argument("login", metavar="LOGIN")
        one.add_argument("name", metavar="NAME")
        one.set_defaults(act=self.revoke)

    def issue(self, login: str, name: str, permission: Sequence[str], days: int, **_: Any) -> None:
        user, token = find_user(login), make_api_token()
        store.call_sync(
            add_api_token,
            user.pk,
            digest(token),
            name=name,
            permissions=permission,
            expires_at=timezone.now() + timedelta(days=min(days, 10_000)),
            actor=COMMAND_LINE,
        )
        self.stdout.write(f"Token: {token}")

    def list_tokens(self, login: str | None, as_json: bool, **_: Any) -> None:
        rows = ApiToken.objects.select_related("user").order_by("user__login", "name")
        if login:
            rows = rows.filter(user=find_user(login))
        if as_json:
            self.stdout.write(json.dumps([_as_json(row) for row in rows], indent=2))
            return
        cells = [
            (row.user.login, row.name, row.permissions, f"{row.expires_at:%Y-%m-%d}", _day(row.used_at)) for row in rows
        ]
        if cells:
            self.table(("LOGIN", "NAME", "PERMISSIONS", "EXPIRES", "USED"), cells)
        else:
            self.stdout.write("None.")

    def revoke(self, login: str, name: str, **_: Any) -> None:
        user = find_user(login)
        store.call_sync(revoke_api_token, user.pk, name, actor=COMMAND_LINE)
        self.stdout.write(f"{name} of {user.login} works no more.")


def _day(at: Any) -> str:
    return f"{at:%Y-%m-%d}" if at else "-"


def _as_json(row: ApiToken) -> dict[str, Any]:
    return {
        "login": row.user.login,
        "name": row.name,
        "permissions": row.permissions.split(),
        "expires_at": row.expires_at.isoformat(),
        "used_at": row.used_at.isoformat() if row.used_at else None,
    }
