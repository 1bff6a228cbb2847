"""What has to stand in the DNS for a domain: for mail to come, to be believed, and for clients to find us."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from accounts import keys
from accounts.models import DkimKey, Domain
from accounts.services import mta_sts
from mailservers.formats.mailbox_address import domain_to_ascii

# RFC 6186 and 8314 section 5.1: service -> priority; what is offered without TLS from the start comes second.
_CLIENT_SERVICES = (
    ("_imaps", "imaps", 0),
    ("_submissions", "submissions", 0),
    ("_submission", "submission", 10),
    ("_imap", "imap", 10),
    ("_pop3s", "pop3s", 20),
)


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """`what`: for people; `name` without a dot at its end, `value` as DNS panels take it."""

    what: str
    name: str
    type: str
    value: str
    is_needed: bool = True  # mail suffers without it


def records_of(domain: Domain) -> Iterator[DnsRecord]:
    """Those without which mail does not work come first."""
    name = domain_to_ascii(domain.name)
    for priority, host in enumerate(settings.MX_HOSTS, 1):
        yield DnsRecord("Mail for the domain comes here", name, "MX", f"{priority * 10} {host}.")
    yield DnsRecord("This server may send for the domain (SPF)", name, "TXT", "v=spf1 mx -all")
    for key in DkimKey.objects.filter(domain=domain).select_related("domain").order_by("pk"):
        yield DnsRecord(_what_key_is_for(key), keys.record_name(key), "TXT", keys.record_value(key))
    yield DnsRecord(
        "What others shall do with mail that only pretends to be yours (DMARC)",
        f"_dmarc.{name}",
        "TXT",
        f"v=DMARC1; p=quarantine; rua=mailto:{settings.REPORTS_LOCAL_PART}@{name}",
    )
    yield from _secure_transport(domain, name)
    yield from _clients(name)


def _what_key_is_for(key: DkimKey) -> str:
    if key.retired_at is not None:
        return "Mail sent until lately was signed with this key (DKIM): leave it for a while, then remove it"
    if not key.is_active:
        return "A new key (DKIM): what we send is signed with it as soon as this record is found"
    return "What we send is signed with this key (DKIM)"


def _secure_transport(domain: Domain, name: str) -> Iterator[DnsRecord]:
    host = f"{settings.HOSTNAME}."
    yield DnsRecord(
        "Others send to us over TLS only (MTA-STS)", f"_mta-sts.{name}", "TXT", mta_sts.record_value(domain)
    )
    rua = f"v=TLSRPTv1; rua=mailto:{settings.REPORTS_LOCAL_PART}@{name}"
    yield DnsRecord("Others tell us when TLS fails (TLS-RPT)", f"_smtp._tls.{name}", "TXT", rua, is_needed=False)
    yield DnsRecord("Where the MTA-STS policy lies", f"mta-sts.{name}", "CNAME", host, is_needed=False)


def _clients(name: str) -> Iterator[DnsRecord]:
    host = f"{settings.HOSTNAME}."
    for who, label in (("Thunderbird and others", "autoconfig"), ("Outlook", "autodiscover")):
        yield DnsRecord(f"{who} set themselves up", f"{label}.{name}", "CNAME", host, is_needed=False)
    for label, service, priority in _CLIENT_SERVICES:
        port = settings.PUBLIC_PORTS[service]
        yield DnsRecord(
            "Mail clients find the server",
            f"{label}._tcp.{name}",
            "SRV",
            f"{priority} 1 {port} {host}",
            is_needed=False,
        )
