"""Ten messages of 100 MB at once must not be in memory: read off the server's process."""

from __future__ import annotations

import base64
import functools
import hashlib
import smtplib
import socket
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from queue import Queue
from typing import BinaryIO

import pytest

from tests.instance import Instance, instance

pytestmark = pytest.mark.slow

LOGIN, PASSWORD = "big@large.test", "correct horse 9"
SIZE = 100_000_000
CONNECTIONS = 10
ALONE = threading.Lock()
SETTINGS = {
    "POSTROOM_MESSAGE_SIZE_LIMIT": str(2 * SIZE),
    "POSTROOM_CHECK_PRIVATE": "1",  # mail over SMTP is checked as if it came from outside
    "POSTROOM_DNS_SERVERS": "127.0.0.1:9",
    "POSTROOM_DNS_TIMEOUT": "0.2",
    "POSTROOM_GREYLIST": "0",
}
ALLOWED = 64 * 1024 * 1024


def lines(seed: int, author: str = "a@far.test") -> Iterator[bytes]:
    """A message of SIZE octets in blocks: base64-like lines that compress little and are not alike."""
    yield f"From: {author}\r\nSubject: large {seed}\r\n\r\n".encode()
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
    with instance(environment=SETTINGS) as running:
        running.import_users([LOGIN], PASSWORD)
        with smtplib.SMTP("127.0.0.1", running.ports["smtp"]) as client:  # what a first message costs, once
            client.sendmail("a@far.test", LOGIN, b"Subject: small\r\n\r\nx\r\n")
        running.imap(LOGIN, PASSWORD).logout()  # Argon2 wants 40 MB for a moment; then the password is known
        yield running


@contextmanager
def client(server: Instance, protocol: str) -> Iterator[tuple[socket.socket, BinaryIO]]:
    with socket.create_connection(("127.0.0.1", server.ports[protocol]), timeout=300) as sock:
        yield sock, sock.makefile("rb", buffering=1024 * 1024)


def recipient(server: Instance, stack: ExitStack) -> tuple[socket.socket, BinaryIO]:
    """An SMTP session up to RCPT."""
    sock, replies = stack.enter_context(client(server, "smtp"))
    assert replies.readline().startswith(b"220")
    sock.sendall(b"EHLO client.far.test\r\n")
    while not replies.readline().startswith(b"250 "):
        pass
    for command in (b"MAIL FROM:<a@far.test>", b"RCPT TO:<%b>" % LOGIN.encode()):
        sock.sendall(command + b"\r\n")
        assert replies.readline().startswith(b"250")
    return sock, replies


def by_data(server: Instance, seed: int) -> None:
    with ExitStack() as stack:
        sock, replies = recipient(server, stack)
        sock.sendall(b"DATA\r\n")
        assert replies.readline().startswith(b"354")
        for block in lines(seed):
            sock.sendall(block)
        sock.sendall(b".\r\n")
        reply = replies.readline()
        assert reply.startswith(b"250"), reply


def by_bdat(server: Instance, seed: int) -> None:
    """Chunks of about 10 MB."""
    with ExitStack() as stack:
        sock, replies = recipient(server, stack)
        blocks = list(enumerate(lines(seed)))
        for start in range(0, len(blocks), 70):
            some = [block for _, block in blocks[start : start + 70]]
            last = b" LAST" if start + 70 >= len(blocks) else b""
            sock.sendall(b"BDAT %d%b\r\n" % (sum(map(len, some)), last))
            for block in some:
                sock.sendall(block)
            reply = replies.readline()
            assert reply.startswith(b"250"), reply


def by_append(server: Instance, seed: int) -> None:
    with client(server, "imap") as (sock, replies):
        size = sum(map(len, lines(seed)))
        sock.sendall(b'a LOGIN %b "%b"\r\nb APPEND INBOX {%d+}\r\n' % (LOGIN.encode(), PASSWORD.encode(), size))
        for block in lines(seed):
            sock.sendall(block)
        sock.sendall(b"\r\n")
        while not (reply := replies.readline()).startswith(b"b "):
            assert reply
        assert reply.startswith(b"b OK"), reply


def digest(seed: int) -> str:
    whole = hashlib.sha256()
    for block in lines(seed):
        whole.update(block)
    return whole.hexdigest()


def rest_of(replies: BinaryIO, left: int) -> str:
    """The digest of a message's octets behind its trace fields."""
    while (line := replies.readline()) != b"From: a@far.test\r\n":
        left -= len(line)
    whole = hashlib.sha256(line)
    left -= len(line)
    while left:
        block = replies.read(min(left, 1024 * 1024))
        assert block
        whole.update(block)
        left -= len(block)
    return whole.hexdigest()


def fetch(server: Instance, number: int, item: bytes = b"BODY.PEEK[]") -> str:
    with client(server, "imap") as (sock, replies):
        sock.sendall(b'a LOGIN %b "%b"\r\nb EXAMINE INBOX\r\n' % (LOGIN.encode(), PASSWORD.encode()))
        while not replies.readline().startswith(b"b OK"):
            pass
        sock.sendall(b"c FETCH %d %b\r\n" % (number, item))
        found = rest_of(replies, int(replies.readline().split(b"{")[1].split(b"}")[0]))
        assert replies.readline() == b")\r\n"
        assert replies.readline().startswith(b"c OK")
        return found


def fetch_decoded(server: Instance, number: int) -> str:
    """As fetch, through BINARY, which counts before it sends."""
    return fetch(server, number, b"BINARY.PEEK[]")


def retrieve(server: Instance, number: int) -> str:
    """By POP3: one session a maildrop, so one after the other."""
    with ALONE, client(server, "pop3") as (sock, replies):
        sock.sendall(b"USER %b\r\nPASS %b\r\nRETR %d\r\n" % (LOGIN.encode(), PASSWORD.encode(), number))
        answers = [replies.readline() for _ in range(4)]
        assert all(answer.startswith(b"+OK") for answer in answers), answers
        found = rest_of(replies, int(answers[3].split()[1]))
        assert replies.readline() == b".\r\n"
        sock.sendall(b"QUIT\r\n")
        assert replies.readline().startswith(b"+OK")
        return found


class FarHost(socketserver.ThreadingTCPServer):
    """Takes mail for anybody, and says nothing more to DATA until ten have come so far."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FarSession)
        self.all_at_once = threading.Barrier(CONNECTIONS, timeout=100)
        self.digests: Queue[str] = Queue()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class FarSession(socketserver.StreamRequestHandler):
    rbufsize = 1024 * 1024
    server: FarHost

    def handle(self) -> None:
        with suppress(ConnectionError):  # the server is ended while it keeps its connections
            self.talk()

    def talk(self) -> None:
        self.wfile.write(b"220 far.test\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                self.server.all_at_once.wait()
                self.server.digests.put(self.content())
            self.wfile.write(b"250-far.test\r\n250 8BITMIME\r\n" if verb == b"EHLO" else b"250 ok\r\n")
            if verb == b"QUIT":
                return

    def content(self) -> str:
        """The digest of all below the first lines."""
        while self.rfile.readline() != b"\r\n":
            pass
        whole = hashlib.sha256()
        while (line := self.rfile.readline()) != b".\r\n":
            assert line
            whole.update(line)
        return whole.hexdigest()


def by_submission(server: Instance, seed: int) -> None:
    """To another domain each."""
    secret = base64.b64encode(f"\0{LOGIN}\0{PASSWORD}".encode())
    with client(server, "submission") as (sock, replies):
        steps = b"EHLO x\r\n", b"AUTH PLAIN %b\r\n" % secret, b"MAIL FROM:<%b>\r\n" % LOGIN.encode()
        for step in (b"", *steps, b"RCPT TO:<b@far%d.test>\r\n" % seed, b"DATA\r\n"):
            sock.sendall(step)
            while (reply := replies.readline())[3:4] == b"-":
                pass
            assert reply[:1] in b"23", reply
        for block in lines(seed, LOGIN):
            sock.sendall(block)
        sock.sendall(b".\r\n")
        assert (reply := replies.readline()).startswith(b"250"), reply


def body_digest(seed: int) -> str:
    whole = hashlib.sha256()
    for block in islice(lines(seed), 1, None):
        whole.update(block)
    return whole.hexdigest()


WAYS_IN = (by_data, by_bdat, by_append)
WAYS_OUT = (fetch, fetch_decoded, retrieve)


def test_ten_at_once_come_in_and_go_out_without_being_in_memory(server: Instance) -> None:
    """Each way its own ten messages, so that no content is known already."""
    assert server.process is not None
    first = resident(server.process.pid)
    grown: dict[str, int] = {}
    in_all = 0
    for n, way in enumerate((*WAYS_IN, *WAYS_OUT)):
        at = 2 if way in WAYS_OUT else 0
        numbers = range(at, at + CONNECTIONS) if at else range(n * CONNECTIONS, (n + 1) * CONNECTIONS)
        with Watch(server.process.pid) as watch, ThreadPoolExecutor(CONNECTIONS) as pool:
            results = set(pool.map(functools.partial(way, server), numbers))
        grown[way.__name__], in_all = watch.growth, max(in_all, watch.highest - first)
        print(f"{way.__name__}: {watch.growth / 1e6:.1f} MB, since the start {(watch.highest - first) / 1e6:.1f} MB")
        if at:
            assert results == {digest(seed) for seed in range(CONNECTIONS)}
    assert max(grown.values()) < ALLOWED, grown
    assert in_all < 1.5 * ALLOWED  # while thirty of them were put into the search index, too


def test_ten_at_once_are_sent_on_without_being_in_memory() -> None:
    """Signed, because they are our user's, each to a domain of its own."""
    with FarHost() as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        routes = ",".join(f"far{n}.test=127.0.0.1:{host.port}" for n in range(CONNECTIONS))
        with instance(environment={**SETTINGS, "POSTROOM_ROUTES": routes}) as server:
            server.import_users([LOGIN], PASSWORD)
            server.imap(LOGIN, PASSWORD).logout()
            assert server.process is not None
            with Watch(server.process.pid) as watch, ThreadPoolExecutor(CONNECTIONS) as pool:
                list(pool.map(functools.partial(by_submission, server), range(CONNECTIONS)))
                got = {host.digests.get(timeout=200) for _ in range(CONNECTIONS)}
        host.shutdown()
    print(f"sent on: {watch.growth / 1e6:.1f} MB")
    assert got == {body_digest(seed) for seed in range(CONNECTIONS)}
    assert watch.growth < ALLOWED
