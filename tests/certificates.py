"""A certificate authority for tests."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_pem(key: ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


@dataclass
class Authority:
    name: str = "Test authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def issue(
        self,
        names: tuple[str, ...],
        key: ec.EllipticCurvePrivateKey,
        *,
        from_days: float = -1,
        to_days: float = 89,
        subject: str = "server",
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=from_days))
            .not_valid_after(now + datetime.timedelta(days=to_days))
            .add_extension(x509.BasicConstraints(ca=subject == self.name, path_length=None), critical=True)
        )
        if names:
            sans = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            certificate = certificate.add_extension(sans, critical=False)
        return certificate.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    @property
    def pem(self) -> bytes:
        return self.issue((), self.key, subject=self.name)
