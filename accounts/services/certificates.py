"""The certificate of all listeners that comes from the console or by ACME: checked, then kept with its key sealed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.conf import settings
from django.utils import timezone

from accounts import sealing
from accounts.models import ServerCertificate
from accounts.services import audit
from accounts.services.errors import InvalidValue, NotAllowed
from mailservers.store.transaction import Transaction

PURPOSE = b"postroom certificate key"
MAX_OCTETS = 64 * 1024
KEPT = 3  # the one in use and those before it
WARN_DAYS = 14  # before it ends, somebody has to look


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says."""

    names: tuple[str, ...]
    issuer: str
    not_before: datetime
    not_after: datetime
    is_self_signed: bool

    @property
    def days_left(self) -> int:
        return (self.not_after - timezone.now()).days

    @property
    def renew_at(self) -> datetime:
        """When two thirds of its time are over."""
        return self.not_before + (self.not_after - self.not_before) * 2 / 3

    def covers(self, host: str) -> bool:
        """RFC 6125 section 6.4.3: a wildcard stands for one whole label."""
        host = host.lower().rstrip(".")
        return any(name == host or (name[:2] == "*." and name[2:] == host.partition(".")[2]) for name in self.names)


@dataclass(frozen=True, slots=True)
class CheckedCertificate:
    chain: bytes  # PEM, our own first
    key: bytes  # PEM, without a password
    facts: CertificateFacts


def facts_of(pem: bytes) -> CertificateFacts:
    """Of the first certificate. Raises ValueError."""
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns_names = tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        dns_names = ()
    return CertificateFacts(
        dns_names,
        certificate.issuer.rfc4514_string(),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        certificate.issuer == certificate.subject,
    )


def check_certificate(chain: bytes, key: bytes) -> CheckedCertificate:
    """Raises `InvalidValue` with the one thing to mend; the fields are "certificate" and "key"."""
    if max(len(chain), len(key)) > MAX_OCTETS:
        raise InvalidValue("That is too large for a certificate.", "certificate")
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError:
        raise InvalidValue("This is no certificate in PEM form (“BEGIN CERTIFICATE”).", "certificate") from None
    own_key = _key(key)
    own = certificates[0]
    if own.public_key().public_bytes(*_SPKI) != own_key.public_key().public_bytes(*_SPKI):
        raise InvalidValue("The key does not belong to the certificate, which must be the first in its file.", "key")
    _check_chain(certificates)
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in certificates)
    facts = facts_of(pem)
    _check_facts(facts)
    return CheckedCertificate(pem, own_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), facts)


_SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key(pem: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem, None)
    except TypeError:
        raise InvalidValue("The key is locked with a password: give it without one.", "key") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidValue("This is no private key in PEM form (“BEGIN PRIVATE KEY”).", "key") from None


def _check_chain(certificates: list[x509.Certificate]) -> None:
    own = certificates[0]
    if len(certificates) == 1 and own.issuer != own.subject:
        issuer = own.issuer.rfc4514_string()
        raise InvalidValue(
            f"The chain is missing: add the certificate of its issuer ({issuer}) below your own.", "certificate"
        )
    for one, issuer_certificate in itertools.pairwise(certificates):
        try:
            one.verify_directly_issued_by(issuer_certificate)
        except (ValueError, TypeError, InvalidSignature):
            raise InvalidValue(
                "The chain is not in order: each certificate must be followed by that of its issuer.", "certificate"
            ) from None


def _check_facts(facts: CertificateFacts) -> None:
    now = timezone.now()
    if facts.not_after <= now:
        raise InvalidValue(f"The certificate has expired on {facts.not_after:%-d %B %Y}.", "certificate")
    if facts.not_before > now:
        raise InvalidValue(f"The certificate is not valid before {facts.not_before:%-d %B %Y}.", "certificate")
    if not facts.covers(settings.HOSTNAME):
        names = ", ".join(facts.names) or "no host"
        raise InvalidValue(f"The certificate is for {names}, and not for {settings.HOSTNAME}.", "certificate")


def use_certificate(tx: Transaction, checked: CheckedCertificate, source: str, *, actor: str) -> None:
    """All listeners present it within seconds. Raises `NotAllowed` where the settings name files."""
    if settings.TLS_CERT_FILE:
        raise NotAllowed("The certificate is a file that the environment names (POSTROOM_TLS_CERT_FILE): replace that.")
    ServerCertificate.objects.create(
        source=source, chain=checked.chain.decode(), sealed_key=sealing.seal(checked.key, PURPOSE)
    )
    old = ServerCertificate.objects.order_by("-pk").values_list("pk", flat=True)[KEPT:]
    ServerCertificate.objects.filter(pk__in=list(old)).delete()
    audit.record(
        actor, "certificate.use", ", ".join(checked.facts.names), source=source, until=str(checked.facts.not_after)
    )


def stored_certificate() -> tuple[bytes, bytes] | None:
    """PEM certificate with chain, PEM key. Raises `sealing.Unreadable` under another SECRET_KEY."""
    row = ServerCertificate.objects.order_by("-pk").first()
    if row is None:
        return None
    key = private_key(row)
    if key is None:
        raise sealing.Unreadable
    return row.chain.encode(), key


def private_key(row: ServerCertificate) -> bytes | None:
    """PEM; None when it was sealed under another SECRET_KEY."""
    try:
        return sealing.unseal(bytes(row.sealed_key), PURPOSE)
    except sealing.Unreadable:
        return None
