"""A certificate from pebble, an authority for tests: HTTP-01 over our web side, then presented by every listener."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from accounts.services.certificates import CertificateFacts, facts_of
from tests.certificates import Authority, key_pem
from tests.instance import Instance
from tests.outbound.stub_dns import name_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed (Debian: pebble)"),
]
HOST = "mx.harbour.test"
ZONE = f"{HOST}. 60 IN A 127.0.0.1\nmta-sts.harbour.test. 60 IN CNAME {HOST}.\n"
WITHIN_S = 90
TURN_ON = """
from accounts.services.acme_orders import want_acme
from mailservers.store.engine import store
store.call_sync(want_acme, "anna@harbour.test", agrees=True, actor="test")
store.close()
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def pebble(directory: Path, port: int, web_port: int, dns: str) -> Iterator[None]:
    config = {
        "listenAddress": f"127.0.0.1:{port}",
        "certificate": str(directory / "pebble.pem"),
        "privateKey": str(directory / "pebble.key"),
        "httpPort": web_port,
        "tlsPort": 1,
        "externalAccountBindingRequired": False,
    }
    (directory / "pebble.json").write_text(json.dumps({"pebble": config}))
    with open(directory / "pebble.log", "wb") as log:
        process = subprocess.Popen(
            ["pebble", "-config", str(directory / "pebble.json"), "-dnsserver", dns],
            stdout=log,
            stderr=log,
            env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "20"},
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


def make_authority(directory: Path) -> Path:
    """pebble's own HTTPS certificate; the file of whom to trust."""
    authority, key = Authority(), ec.generate_private_key(ec.SECP256R1())
    (directory / "pebble.pem").write_bytes(authority.issue(("localhost",), key))
    (directory / "pebble.key").write_bytes(key_pem(key))
    (directory / "ca.pem").write_bytes(authority.pem)
    return directory / "ca.pem"


def presented(port: int) -> CertificateFacts:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 10) as sock,
        context.wrap_socket(sock, server_hostname=HOST) as tls,
    ):
        der = tls.getpeercert(binary_form=True) or b""
    return facts_of(ssl.DER_cert_to_PEM_cert(der).encode())


def test_from_self_signed_to_issued_without_a_restart(tmp_path: Path) -> None:
    port, ca = free_port(), make_authority(tmp_path)
    with name_server(ZONE) as (dns, _):
        server = Instance(
            tmp_path,
            environment={
                "POSTROOM_HOSTNAME": HOST,
                "POSTROOM_HTTPS_PORT": "0",
                "POSTROOM_DNS_SERVERS": dns,
                "POSTROOM_ACME_DIRECTORY": f"https://localhost:{port}/dir",
                "POSTROOM_ACME_CA_FILE": str(ca),
            },
        )
        try:
            server.start()
            server.import_users(["anna@harbour.test"], "well made 5")
            assert presented(server.ports["https"]).is_self_signed
            with pebble(tmp_path, port, server.ports["web"], dns):
                server.manage("shell", "-c", TURN_ON)
                until = time.monotonic() + WITHIN_S
                while "Pebble" not in presented(server.ports["imaps"]).issuer:
                    assert time.monotonic() < until, server.log() + (tmp_path / "pebble.log").read_text()
                    time.sleep(0.2)
            assert presented(server.ports["https"]) == presented(server.ports["submissions"])
            assert set(presented(server.ports["https"]).names) == {HOST, "mta-sts.harbour.test"}
            _plain_goes_to_tls(server)
            server.stop()
        finally:
            server.kill()


def _plain_goes_to_tls(server: Instance) -> None:
    plain = http.client.HTTPConnection("127.0.0.1", server.ports["web"], timeout=30)
    plain.request("GET", "/.well-known/acme-challenge/unknown")
    answer = plain.getresponse()
    assert (answer.status, answer.read() is not None) == (404, True)
    plain.request("GET", "/sign-in/")
    assert plain.getresponse().headers["Location"].startswith(f"https://{HOST}")
