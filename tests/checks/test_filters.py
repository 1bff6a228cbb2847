"""rspamd and ClamAV: Debian's own where they are installed (tests/install_clients.sh), and servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import shutil
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from mailservers.checks import rspamd
from mailservers.checks.clamav import ClamAv
from mailservers.checks.opinion import Facts, Reader
from mailservers.checks.rspamd import Rspamd
from mailservers.formats.octets import WINDOW
from mailservers.store.spool import Content, spooled

from .conftest import Receiving, send, stored
from .zones import MESSAGE, rsa_key

VIRUS = b"THIS-IS-A-TEST-VIRUS-OF-POSTROOM"
SPAM = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
MARKED = SPAM.replace(b"XJS", b"YJS", 1)  # rspamd's own pattern for "add header"


def facts(content: Content = MESSAGE) -> Facts:
    reader = Reader(1, "anna@harbour.test")
    peer = ipaddress.ip_address("192.0.2.7")
    return Facts("trace", peer, "mx.test", "carol@sender.test", (reader.login,), (reader,), False, content)


# ---------------------------------------------------------------- the real ones


@contextlib.contextmanager
def running(command: list[str], is_ready: Callable[[], bool], directory: Path) -> Iterator[None]:
    with open(directory / "output", "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=directory)
    try:
        until = time.monotonic() + 120
        while not is_ready():
            said = (directory / "output").read_text(errors="replace")
            assert process.poll() is None and time.monotonic() < until, said
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """clamd with one signature of our own, since its database is not there without a network."""
    directory = tmp_path_factory.mktemp("clamd")
    (directory / "db").mkdir()
    (directory / "db" / "own.ndb").write_text(f"Postroom.Test:0:*:{VIRUS.hex()}\n")
    address = directory / "clamd.sock"
    (directory / "clamd.conf").write_text(
        f"LocalSocket {address}\nDatabaseDirectory {directory}/db\nForeground yes\nStreamMaxLength 1M\nUser root\n"
    )
    with running(["clamd", "-c", str(directory / "clamd.conf")], address.exists, directory):
        yield str(address)


@pytest.fixture(scope="module")
def rspamd_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("rspamd")
    address = directory / "normal.sock"
    (directory / "rspamd.conf").write_text(
        f"""
        options {{
            pidfile = "{directory}/pid"; tempdir = "{directory}"; hs_cache_dir = "{directory}";
            filters = ""; enable_test_patterns = true; dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; }}
        }}
        logging {{ type = "console"; level = "error"; }}
        worker "normal" {{ bind_socket = "{address} mode=0600"; count = 1; }}
        actions {{ reject = 15; add_header = 6; greylist = 4; }}
        """
    )
    command = ["rspamd", "--insecure", "--no-fork", "--config", str(directory / "rspamd.conf")]
    with running(command, address.exists, directory):
        yield str(address)


@pytest.mark.slow
@pytest.mark.clients
@pytest.mark.skipif(not shutil.which("clamd"), reason="ClamAV is not installed")
async def test_clamd(anna: User, receiving: Receiving, clamd: str) -> None:
    async with receiving(CLAMAV_ADDRESS=clamd) as port:
        assert (await send(port, rsa_key().sign(MESSAGE)))[0] == 250
        virus = MESSAGE + VIRUS + b"\r\n"
        assert await send(port, virus) == (550, b"5.7.1 The message carries a virus: Postroom.Test.UNOFFICIAL")
        # Over clamd's own limit it cannot say: the mail comes unless that is to be sure of.
        large = rsa_key().sign(MESSAGE + b"x" * 70 * 30_000)
        assert (await send(port, large))[0] == 250
    async with receiving(CLAMAV_ADDRESS=clamd, CLAMAV_REQUIRED=True) as port:
        assert (await send(port, large))[0] == 451
    assert len(await stored(anna)) == 2


@pytest.mark.slow
@pytest.mark.clients
@pytest.mark.skipif(not shutil.which("rspamd"), reason="rspamd is not installed")
async def test_rspamd(anna: User, receiving: Receiving, rspamd_address: str) -> None:
    async with receiving(RSPAMD_ADDRESS=rspamd_address, CHECK_TIMEOUT_S=60) as port:
        assert (await send(port, rsa_key().sign(MESSAGE)))[0] == 250
        assert await send(port, rsa_key().sign(MESSAGE + SPAM)) == (550, b"5.7.1 Refused as spam")
        assert (await send(port, rsa_key().sign(MESSAGE + MARKED)))[0] == 250
    assert [len(await stored(anna, box)) for box in ("INBOX", "Junk")] == [1, 1]


# ---------------------------------------------------------------- bad ones

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def server(handle: Handler) -> AsyncIterator[str]:
    listener = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1024 * 1024)
    try:
        yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()


def answering(answer: bytes, heard: list[bytes] | None = None, reads_until: bytes = b"") -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.readuntil(reads_until) if reads_until else await reader.read(100)
        if heard is not None:
            heard.append(said)
        writer.write(answer)
        writer.close()

    return handle


@pytest.mark.parametrize("is_large", [False, True])
async def test_what_clamd_is_sent(settings: Any, is_large: bool) -> None:
    heard: list[bytes] = []
    end = struct.pack("!L", 0)
    async with server(answering(b"stream: OK\0", heard, reads_until=end)) as address:
        settings.CLAMAV_ADDRESS = address
        content = spooled([b"a" * 300_000]) if is_large else b"a" * 300_000
        (reason,) = await ClamAv().examine(facts(content))
    assert reason.name == "clamav.clean"
    first, second = struct.pack("!L", WINDOW), struct.pack("!L", 300_000 - WINDOW)
    assert heard == [b"zINSTREAM\0" + first + b"a" * WINDOW + second + b"a" * (300_000 - WINDOW) + end]


@pytest.mark.parametrize("answer", [b"", b"INSTREAM size limit exceeded. ERROR\0", b"stream: ", b"\xff\xfe\0"])
async def test_clamd_says_nothing_of_use(settings: Any, answer: bytes) -> None:
    async with server(answering(answer)) as address:
        settings.CLAMAV_ADDRESS = address
        with pytest.raises(OSError):
            await ClamAv().examine(facts())


BODY = b'{"score": 7.5, "required_score": 15.0, "action": "%s", "symbols": {"A": {"score": 1}, "B": {"score": -9}}}'


def response(body: bytes, *, chunked: bool = False) -> bytes:
    if not chunked:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize(
    ("action", "weight", "code"),
    [
        (b"no action", 0.0, 0),
        (b"greylist", 2.0, 0),
        (b"add header", 5.0, 0),
        (b"rewrite subject", 5.0, 0),
        (b"soft reject", 2.0, 451),
        (b"reject", 10.0, 550),
    ],
)
async def test_rspamds_actions(settings: Any, action: bytes, weight: float, code: int, chunked: bool) -> None:
    heard: list[bytes] = []
    async with server(answering(response(BODY % action, chunked=chunked), heard, b"at three.")) as address:
        settings.RSPAMD_ADDRESS = address
        (reason,) = await Rspamd().examine(facts())
    assert (reason.weight, reason.refusal.code if reason.refusal else 0) == (weight, code)
    assert reason.text.endswith("7.5 of 15: B, A")
    request = heard[0].partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert request[0] == b"POST /checkv2 HTTP/1.1"
    assert {b"IP: 192.0.2.7", b"Helo: mx.test", b"From: carol@sender.test", b"Rcpt: anna@harbour.test"} < set(request)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SMTP here\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\n\r\n{}",
        response(b"{}"),
        response(b"[]"),
        response(b"not json"),
        response(b'{"action": 1, "score": "x", "symbols": []}'),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
async def test_rspamd_says_nothing_of_use(settings: Any, answer: bytes) -> None:
    async with server(answering(answer)) as address:
        settings.RSPAMD_ADDRESS = address
        with pytest.raises((OSError, ValueError)):
            await Rspamd().examine(facts())


def test_nothing_of_the_envelope_can_add_a_field() -> None:
    forged = facts()
    forged.helo = "x\r\nUser: admin"
    assert b"\r\nUser:" not in rspamd._request("127.0.0.1:1", forged)
