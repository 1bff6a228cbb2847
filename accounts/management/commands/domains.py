"""`manage.py domains list|add|delete`, with the DNS record each domain's DKIM key needs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count

from accounts import keys
from accounts.management.accounts_command import AccountsCommand, find_domain
from accounts.models import DkimKey, Domain
from accounts.services import COMMAND_LINE, create_domain, delete_domain, names
from mailservers.store.engine import store


class Command(AccountsCommand):
    help = "Domains: list, add, delete; shows the DNS record of the DKIM key."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("list", help="all domains with their DNS records")
        one.set_defaults(act=self.list_domains)
        for action, act, text in (
            ("add", self.add_domain, "make a domain and its DKIM key"),
            ("delete", self.delete, "remove a domain that has no users, with its aliases and keys"),
        ):
            one = actions.add_parser(action, help=text)
            one.add_argument("name", metavar="DOMAIN")
            one.set_defaults(act=act)

    def list_domains(self, **_: Any) -> None:
        domains = Domain.objects.order_by("name").annotate(
            users_count=Count("users", distinct=True), addresses_count=Count("addresses", distinct=True)
        )
        rows = [(d.name, "on" if d.is_active else "OFF", str(d.users_count), str(d.addresses_count)) for d in domains]
        if not rows:
            self.stdout.write("No domains. `domains add DOMAIN` makes one.")
            return
        self.table(("DOMAIN", "STATE", "USERS", "ALIASES"), rows)
        for key in DkimKey.objects.filter(is_active=True).select_related("domain").order_by("domain__name"):
            self.stdout.write(f"\n{keys.dns_record(key)}")

    def add_domain(self, name: str, **_: Any) -> None:
        name = names.domain_name(name)
        domain_id = store.call_sync(create_domain, name, keys.generate(), actor=COMMAND_LINE)
        self.stdout.write(f"Made {name}. Publish its DKIM key in DNS:\n")
        self.stdout.write(keys.dns_record(DkimKey.objects.get(domain_id=domain_id, is_active=True)))

    def delete(self, name: str, **_: Any) -> None:
        domain = find_domain(name)
        store.call_sync(delete_domain, domain.pk, actor=COMMAND_LINE)
        self.stdout.write(f"Removed {domain.name}.")
