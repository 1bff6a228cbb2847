"""What has to stand in the DNS for a domain: for mail to come, to be believed, and for clients to find us."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
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


_CAA_NAMES = {
    "api.letsencrypt.org": "letsencrypt.org",
    "dv.acme-v02.api.pki.goog": "pki.goog",
    "zerossl.com": "sectigo.com",
}


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
    yield from _issuers(name)


def zone_file(domain: Domain) -> str:
    """The records as a zone file (RFC 1035 section 5), for those who can import one."""
    lines = [f"; {domain.name}: what its mail needs", "$TTL 3600"]
    for record in records_of(domain):
        value = _quoted(record.value) if record.type == "TXT" else record.value
        lines += [f"; {record.what}", f"{record.name}. IN {record.type} {value}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """As character-strings of at most 255 octets (RFC 1035 section 3.3)."""
    parts = [text[at : at + keys.TXT_STRING_OCTETS] for at in range(0, len(text), keys.TXT_STRING_OCTETS)]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def host_records(addresses: Iterable[str], tlsa: str = "") -> Iterator[DnsRecord]:
    """Of this server: who it is for those it sends to. `addresses`: what its name leads to; `tlsa`: the record's value
    where the zone is signed."""
    for address in addresses:
        reverse = ipaddress.ip_address(address).reverse_pointer
        yield DnsRecord(
            f"The name of {address}: set where the address comes from (your provider)",
            reverse,
            "PTR",
            f"{settings.HOSTNAME}.",
        )
    yield from _issuers(settings.HOSTNAME)
    if tlsa:
        yield DnsRecord(
            "Others check our certificate by the DNS (DANE)",
            f"_25._tcp.{settings.HOSTNAME}",
            "TLSA",
            tlsa,
            is_needed=False,
        )


def tlsa_value(certificate_pem: bytes) -> str:
    """DANE-EE, the key's SHA-256 (RFC 7672 section 3.1.1): it stays when the certificate is renewed with its key."""
    public = x509.load_pem_x509_certificate(certificate_pem).public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"3 1 1 {hashlib.sha256(spki).hexdigest()}"


def _issuers(name: str) -> Iterator[DnsRecord]:
    """Where we know what the authority calls itself in CAA records."""
    host = urlsplit(settings.ACME_DIRECTORY).hostname or ""
    issuer = next((name for suffix, name in _CAA_NAMES.items() if host.endswith(suffix)), "")
    if issuer:
        yield DnsRecord(
            "Only this authority may issue certificates (CAA)", name, "CAA", f'0 issue "{issuer}"', is_needed=False
        )


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
