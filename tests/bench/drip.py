"""A crowd that drips, and one client that behaves: does its mail still go through at once?

    .venv/bin/python tests/bench/drip.py [--connections 5000] [--seconds 30]

Starts an instance of its own. Each of the crowd connects from an address of its own in 127.0.0.0/8 and feeds a message
one octet at a time, each connection once in about ten seconds. Meanwhile one client hands in a 4 KiB message after
another, each over a new connection. Prints how long those took.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.instance import instance  # noqa: E402

PASSWORD = "benchpw bench 1"
DRIP_EVERY_S = 10.0
OPEN_AT_ONCE = 50
OPENING = b"EHLO drip.test\r\nMAIL FROM:<drip@elsewhere.test>\r\nRCPT TO:<u0001@bench.test>\r\nDATA\r\n"
LETTER = b"Subject: measured\r\n\r\n" + b"x" * 62 + b"\r\n" + (b"y" * 78 + b"\r\n") * 50


async def drip(port: int, source: str, ready: asyncio.Semaphore, stop: asyncio.Event) -> bool:
    """Feed octets until told to stop; was the connection held that long?"""
    async with ready:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        writer.write(OPENING)
        await reader.readuntil(b"354")
    with contextlib.suppress(ConnectionError):
        while not stop.is_set():
            writer.write(b"x")
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), DRIP_EVERY_S)
        writer.transport.abort()
        return True
    return False


async def hand_in(port: int) -> float:
    """One message over one connection; the seconds from connecting to the 250 of its data."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(OPENING)
    await reader.readuntil(b"354")
    writer.write(LETTER + b".\r\n")
    reply = b""
    while not reply.startswith((b"250 2.0.0", b"4", b"5")):
        reply = await reader.readline()
        assert reply, "the server hung up on the client that behaves"
    assert reply.startswith(b"250"), reply
    took = time.perf_counter() - began
    writer.transport.abort()
    return took


async def measure(port: int, connections: int, seconds: float) -> dict[str, float]:
    stop, ready = asyncio.Event(), asyncio.Semaphore(OPEN_AT_ONCE)
    began = time.perf_counter()
    sources = (f"127.{1 + n // 62500 % 250}.{n // 250 % 250}.{1 + n % 250}" for n in itertools.count(256))
    crowd = [asyncio.create_task(drip(port, next(sources), ready, stop)) for _ in range(connections)]
    took: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or ready.locked():
        took.append(await hand_in(port))
        await asyncio.sleep(0.05)
        if len(took) == 1:
            print(f"crowd of {connections} begun", file=sys.stderr)
    stop.set()
    held = sum(await asyncio.gather(*crowd))
    took.sort()
    return {
        "connections": connections,
        "held_to_the_end": held,
        "messages": len(took),
        "p50_ms": round(took[len(took) // 2] * 1000, 1),
        "p95_ms": round(took[int(len(took) * 0.95)] * 1000, 1),
        "max_ms": round(took[-1] * 1000, 1),
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
    with instance() as server:
        server.import_users(["u0001@bench.test"], PASSWORD)
        print(json.dumps(asyncio.run(measure(server.ports["smtp"], options.connections, options.seconds))))
        server.stop()


if __name__ == "__main__":
    main()
