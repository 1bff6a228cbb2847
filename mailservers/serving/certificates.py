"""The TLS certificate of all listeners: the administrator's files, one from the console or by ACME, or one that we
signed ourselves on first start.

A listener is given `Certificates.front` once. Each handshake goes on with the context of the certificate that is in use
then: a new one needs no restart, and connections that are there keep theirs."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings

VALID_DAYS = 825
Pair = tuple[bytes, bytes]  # PEM: certificate with its chain, key


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


class Certificates:
    """The certificate in use. `load` at the start, and again whenever there may be a new one."""

    def __init__(self) -> None:
        self.front: ssl.SSLContext = _bare_context()
        self.front.sni_callback = self._choose
        self.pem = b""  # of the certificate in use with its chain
        self._current: ServerContext | None = None
        self._key = b""

    def load(self, stored: Pair | None = None) -> bool:
        """True when it is another one than before. `stored`: from the console or by ACME; files of the settings go
        before it. Raises OSError (ssl.SSLError is one) or ValueError for what is no certificate with its key: the one
        in use stays."""
        pem, key = _read(stored)
        if (pem, key) == (self.pem, self._key):
            return False
        self._current, self.pem, self._key = _context_of(pem, key), pem, key
        return True

    def _choose(self, connection: ssl.SSLObject, name: str | None, front: ssl.SSLContext) -> None:
        """OpenSSL asks at each handshake, also where the client names no host."""
        assert self._current is not None
        connection.context = self._current


def server_context() -> ssl.SSLContext:
    """TLS 1.2 and up with the certificate of the settings, or `tls/` under the data directory."""
    certificates = Certificates()
    certificates.load()
    return certificates.front


def pem_in_use(stored: Pair | None) -> bytes:
    """The certificate, with its chain, that listeners present. Raises OSError."""
    return _read(stored)[0]


def _read(stored: Pair | None) -> Pair:
    if settings.TLS_CERT_FILE:
        pem = Path(settings.TLS_CERT_FILE).read_bytes()
        return pem, Path(settings.TLS_KEY_FILE).read_bytes() if settings.TLS_KEY_FILE else pem
    if stored is not None:
        return stored
    certificate, key_file = _self_signed(_directory())
    return certificate.read_bytes(), key_file.read_bytes()


def _bare_context() -> ServerContext:
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _context_of(pem: bytes, key: bytes) -> ServerContext:
    context = _bare_context()
    with tempfile.NamedTemporaryFile(dir=_directory(), suffix=".pem") as file:  # 0600; OpenSSL reads only files
        file.write(key + b"\n" + pem)
        file.flush()
        context.load_cert_chain(file.name)
    context.end_point = end_point_hash(pem)
    return context


def _directory() -> Path:
    directory: Path = settings.DATA_DIR / "tls"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def _self_signed(directory: Path) -> tuple[Path, Path]:
    certificate, key = directory / "self-signed.pem", directory / "self-signed.key"
    if not (certificate.exists() and key.exists()):
        certificate_pem, key_pem = make_self_signed(settings.HOSTNAME)
        _write(key, key_pem)
        _write(certificate, certificate_pem)
    return certificate, key


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
