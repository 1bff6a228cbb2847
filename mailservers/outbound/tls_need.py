"""How well a connection to a mail host has to be secured, and whether it is.

From the weakest to the strongest: OPPORTUNISTIC (TLS where it is offered and works), ENCRYPTED (TLS or nothing),
VERIFIED (the certificate names the host and an authority vouches for it: MTA-STS, REQUIRETLS), DANE (the certificate
is the one that the DNS, signed, says: RFC 7672). A need that is not met means that the host is not spoken to.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ssl
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from django.conf import settings

DANE_TA, DANE_EE = 2, 3  # certificate usages that SMTP knows (RFC 7672 section 3.1)
_DIGESTS = {0: bytes, 1: lambda data: hashlib.sha256(data).digest(), 2: lambda data: hashlib.sha512(data).digest()}


class NotTrusted(Exception):
    """The certificate is not the one it has to be; the text says why."""


class Level(Enum):
    OPPORTUNISTIC = "opportunistic"
    ENCRYPTED = "encrypted"
    VERIFIED = "verified"
    DANE = "DANE"


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One TLSA record (RFC 6698 section 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def is_usable(self) -> bool:
        """RFC 7672 section 3.1.3: PKIX usages are not, nor what we do not know."""
        return self.usage in (DANE_TA, DANE_EE) and self.selector in (0, 1) and self.matching in _DIGESTS

    def matches(self, certificate: x509.Certificate) -> bool:
        if self.selector == 0:
            data = certificate.public_bytes(Encoding.DER)
        else:
            data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hmac.compare_digest(_DIGESTS[self.matching](data), self.data)


@dataclass(frozen=True, slots=True)
class TlsNeed:
    """`because` names the policy, for people. `names`: what a DANE-TA certificate may be for. `promise`: the host must
    offer REQUIRETLS, too (RFC 8689). `server_name`: what is asked for in the handshake, where it is not the host's
    name (RFC 7672 section 8.1)."""

    level: Level = Level.OPPORTUNISTIC
    because: str = ""
    tlsa: tuple[Tlsa, ...] = ()
    names: tuple[str, ...] = ()
    promise: bool = False
    server_name: str = ""

    @property
    def is_must(self) -> bool:
        return self.level is not Level.OPPORTUNISTIC

    def context(self) -> ssl.SSLContext:
        return _verifying_context() if self.level is Level.VERIFIED else _unchecked_context()

    def check(self, connection: ssl.SSLObject) -> None:
        """After the handshake, before anything is said. Raises `NotTrusted`."""
        if self.level is Level.DANE:
            _check_dane(self.tlsa, self.names, _presented(connection))


OPPORTUNISTIC = TlsNeed()


def _unchecked_context() -> ssl.SSLContext:
    return _context(settings.OUTBOUND_CA_FILE, verifying=False)


def _verifying_context() -> ssl.SSLContext:
    """Checks that the certificate names the host, by the system's authorities and those of OUTBOUND_CA_FILE."""
    return _context(settings.OUTBOUND_CA_FILE, verifying=True)


@cache
def _context(authorities: str, *, verifying: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verifying:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authorities:
        context.load_verify_locations(authorities)
    return context


# ---------------------------------------------------------------- DANE


def _presented(connection: ssl.SSLObject) -> list[x509.Certificate]:
    """The certificates that the host sent, its own first."""
    try:
        if sys.version_info >= (3, 13):
            encoded: Iterable[bytes] = connection.get_unverified_chain()
        else:  # public only since 3.13
            chain = connection._sslobj.get_unverified_chain() or ()  # type: ignore[attr-defined]
            encoded = [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in chain]
        return [x509.load_der_x509_certificate(data) for data in encoded]
    except ValueError as error:
        raise NotTrusted("the host's certificate cannot be read") from error


def _check_dane(records: Sequence[Tlsa], names: Sequence[str], chain: Sequence[x509.Certificate]) -> None:
    if not chain:
        raise NotTrusted("the host sent no certificate")
    # DANE-EE: neither names nor dates count (RFC 7672 section 3.1.1).
    if any(record.usage == DANE_EE and record.matches(chain[0]) for record in records):
        return
    anchors = [c for c in chain for record in records if record.usage == DANE_TA and record.matches(c)]
    if not any(_leads_to(anchor, chain, name) for anchor in anchors for name in names):
        raise NotTrusted("the host's certificate is not one that its TLSA records name")


def _leads_to(anchor: x509.Certificate, chain: Sequence[x509.Certificate], name: str) -> bool:
    """Is the host's certificate for this name, and issued under the anchor?"""
    try:
        policy = PolicyBuilder().store(Store([anchor])).time(datetime.datetime.now(datetime.UTC).replace(tzinfo=None))
        policy.build_server_verifier(x509.DNSName(name)).verify(chain[0], list(chain[1:]))
    except (VerificationError, ValueError):
        return False
    return True
