"""`manage.py senders list|allow|block|forget`: lists of senders, for everybody, a domain or one user."""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from accounts.api.sending import SenderOut
from accounts.management.accounts_command import AccountsCommand, find_domain, find_user
from accounts.services import COMMAND_LINE, list_sender, unlist_sender
from mailservers.models import SenderRule
from mailservers.store.engine import store
from mailservers.store.sender_rules import forget_rule, set_rule


class Command(AccountsCommand):
    help = "Senders to be allowed or blocked: an address, a domain (with those below it), an IP address or network."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("list", help="all rules")
        self.json_argument(one)
        one.set_defaults(act=self.list_rules)
        for action, act, text in (
            ("allow", self.allow, "never Junk, if the sender is who they say"),
            ("block", self.block, "refused; for one user: Junk"),
            ("forget", self.forget, "remove a rule"),
        ):
            one = actions.add_parser(action, help=text)
            one.add_argument("pattern", metavar="SENDER")
            one.add_argument("--for", dest="whose", default="", metavar="DOMAIN|LOGIN", help="else for everybody")
            one.set_defaults(act=act)

    def list_rules(self, as_json: bool, **_: Any) -> None:
        rules = SenderRule.objects.select_related("user", "domain").order_by("domain__name", "user__login", "pattern")
        if as_json:
            self.write_json(SenderOut, rules.filter(user=None))
            return
        rows = [(r.pattern, "block" if r.is_block else "allow", _whose(r)) for r in rules]
        self.table(("SENDER", "RULE", "FOR"), sorted(rows, key=lambda row: (row[2] != "everybody", "@" in row[2], row)))

    def allow(self, pattern: str, whose: str, **_: Any) -> None:
        self._set(pattern, whose, is_block=False)

    def block(self, pattern: str, whose: str, **_: Any) -> None:
        self._set(pattern, whose, is_block=True)

    def _set(self, pattern: str, whose: str, *, is_block: bool) -> None:
        if "@" in whose:
            store.call_sync(set_rule, pattern, is_block=is_block, user_id=find_user(whose).pk)
        else:
            store.call_sync(list_sender, pattern, is_block=is_block, domain_id=_domain(whose), actor=COMMAND_LINE)
        self.stdout.write(f"{'Blocked' if is_block else 'Allowed'} {pattern} for {whose or 'everybody'}.")

    def forget(self, pattern: str, whose: str, **_: Any) -> None:
        if "@" in whose:
            was_there = store.call_sync(forget_rule, pattern, user_id=find_user(whose).pk)
        else:
            was_there = store.call_sync(unlist_sender, pattern, domain_id=_domain(whose), actor=COMMAND_LINE)
        if not was_there:
            raise CommandError(f"there is no rule for {pattern}")
        self.stdout.write(f"Forgot {pattern}.")


def _domain(whose: str) -> int | None:
    return find_domain(whose).pk if whose else None


def _whose(rule: SenderRule) -> str:
    if rule.user is not None:
        return rule.user.login
    return rule.domain.name if rule.domain is not None else "everybody"
