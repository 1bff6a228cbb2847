"""A disk that fails, is full, or loses power: temporary errors, and everything acknowledged is there afterwards.

The full disk is a small tmpfs, the power cut an ext4 image that is shut down without writing its journal; both need
the right to mount. `ROUNDS` (power cuts, default 2) and `SEED` in the environment; the seed is printed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import poplib
import random
import smtplib
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash.injection import injected, needs_strace
from tests.crash.person import PASSWORD, Person
from tests.instance import Instance

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ROUNDS = int(os.environ.get("ROUNDS", "2"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
LOGIN = "user0@crash.example"
FS_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2  # of ext4
TMPFS_SIZE, RESERVE = 64 * 1024 * 1024, 16 * 1024 * 1024
TEXT = b"Subject: %s\r\n\r\n" + b"text\r\n" * 3000


@contextlib.contextmanager
def mounted(where: Path, *words: str) -> Iterator[Path]:
    """Skipped by name where mounting is not allowed."""
    where.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *words, str(where)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


@contextlib.contextmanager
def served(directory: Path, logins: list[str], **environment: str) -> Iterator[Instance]:
    server = Instance(directory, environment=environment)
    try:
        server.start()
        server.import_users(logins, PASSWORD)
        yield server
        server.stop()
        assert "The mail store is sound" in server.manage("check").stdout
    finally:
        server.kill()


def send(server: Instance, subject: bytes) -> tuple[int, bytes]:
    """The reply to the end of the data."""
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as client:
        client.ehlo()
        client.mail("crash@elsewhere.test")
        client.rcpt(LOGIN)
        return client.data(TEXT % subject)


def subjects(server: Instance) -> list[bytes]:
    with server.imap(LOGIN, PASSWORD) as client:
        client.select("INBOX")
        items = client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        return [item[1].split(b":")[1].strip() for item in items if isinstance(item, tuple)]


@needs_strace
def test_fsync_that_fails_is_a_temporary_error_and_leaves_nothing(tmp_path: Path) -> None:
    with served(tmp_path, [LOGIN]) as server:
        assert send(server, b"before")[0] == 250
        with injected(server, "fsync,fdatasync", "error=EIO"):
            assert send(server, b"during")[0] == 451
            with server.imap(LOGIN, PASSWORD) as client:
                assert client.append("INBOX", None, None, TEXT % b"during")[0] == "NO"
                client.select("INBOX")
                assert client.store("1", "+FLAGS", r"(\Flagged)")[0] == "NO"
                assert client.copy("1", "Archive")[0] == "NO"
        assert subjects(server) == [b"before"]
        assert send(server, b"after")[0] == 250
        with injected(server, "fsync,fdatasync", "error=EIO"):
            assert send(server, b"again")[0] == 451
            server.kill()
        server.start()  # what was refused has not come back with the log
        assert subjects(server) == [b"before", b"after"]


def test_full_disk(tmp_path: Path) -> None:
    """New mail stops while the reserve is left, deleting goes on; service comes back with the room."""
    size = f"size={TMPFS_SIZE}"
    with (
        mounted(tmp_path / "disk", "-t", "tmpfs", "-o", size, "none") as disk,
        served(disk, [LOGIN], POSTROOM_DISK_RESERVE=str(RESERVE)) as server,
    ):
        assert send(server, b"one")[0] == send(server, b"two")[0] == 250
        ballast = fill(disk, leave=RESERVE // 2)
        time.sleep(0.3)  # the room is looked at every quarter of a second
        code, text = send(server, b"refused")
        assert (code, text[:5]) == (452, b"4.3.1")
        with server.imap(LOGIN, PASSWORD) as client:
            status, data = client.append("INBOX", None, None, TEXT % b"refused")
            assert status == "NO" and b"[UNAVAILABLE]" in data[0], data
            client.select("INBOX")
            assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
            assert client.expunge() == ("OK", [b"1"])
        assert subjects(server) == [b"two"]
        ballast.unlink()
        time.sleep(0.3)
        assert send(server, b"three")[0] == 250
        assert subjects(server) == [b"two", b"three"]


def test_disk_full_to_the_last_octet(tmp_path: Path) -> None:
    """Without a reserve: writing fails, reading works, nothing is lost."""
    with (
        mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={TMPFS_SIZE}", "none") as disk,
        served(disk, [LOGIN], POSTROOM_DISK_RESERVE="0") as server,
    ):
        assert send(server, b"first")[0] == 250
        kept = [b"first"]
        ballast = fill(disk, leave=0)
        for number in range(300):  # the log may have room in pages it has already
            subject = b"message %d" % number
            code, text = send(server, subject)
            if code == 250:
                kept.append(subject)
            else:
                assert (code, text[:5]) == (452, b"4.3.1")
                break
        else:
            raise AssertionError("the disk has no end")
        assert subjects(server) == kept
        kept = delete_some(server, kept)
        assert subjects(server) == kept
        ballast.unlink()
        assert send(server, b"last")[0] == 250
        assert subjects(server) == [*kept, b"last"]


def delete_some(server: Instance, kept: list[bytes]) -> list[bytes]:
    """Deleting needs room for a moment, too: each step works or says why not, and the session goes on. What is left."""

    def works(answer: tuple[str, list[bytes]]) -> bool:
        status, data = answer
        assert status == "OK" or (status == "NO" and b"[UNAVAILABLE]" in data[0]), answer
        return status == "OK"

    with server.imap(LOGIN, PASSWORD) as client:
        client.select("INBOX")
        if works(client.store("1", "+FLAGS", r"(\Deleted)")) and works(client.expunge()):
            kept = kept[1:]
        if kept and works(client.uid("MOVE", "*", "Trash")):
            kept = kept[:-1]
            client.select("Trash")  # emptied
            if works(client.store("1:*", "+FLAGS", r"(\Deleted)")):
                works(client.expunge())
        works(client.create("Short"))
        works(client.delete("Archive"))
        client.noop()
    with contextlib.closing(poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=60)) as pop:
        pop.user(LOGIN)
        pop.pass_(PASSWORD)
        if kept:
            pop.dele(1)
        try:
            pop.quit()
            kept = kept[1:]
        except poplib.error_proto as error:
            assert b"[SYS/TEMP]" in error.args[0], error
    return kept


def fill(disk: Path, leave: int) -> Path:
    ballast = disk / "ballast"
    with open(ballast, "wb") as file, contextlib.suppress(OSError):
        while (free := os.statvfs(disk)).f_bavail * free.f_frsize > leave:
            file.write(bytes(4096))
            file.flush()
    return ballast


def test_power_cut(tmp_path: Path) -> None:
    print(f"\nseed {SEED}, {ROUNDS} rounds")
    rng = random.Random(SEED)
    image = tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(400 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    people = [Person(f"user{n}@crash.example", random.Random(rng.random()), certain=False) for n in range(4)]
    ports: dict[str, int] = {}
    for turn in range(ROUNDS + 1):
        with mounted(tmp_path / "disk", "-o", "loop", str(image)) as disk:
            server = Instance(disk, ports=ports)
            try:
                server.start()
                if turn == 0:
                    server.import_users([person.login for person in people], PASSWORD)
                for person in people:
                    person.check(server.ports)
                ports = server.ports
                if turn == ROUNDS:
                    server.stop()
                    assert "The mail store is sound" in server.manage("check").stdout
                    break
                threading.Timer(rng.uniform(0.2, 1.5), cut_power, [disk]).start()
                with ThreadPoolExecutor(len(people)) as pool:
                    for done in [pool.submit(p.act_until_it_dies, ports, refusals=1) for p in people]:
                        done.result()
            finally:
                server.kill()
    print(f"acknowledged {dict(sum((person.acts for person in people), start=people[0].acts.__class__()))}")


def cut_power(disk: Path) -> None:
    descriptor = os.open(disk, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    finally:
        os.close(descriptor)
