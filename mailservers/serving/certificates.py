"""The TLS certificate of all listeners: the administrator's, or a self-signed one made on first start."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings

VALID_DAYS = 825


class ServerContext(ssl.SSLContext):
    """Knows its certificate's hash, for channel binding."""

    end_point: bytes = b""  # tls-server-end-point (RFC 5929 section 4)


def end_point_hash(certificate_pem: bytes) -> bytes:
    """The hash of the certificate with its signature's hash function, SHA-256 in place of MD5 and SHA-1.

    b"" where the signature has none of its own (Ed25519): RFC 5929 leaves that undefined."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return b""
    if algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)


def server_context() -> ssl.SSLContext:
    """TLS 1.2 and up with the certificate of the settings, or `tls/` under the data directory."""
    certificate, key = settings.TLS_CERT_FILE, settings.TLS_KEY_FILE
    if not certificate:
        certificate, key = _self_signed(settings.DATA_DIR / "tls")
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificate, key or None)
    context.end_point = end_point_hash(Path(certificate).read_bytes())
    return context


def _self_signed(directory: Path) -> tuple[str, str]:
    certificate, key = directory / "self-signed.pem", directory / "self-signed.key"
    if not (certificate.exists() and key.exists()):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificate_pem, key_pem = make_self_signed(settings.HOSTNAME)
        _write(key, key_pem)
        _write(certificate, certificate_pem)
    return str(certificate), str(key)


def make_self_signed(hostname: str) -> tuple[bytes, bytes]:
    """A certificate for the host name, localhost and the loopback addresses: PEM certificate, PEM key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    names: list[x509.GeneralName] = [x509.DNSName(n) for n in dict.fromkeys((hostname, "localhost"))]
    names += [x509.IPAddress(ipaddress.ip_address(a)) for a in ("127.0.0.1", "::1")]
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _write(path: Path, data: bytes) -> None:
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
