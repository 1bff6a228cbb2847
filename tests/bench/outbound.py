"""Throughput of sending: messages of 4 KiB submitted by a user and relayed to Postfix's smtp-sink on loopback.

    .venv/bin/python tests/bench/outbound.py [--messages 5000] [--connections 10] [--peer DIR]

Prints messages a second from the first command to the last delivery, and the server's CPU a message (its whole
process tree: accepting, queueing and sending). With --peer the same is done to the Postfix that
`../shared/bench/peer.sh start DIR` has started, with `relayhost` set to the sink.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.instance import Instance  # noqa: E402

PASSWORD = "benchpw bench 1"
SENDER = "u0001@bench.test"
UNLIMITED = {
    "POSTROOM_SUBMISSION_MESSAGES_PER_HOUR": "0",
    "POSTROOM_SUBMISSION_RECIPIENTS_PER_HOUR": "0",
    "POSTROOM_SUBMISSION_STRANGERS_PER_DAY": "0",
}
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def cpu_s(root: int) -> float:
    """CPU seconds of a process, its children, and what they have reaped."""
    children: dict[int, list[int]] = {}
    times: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
        times[int(entry.name)] = sum(map(int, fields[11:15]))
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += times.get(pid, 0)
        waiting += children.get(pid, [])
    return total / TICKS


async def submit(port: int, count: int, login: str | None) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def reply() -> bytes:
        while True:
            line = await reader.readline()
            if line[3:4] != b"-":
                assert line[:1] in b"23", line
                return line

    async def say(text: bytes, replies: int = 1) -> None:
        writer.write(text)
        for _ in range(replies):
            await reply()

    await reply()
    await say(b"EHLO bench.test\r\n")
    if login is not None:
        await say(b"AUTH PLAIN " + base64.b64encode(f"\0{login}\0{PASSWORD}".encode()) + b"\r\n")
    body = (b"The quick brown fox jumps over the lazy dog, again and again.\r\n" * 61)[:3900]
    for number in range(count):
        head = f"From: <{SENDER}>\r\nTo: <to{number}@sink.test>\r\nSubject: message {number} of {id(writer)}\r\n\r\n"
        await say(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<to{number}@sink.test>\r\nDATA\r\n".encode(), 3)
        await say(head.encode() + body + b"\r\n.\r\n")
    writer.write(b"QUIT\r\n")
    writer.close()


async def run(port: int, messages: int, connections: int, login: str | None) -> None:
    await asyncio.gather(*(submit(port, messages // connections, login) for _ in range(connections)))


class Sink:
    """smtp-sink, which counts what it took."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.log = directory / "sink.log"
        program = shutil.which("smtp-sink") or "/usr/sbin/smtp-sink"
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                [program, "-u", "nobody", "-c", f"127.0.0.1:{self.port}", "1000"], stdout=out, stderr=out
            )

    def messages(self) -> int:
        counts = re.findall(rb"(?:quit|mesg)=(\d+)[^\r\n]*?mesg=(\d+)|mesg=(\d+)", self.log.read_bytes())
        return max((int(b or c) for _, b, c in counts), default=0)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def report(name: str, messages: int, accepted_s: float, sent_s: float, cpu: float) -> None:
    result = {
        "server": name, "messages": messages, "accepted_s": round(accepted_s, 2), "sent_s": round(sent_s, 2),
        "sent_per_s": round(messages / sent_s), "cpu_ms_per_message": round(1000 * cpu / messages, 3),
    }  # fmt: skip
    print(json.dumps(result))


def measure(name: str, port: int, pid: int, arguments: argparse.Namespace, login: str | None, queued: object) -> None:
    before, began = cpu_s(pid), time.monotonic()
    asyncio.run(run(port, arguments.messages, arguments.connections, login))
    accepted = time.monotonic() - began
    while queued():  # type: ignore[operator]
        assert time.monotonic() - began < 300, "not all was sent"
        time.sleep(0.05)
    report(name, arguments.messages, accepted, time.monotonic() - began, cpu_s(pid) - before)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--no-dkim", action="store_true", help="do not sign: Postfix does not either")
    parser.add_argument("--peer", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory:
        server = Instance(Path(directory))
        sink = Sink(server.directory)
        try:
            if arguments.peer:
                return measure_peer(arguments, sink)
            server.environment = {"POSTROOM_ROUTES": f"sink.test=127.0.0.1:{sink.port}", **UNLIMITED}
            server.start()
            server.import_users([SENDER], PASSWORD)
            assert server.process is not None
            database = sqlite3.connect(server.directory / "data" / "postroom.sqlite3", timeout=30)
            if arguments.no_dkim:
                database.execute("DELETE FROM accounts_dkimkey")
                database.commit()
            queued = lambda: database.execute("SELECT count(*) FROM mailservers_queuedrecipient").fetchone()[0]  # noqa: E731
            measure("postroom", server.ports["submission"], server.process.pid, arguments, SENDER, queued)
            server.stop()
        finally:
            server.kill()
            sink.stop()
    return 0


def measure_peer(arguments: argparse.Namespace, sink: Sink) -> int:
    etc = arguments.peer / "postfix" / "etc"
    relay = [f"relayhost=[127.0.0.1]:{sink.port}", "mynetworks=127.0.0.0/8", "smtp_tls_security_level=none"]
    relay += ["default_transport=smtp", "relay_domains=", "smtpd_recipient_restrictions=permit_mynetworks,reject"]
    subprocess.run(["postconf", "-c", str(etc), "-e", *relay], check=True)
    subprocess.run(["postfix", "-c", str(etc), "reload"], check=True)
    time.sleep(2)
    pid = int((arguments.peer / "postfix" / "spool" / "pid" / "master.pid").read_text())
    spool = arguments.peer / "postfix" / "spool"
    queued = lambda: any(p.is_file() for name in ("incoming", "active", "deferred") for p in (spool / name).rglob("*"))  # noqa: E731
    measure("postfix", 21025, pid, arguments, None, queued)
    return 0


if __name__ == "__main__":
    sys.exit(main())
