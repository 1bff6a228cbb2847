"""Ten messages of 100 MB at once must not be in memory: read off the server's process."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.instance import Instance, instance

pytestmark = pytest.mark.slow

LOGIN, PASSWORD = "big@large.test", "correct horse 9"
SIZE = 100_000_000
CONNECTIONS = 10
ALLOWED = 64 * 1024 * 1024


def lines(seed: int) -> Iterator[bytes]:
    """A message of SIZE octets in blocks: base64-like lines that compress little and are not alike."""
    yield f"From: a@far.test\r\nSubject: large {seed}\r\n\r\n".encode()
    block = hashlib.shake_256(b"%d" % seed).hexdigest(36 * 4000).encode()
    block = b"".join(block[n : n + 72] + b"\r\n" for n in range(0, len(block), 72))
    for _ in range(SIZE // len(block)):
        yield block


def resident(pid: int) -> int:
    """VmRSS in octets: anonymous and file pages alike."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


class Watch:
    """The highest resident memory while it is on."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.before = self.highest = resident(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.highest = max(self.highest, resident(self.pid))

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        return self.highest - self.before


@pytest.fixture(scope="module")
def server() -> Iterator[Instance]:
    with instance(environment={"POSTROOM_MESSAGE_SIZE_LIMIT": str(2 * SIZE)}) as running:
        running.import_users([LOGIN], PASSWORD)
        with smtplib.SMTP("127.0.0.1", running.ports["smtp"]) as client:  # what a first message costs, once
            client.sendmail("a@far.test", LOGIN, b"Subject: small\r\n\r\nx\r\n")
        yield running


def send(server: Instance, seed: int) -> None:
    with socket.create_connection(("127.0.0.1", server.ports["smtp"]), timeout=300) as sock:
        replies = sock.makefile("rb")
        sock.sendall(b"HELO client.far.test\r\n")
        assert [replies.readline()[:3] for _ in range(2)] == [b"220", b"250"]
        for command in (b"MAIL FROM:<a@far.test>", b"RCPT TO:<%b>" % LOGIN.encode(), b"DATA"):
            sock.sendall(command + b"\r\n")
            assert replies.readline()[:1] in b"23"
        for block in lines(seed):
            sock.sendall(block)
        sock.sendall(b".\r\n")
        reply = replies.readline()
        assert reply.startswith(b"250"), reply


def digest(seed: int) -> str:
    whole = hashlib.sha256()
    for block in lines(seed):
        whole.update(block)
    return whole.hexdigest()


def fetch(server: Instance, number: int) -> str:
    """The digest of a message's octets behind its trace fields."""
    with socket.create_connection(("127.0.0.1", server.ports["imap"]), timeout=300) as sock:
        replies = sock.makefile("rb", buffering=1024 * 1024)
        sock.sendall(b'a LOGIN %b "%b"\r\nb EXAMINE INBOX\r\n' % (LOGIN.encode(), PASSWORD.encode()))
        while not replies.readline().startswith(b"b OK"):
            pass
        sock.sendall(b"c FETCH %d BODY.PEEK[]\r\n" % number)
        left = int(replies.readline().split(b"{")[1].split(b"}")[0])
        while (line := replies.readline()) != b"From: a@far.test\r\n":
            left -= len(line)
        whole = hashlib.sha256(line)
        left -= len(line)
        while left:
            block = replies.read(min(left, 1024 * 1024))
            assert block
            whole.update(block)
            left -= len(block)
        assert replies.readline() == b")\r\n"
        assert replies.readline().startswith(b"c OK")
        return whole.hexdigest()


def test_ten_at_once_come_in_and_go_out_without_being_in_memory(server: Instance) -> None:
    assert server.process is not None
    with Watch(server.process.pid) as coming, ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda seed: send(server, seed), range(CONNECTIONS)))
    with Watch(server.process.pid) as going, ThreadPoolExecutor(CONNECTIONS) as pool:
        fetched = set(pool.map(lambda number: fetch(server, number), range(2, CONNECTIONS + 2)))
    in_all = going.highest - coming.before
    print(f"resident memory grew by {coming.growth / 1e6:.1f} MB, in all by {in_all / 1e6:.1f} MB")
    assert fetched == {digest(seed) for seed in range(CONNECTIONS)}
    assert coming.growth < ALLOWED
    assert in_all < ALLOWED
