"""`manage.py domains list|add|rotate|quota|delete`, with the DNS record each domain's DKIM key needs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count, QuerySet

from accounts import keys
from accounts.api.domains import DomainOut
from accounts.management.accounts_command import AccountsCommand, find_domain
from accounts.models import DkimKey, Domain
from accounts.services import COMMAND_LINE, create_domain, delete_domain, names, set_domain_quota
from mailservers.store.engine import store
from mailservers.store.quota import domain_allowance


class Command(AccountsCommand):
    help = "Domains: list, add, delete; shows the DNS record of the DKIM key."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("list", help="all domains with their DNS records")
        self.json_argument(one)
        one.set_defaults(act=self.list_domains)
        for action, act, text in (
            ("add", self.add_domain, "make a domain and its DKIM keys"),
            ("rotate", self.rotate, "make new DKIM keys; they take over when their records are in the DNS"),
            ("delete", self.delete, "remove a domain that has no users, with its aliases and keys"),
        ):
            one = actions.add_parser(action, help=text)
            one.add_argument("name", metavar="DOMAIN")
            one.set_defaults(act=act)
        one = actions.add_parser("quota", help="how much all users together may keep; what is left out has no limit")
        one.add_argument("name", metavar="DOMAIN")
        one.add_argument("--quota", default="", help="50G, 2T")
        one.add_argument("--quota-messages", default="", metavar="N", help="how many messages")
        one.set_defaults(act=self.set_quota)

    def list_domains(self, as_json: bool, **_: Any) -> None:
        if as_json:
            self.write_json(DomainOut, Domain.objects.order_by("name"))
            return
        domains = Domain.objects.order_by("name").annotate(
            users_count=Count("users", distinct=True), addresses_count=Count("addresses", distinct=True)
        )
        rows = [
            (
                d.name,
                "on" if d.is_active else "OFF",
                str(d.users_count),
                str(d.addresses_count),
                names.format_octets(held.octets),
                names.format_octets(held.limit_octets) if held.limit_octets else "-",
                f"{held.messages:,}",
                f"{held.limit_messages:,}" if held.limit_messages else "-",
            )
            for d in domains
            for held in (domain_allowance(d.pk),)
            if held is not None
        ]
        if not rows:
            self.stdout.write("No domains. `domains add DOMAIN` makes one.")
            return
        self.table(("DOMAIN", "STATE", "USERS", "ALIASES", "USED", "QUOTA", "MESSAGES", "QUOTA"), rows)
        self._show_keys(DkimKey.objects.filter(retired_at=None))

    def add_domain(self, name: str, **_: Any) -> None:
        name = names.domain_name(name)
        domain_id = store.call_sync(create_domain, name, keys.generate(), actor=COMMAND_LINE)
        self.stdout.write(f"Made {name}. Publish its DKIM keys in DNS:")
        self._show_keys(DkimKey.objects.filter(domain_id=domain_id))

    def rotate(self, name: str, **_: Any) -> None:
        domain = find_domain(name)
        ids = store.call_sync(keys.make_dkim_keys, domain.pk, keys.generate(), is_active=False)
        self.stdout.write(f"{domain.name} has new DKIM keys. They sign as soon as these records are found in the DNS:")
        self._show_keys(DkimKey.objects.filter(pk__in=ids))

    def _show_keys(self, rows: QuerySet[DkimKey]) -> None:
        for key in rows.select_related("domain").order_by("domain__name", "pk"):
            self.stdout.write(f"\n{keys.dns_record(key)}")

    def set_quota(self, name: str, quota: str, quota_messages: str, **_: Any) -> None:
        domain = find_domain(name)
        octets, messages = names.quota(quota), names.message_quota(quota_messages)
        store.call_sync(set_domain_quota, domain.pk, octets, messages, actor=COMMAND_LINE)
        self.stdout.write(f"All users of {domain.name} may keep {names.format_limits(octets, messages)} together.")

    def delete(self, name: str, **_: Any) -> None:
        domain = find_domain(name)
        store.call_sync(delete_domain, domain.pk, actor=COMMAND_LINE)
        self.stdout.write(f"Removed {domain.name}.")
