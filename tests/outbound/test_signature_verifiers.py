"""Our signatures and seals as they arrive at another host, judged by rspamd and by opendkim's libopendkim."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from dnslib import RR

from accounts.models import User
from tests.checks.conftest import txt
from tests.checks.test_arc import seal
from tests.checks.test_filters import running as service
from tests.checks.zones import MESSAGE

from .stub_dns import name_server
from .test_forwarding import OURS, sealed
from .test_runner import signed_by
from .validating import configure, needs_unbound

pytestmark = [pytest.mark.slow, pytest.mark.clients]
CONFIGURATION = """
options {{
    pidfile = "{directory}/pid"; tempdir = "{directory}"; hs_cache_dir = "{directory}"; filters = "dkim";
    dns {{ nameserver = ["{server}"]; timeout = 5s; retransmits = 2; }}
}}
logging {{ type = "console"; level = "error"; }}
worker "normal" {{ bind_socket = "{directory}/normal.sock mode=0600"; count = 1; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
dkim {{ max_sigs = 5; }}
modules {{ path = "/usr/share/rspamd/plugins/arc.lua"; }}
arc {{ }}
"""


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy()


class Rspamd:
    def __init__(self, directory: Path, server: str) -> None:
        self.directory = directory
        (directory / "rspamd.conf").write_text(CONFIGURATION.format(directory=directory, server=server))

    def symbols(self, message: bytes) -> dict[str, list[str]]:
        """Symbol -> its options."""
        command = ["curl", "-s", "--max-time", "30", "--unix-socket", str(self.directory / "normal.sock")]
        answer = subprocess.run(
            [*command, "--data-binary", "@-", "http://rspamd/checkv2"], input=message, capture_output=True, check=True
        )
        found = json.loads(answer.stdout)["symbols"]
        return {name: symbol.get("options", []) for name, symbol in found.items()}


@pytest.fixture(scope="module")
def rspamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rspamd, list]]:
    """(rspamd, the rows that its name server has)."""
    if shutil.which("rspamd") is None or shutil.which("curl") is None:
        pytest.skip("rspamd or curl is not installed")
    tmp_path = tmp_path_factory.mktemp("rspamd")  # it takes some time to start
    with name_server("x.test. 60 A 127.0.0.1") as (server, zone):
        one = Rspamd(tmp_path, server)
        command = ["rspamd", "--insecure", "--no-fork", "--config", str(tmp_path / "rspamd.conf")]
        with service(command, (tmp_path / "normal.sock").exists, tmp_path):
            yield one, zone.records


def publish(rows: list, records: dict[str, bytes]) -> None:
    rows.extend(RR.fromZone("\n".join(f"{name.rstrip('.')}. 60 TXT {txt(value)}" for name, value in records.items())))


async def test_rspamd_accepts_both_signatures(anna: User, settings: Any, rspamd: tuple[Rspamd, list]) -> None:
    message, records = await signed_by(anna, settings)
    judge, rows = rspamd
    publish(rows, {name.decode(): value for name, value in records.items()})
    symbols = await asyncio.to_thread(judge.symbols, message)
    assert symbols["R_DKIM_ALLOW"] == ["harbour.test:s=pr1", "harbour.test:s=pr1e"]
    symbols = await asyncio.to_thread(judge.symbols, message.replace(b"nine", b"ten."))
    assert "R_DKIM_REJECT" in symbols and "R_DKIM_ALLOW" not in symbols


async def test_rspamd_accepts_our_chain(rspamd: tuple[Rspamd, list]) -> None:
    judge, rows = rspamd
    publish(rows, OURS)
    chain = sealed(seal(MESSAGE, "list.test"), b"arc=pass")
    assert "ARC_ALLOW" in await asyncio.to_thread(judge.symbols, chain)
    assert "ARC_ALLOW" in await asyncio.to_thread(judge.symbols, sealed(MESSAGE))
    tampered = chain.replace(b"at nine", b"at ten.")
    assert "ARC_ALLOW" not in await asyncio.to_thread(judge.symbols, tampered)


@needs_unbound
async def test_opendkim_accepts_the_rsa_signature(anna: User, settings: Any, tmp_path: Path) -> None:
    """In a network of its own, where port 53 is free."""
    if shutil.which("opendkim-testmsg") is None or os.geteuid() != 0:
        pytest.skip("opendkim-testmsg is not installed, or we are not root")
    message, records = await signed_by(anna, settings)
    relative = {name.decode().removesuffix(".harbour.test."): value for name, value in records.items()}
    zone = "".join(f"{name} TXT {txt(value)}\n" for name, value in relative.items())
    configure(tmp_path, 53, {}, {"harbour.test.": zone})
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    assert await asyncio.to_thread(by_opendkim, tmp_path, message) == ""
    assert await asyncio.to_thread(by_opendkim, tmp_path, message.replace(b"nine", b"ten.")) != ""


ALONE = """
set -e
ip link set lo up
mount --bind resolv.conf /etc/resolv.conf
unbound -d -c unbound.conf & server=$!
for n in $(seq 200); do dig +time=1 +tries=1 @127.0.0.1 harbour.test SOA >/dev/null 2>&1 && break; sleep 0.05; done
opendkim-testmsg 2>&1 || true
kill $server
wait
"""


def by_opendkim(directory: Path, message: bytes) -> str:
    """What opendkim-testmsg has against the message; "" when it is satisfied."""
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", ALONE],
        input=message,
        capture_output=True,
        cwd=directory,
        timeout=60,
    )
    assert done.returncode == 0, done
    return done.stdout.decode()
