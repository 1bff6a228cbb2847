"""`manage.py audit verify [--head HASH]`: is the record of what administrators did as it was written?"""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from accounts.management.accounts_command import AccountsCommand
from accounts.services.audit import verify


class Command(AccountsCommand):
    help = "Prove the audit record: each entry's hash covers the entry and the one before it."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("verify", help="exit code 1 when an entry was changed, put in or taken out")
        one.add_argument("--head", default="", metavar="HASH", help="a hash printed earlier: is it still in it?")
        one.set_defaults(act=self.verify)

    def verify(self, head: str, **_: Any) -> None:
        proof = verify(known_head=head.strip().lower())
        if proof.fault:
            raise CommandError(proof.fault)
        if not proof.has_known_head:
            raise CommandError("That hash is not in the chain: it was made anew since.")
        self.stdout.write(f"The record is whole: {proof.count} entries. Head: {proof.head or '(none yet)'}")
