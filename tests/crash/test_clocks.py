"""A running server whose system clock jumps, by libfaketime: a day and a year, forward and back, over 2038.

TLS and one-time passwords are left out: certificates and codes are meant to depend on the date.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instance import Instance

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(LIBRARY is None, reason="needs faketime (tests/install_clients.sh)"),
]
LOGIN, PASSWORD = "anna@clock.test", "well made 5"
JUMPS = ("-1d", "+1d", "+400d", "-400d", "@2038-01-19 03:14:00", "@2040-02-29 12:00:00", "+0")


class Jumping(Instance):
    """Its clock is what `jump` says; the monotonic one goes on as it is."""

    def env(self) -> dict[str, str]:
        return {
            **super().env(),
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.directory / "clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, to: str) -> None:
        draft = self.directory / "clock.new"
        draft.write_text(to + "\n")
        draft.rename(self.directory / "clock")


@contextlib.contextmanager
def sink(port: int) -> Iterator[list[bytes]]:
    """A mail host that takes everything; the messages it was given."""
    got: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as connection:
                    talk(connection.makefile("rwb"))

    def talk(stream) -> None:  # type: ignore[no-untyped-def]
        stream.write(b"220 sink\r\n")
        stream.flush()
        while line := stream.readline():
            if line.upper().startswith(b"DATA"):
                stream.write(b"354 go on\r\n")
                stream.flush()
                got.append(b"".join(iter(stream.readline, b".\r\n")))
            stream.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 sink\r\n")
            stream.flush()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield got
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def deliver(server: Instance, subject: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as client:
        client.sendmail("far@elsewhere.test", LOGIN, f"Message-ID: <{subject}@x>\r\nSubject: {subject}\r\n\r\nx\r\n")


def submit(server: Instance) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=60) as client:
        client.login(LOGIN, PASSWORD)
        client.sendmail(LOGIN, "bob@away.test", f"From: {LOGIN}\r\nTo: bob@away.test\r\nSubject: out\r\n\r\nx\r\n")


def wait_until_deferred(server: Instance) -> None:
    until = time.monotonic() + 60
    while "deferred" not in server.manage("queue", "list").stdout:
        assert time.monotonic() < until, server.log()
        time.sleep(0.2)


def numbers(client: imaplib.IMAP4) -> list[tuple[int, int, bytes]]:
    """(UID, modseq, internal date) of what the INBOX holds."""
    client.select("INBOX")
    lines = client.fetch("1:*", "(UID MODSEQ INTERNALDATE)")[1]
    pattern = re.compile(rb'UID (\d+) MODSEQ \((\d+)\) INTERNALDATE "([^"]+)"')
    return [(int(m[1]), int(m[2]), m[3]) for line in lines if (m := pattern.search(line))]


def test_no_number_is_used_twice_and_nothing_expires_or_waits(tmp_path: Path) -> None:
    port = free_port()
    server = Jumping(tmp_path, environment={"POSTROOM_ROUTES": f"away.test=127.0.0.1:{port}",
                                           "POSTROOM_QUEUE_RETRY_FIRST": "2"})  # fmt: skip
    server.jump("+0")
    try:
        server.start()
        server.import_users([LOGIN], PASSWORD)
        deliver(server, "deleted")
        with server.imap(LOGIN, PASSWORD) as client:
            client.select("INBOX")
            client.store("1", "+FLAGS", r"(\Deleted)")
            client.expunge()
        submit(server)
        wait_until_deferred(server)
        validities = []
        for number, jump in enumerate(JUMPS):
            server.jump(jump)
            deliver(server, f"message {number}")
            with server.imap(LOGIN, PASSWORD) as client:
                found = numbers(client)
                assert len(found) == number + 1
                assert [one[:2] for one in found] == sorted({one[:2] for one in found}), f"after {jump}: {found}"
                assert len({one[1] for one in found}) == len(found)
                client.create(f"Box{number}")
                client.select(f"Box{number}")
                validities.append(int(client.response("UIDVALIDITY")[1][0]))
            if number == 0:
                with sink(port) as got:  # a retry that is due "tomorrow" comes now
                    until = time.monotonic() + 60
                    while not got:
                        assert time.monotonic() < until, server.log()[-3000:]
                        time.sleep(0.1)
        assert len(set(validities)) == len(validities) and validities == sorted(validities)
        assert [date[7:11] for _, _, date in found][4:6] == [b"2038", b"2040"]
        assert "deleted" in server.manage("undelete", "list", LOGIN).stdout
        server.stop()
        assert "The mail store is sound" in server.manage("check").stdout
        assert "Traceback" not in server.log(), server.log()[-3000:]
    finally:
        server.kill()
