"""Many phones that idle: what they cost in memory, and how soon they hear of a new message.

    .venv/bin/python tests/bench/idle.py [--connections 10000] [--users 50] [--plain]

Starts an instance of its own. Every connection is TLS from the start (993), signs in, selects INBOX and idles; the
users share the connections evenly. Then one message is appended for each of ten users, one after the other, and the
time is taken until each of that user's connections was told EXISTS. Memory is the server process's, from /proc, before
the first connection and when all idle.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import ssl
import sys
import time
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.instance import instance  # noqa: E402

PASSWORD = "benchpw bench 1"
OPEN_AT_ONCE = 50
NEWS_FOR = 10  # users
LETTER = b"Subject: news\r\n\r\n" + (b"y" * 78 + b"\r\n") * 50


class Phone(asyncio.Protocol):
    """Signs in, selects, idles; then notes when EXISTS comes."""

    def __init__(self, login: str) -> None:
        self.login = login
        self.lines = b""
        self.told_at = 0.0
        self.transport: asyncio.Transport
        self.idling: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.write(f'a LOGIN {self.login} "{PASSWORD}"\r\nb SELECT INBOX\r\nc IDLE\r\n'.encode())

    def data_received(self, data: bytes) -> None:
        if self.idling.done():
            if b" EXISTS" in data:
                self.told_at = time.perf_counter()
            return
        self.lines += data
        if b"\r\n+ " in self.lines:
            self.lines = b""
            self.idling.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.idling.done():
            self.idling.set_exception(ConnectionError(f"lost: {exc}, after {self.lines[-200:]!r}"))


def memory_kib(pid: int) -> int:
    """Proportional set size."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise LookupError("no Pss")


def tls_context(plain: bool) -> ssl.SSLContext | None:
    if plain:
        return None
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def connect_all(port: int, logins: list[str], connections: int, context: ssl.SSLContext | None) -> list[Phone]:
    gate = asyncio.Semaphore(OPEN_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(number: int) -> Phone:
        login = logins[number % len(logins)]
        async with gate:
            _, phone = await loop.create_connection(lambda: Phone(login), "127.0.0.1", port, ssl=context)
            await phone.idling
        return phone

    for number in range(len(logins)):  # the first sign-in of each user costs a password check
        (await one(number)).transport.abort()
    return await asyncio.gather(*(one(number) for number in range(connections)))


async def tell(port: int, login: str, phones: list[Phone]) -> list[float]:
    """Append for one user; the seconds until each of the user's phones was told."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f'a LOGIN {login} "{PASSWORD}"\r\n'.encode())
    while not (await reader.readline()).startswith(b"a "):
        pass
    mine = [phone for phone in phones if phone.login == login]
    for phone in mine:
        phone.told_at = 0.0
    began = time.perf_counter()
    writer.write(b"b APPEND INBOX {%d+}\r\n%b\r\n" % (len(LETTER), LETTER))
    while any(not phone.told_at for phone in mine):
        assert time.perf_counter() - began < 60, "some were not told"
        await asyncio.sleep(0.005)
    writer.close()
    return [phone.told_at - began for phone in mine]


async def measure(server, options: argparse.Namespace, logins: list[str]) -> dict[str, float]:  # type: ignore[no-untyped-def]
    pid = server.process.pid
    before = memory_kib(pid)
    began = time.perf_counter()
    port = server.ports["imap" if options.plain else "imaps"]
    phones = await connect_all(port, logins, options.connections, tls_context(options.plain))
    took = time.perf_counter() - began
    await asyncio.sleep(1)
    after = memory_kib(pid)
    delays: list[float] = []
    for login in logins[:NEWS_FOR]:
        delays += await tell(server.ports["imap"], login, phones)
    delays.sort()
    for phone in phones:
        phone.transport.abort()
    return {
        "connections": options.connections,
        "tls": not options.plain,
        "users": len(logins),
        "opened_in_s": round(took, 1),
        "server_mib_before": round(before / 1024, 1),
        "server_mib_idling": round(after / 1024, 1),
        "kib_a_connection": round((after - before) / options.connections, 1),
        "told_p50_ms": round(delays[len(delays) // 2] * 1000, 1),
        "told_p95_ms": round(delays[int(len(delays) * 0.95)] * 1000, 1),
        "told_max_ms": round(delays[-1] * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
    logins = [f"u{n:04d}@bench.test" for n in range(options.users)]
    with instance() as server:
        server.import_users(logins, PASSWORD)
        print(json.dumps(uvloop.run(measure(server, options, logins))))
        server.stop()


if __name__ == "__main__":
    main()
