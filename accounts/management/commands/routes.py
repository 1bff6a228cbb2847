"""`manage.py routes list|set|delete`: where and how outgoing mail is sent."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from accounts.api.sending import RouteOut
from accounts.management.accounts_command import AccountsCommand
from accounts.services import COMMAND_LINE, create_route, delete_route, update_route
from accounts.services.routes import RouteValues, Security, Transport
from mailservers.models import SendingRoute
from mailservers.outbound.routes import parse_target
from mailservers.store.engine import store


class Command(AccountsCommand):
    help = "Routes of outgoing mail: smarthosts, hosts of domains, what is refused or discarded."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("list", help="all routes")
        self.json_argument(one)
        one.set_defaults(act=self.list_routes)
        for action, act, text in (
            ("set", self.set_route, "make a route, or make it anew"),
            ("delete", self.delete, "mail goes as without it"),
        ):
            one = actions.add_parser(action, help=text)
            one.add_argument(
                "--to", default="", metavar="PATTERN", help="recipients: a domain or an address; all without"
            )
            one.add_argument("--from", default="", dest="sender", metavar="PATTERN", help="senders, likewise")
            one.set_defaults(act=act)
            if action == "set":
                _add_way(one)

    def list_routes(self, as_json: bool, **_: Any) -> None:
        if as_json:
            self.write_json(RouteOut, SendingRoute.objects.order_by("recipient", "sender"))
            return
        rows = [
            (
                row.recipient or "*",
                row.sender or "*",
                row.transport,
                f"{row.host}:{row.port}" if row.host else "-",
                row.security + (", implicit" if row.is_implicit_tls else ""),
                row.login or "-",
                row.reason or "-",
            )
            for row in SendingRoute.objects.order_by("recipient", "sender")
        ]
        if not rows:
            self.stdout.write("No routes: mail goes to each domain's own mail hosts.")
            return
        self.table(("TO", "FROM", "WAY", "HOST", "TLS", "LOGIN", "REASON"), rows)

    def set_route(self, to: str, sender: str, host: str, login: str, **options: Any) -> None:
        target = parse_target(host) if host else None
        values = RouteValues(
            to,
            sender,
            options["way"],
            target.host if target else "",
            target.port if target and ":" in host.rpartition("]")[2] else None,
            options["tls"] or (Security.VERIFIED if login or options["implicit"] else Security.OPPORTUNISTIC),
            options["implicit"],
            login,
            _password() if login else None,
            options["reason"],
            options["source"],
            options["ehlo"],
        )
        row = _find(to, sender)
        if row is None:
            store.call_sync(create_route, values, actor=COMMAND_LINE)
        else:
            store.call_sync(update_route, row.pk, values, actor=COMMAND_LINE)
        self.stdout.write("The route is set; running servers follow it within some seconds.")

    def delete(self, to: str, sender: str, **_: Any) -> None:
        row = _find(to, sender)
        if row is None:
            raise CommandError("there is no such route")
        store.call_sync(delete_route, row.pk, actor=COMMAND_LINE)
        self.stdout.write("The route is gone.")


def _add_way(one: CommandParser) -> None:
    one.add_argument("--way", choices=Transport.values, default=Transport.SMTP)
    one.add_argument("--host", default="", metavar="HOST[:PORT]", help="for smtp and lmtp")
    one.add_argument("--tls", choices=Security.values, help="with a login: verified unless told")
    one.add_argument("--implicit", action="store_true", help="TLS from the first octet (port 465)")
    one.add_argument("--login", default="", help="the password is asked for, or read from standard input")
    one.add_argument("--reason", default="", help="for refuse and discard")
    one.add_argument("--source", default="", metavar="ADDRESS", help="our IP addresses to send from")
    one.add_argument("--ehlo", default="", metavar="NAME", help="what we call ourselves")


def _password() -> str:
    return getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")


def _find(to: str, sender: str) -> SendingRoute | None:
    patterns = {"recipient": to.strip().lower(), "sender": sender.strip().lower()}
    return SendingRoute.objects.filter(**{k: "" if v == "*" else v for k, v in patterns.items()}).first()
