"""Debian's unbound as a validating resolver on loopback, with zones that are signed here and served from files."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import dns.dnssec
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

needs_unbound = pytest.mark.skipif(shutil.which("unbound") is None, reason="unbound is not installed")

HEAD = """$TTL 60
@ SOA ns.{zone} root.{zone} 1 60 60 60 60
@ NS ns.{zone}
ns A 127.0.0.1
"""
CONFIGURATION = """
server:
  interface: 127.0.0.1
  port: {port}
  chroot: ""
  username: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  logfile: "{directory}/log"
  do-daemonize: no
  do-ip6: no
  num-threads: 1
  module-config: "validator iterator"
  local-zone: "test." nodefault
"""


def sign(name: str, rows: str) -> tuple[dns.zone.Zone, str]:
    """(the zone, its DS record)."""
    zone = dns.zone.from_text(HEAD.format(zone=name) + rows, origin=name, relativize=False)
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), "ECDSAP256SHA256", flags=257)
    with zone.writer() as txn:
        dns.dnssec.sign_zone(zone, txn=txn, keys=[(key, dnskey)], lifetime=86_400, dnskey_ttl=60)
    return zone, dns.dnssec.make_ds(name, dnskey, "SHA256").to_text()


def configure(
    directory: Path,
    port: int,
    signed: Mapping[str, str],
    unsigned: Mapping[str, str] | None = None,
    forged: tuple[str, str] = ("", ""),
) -> Path:
    """unbound's configuration file. Zones by name ("remote.test."): their records, origin the zone. `forged`: what is
    replaced in the signed files after signing."""
    anchors, zones = "", ""
    for name, rows in {**signed, **(unsigned or {})}.items():
        file = directory / f"{name}zone"
        if name in signed:
            zone, ds = sign(name, rows)
            zone.to_file(str(file), relativize=False)
            file.write_text(file.read_text().replace(*forged) if forged[0] else file.read_text())
            anchors += f'  trust-anchor: "{name} IN DS {ds}"\n'
        else:
            file.write_text(f"$ORIGIN {name}\n" + HEAD.format(zone=name) + rows)
            anchors += f'  domain-insecure: "{name}"\n'
        zones += f'auth-zone:\n  name: "{name}"\n  zonefile: "{file}"\n  for-downstream: no\n  for-upstream: yes\n'
    path = directory / "unbound.conf"
    path.write_text(CONFIGURATION.format(port=port, directory=directory) + anchors + zones)
    return path


@contextlib.contextmanager
def unbound(
    directory: Path,
    signed: Mapping[str, str],
    unsigned: Mapping[str, str] | None = None,
    forged: tuple[str, str] = ("", ""),
) -> Iterator[str]:
    """ "127.0.0.1:port"; the arguments as for `configure`."""
    port = _free_port()
    path = configure(directory, port, signed, unsigned, forged)
    process = subprocess.Popen(["unbound", "-d", "-c", str(path)])
    try:
        _wait_for(port, process, directory)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    """For TCP and UDP."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            port = int(tcp.getsockname()[1])
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


def _wait_for(port: int, process: subprocess.Popen[bytes], directory: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    log = directory / "log"
    pytest.fail(f"unbound did not start: {log.read_text() if log.exists() else ''}")
