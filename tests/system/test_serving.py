"""The process as a whole: starting, starting again, ending, ports in use, commands beside it."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.instance import ROOT, Instance, instance

PASSWORD = "well made 5"


def test_a_second_start_keeps_everything(tmp_path: Path) -> None:
    server = Instance(tmp_path, demo=True)
    try:
        server.start()
        accounts, ports = server.accounts, dict(server.ports)
        login, password = accounts[0]["login"], accounts[0]["password"]
        with server.imap(login, password) as client:
            before = client.select("INBOX", readonly=True)[1], client.fetch("1:*", "(UID FLAGS INTERNALDATE)")[1]
        assert server.stop() < 5
        server.start()
        assert (server.accounts, server.ports) == (accounts, ports)
        with server.imap(login, password) as client:
            assert (
                client.select("INBOX", readonly=True)[1],
                client.fetch("1:*", "(UID FLAGS INTERNALDATE)")[1],
            ) == before
        server.stop()
        assert "The mail store is sound" in server.manage("check").stdout
    finally:
        server.kill()


def test_one_line_names_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, contextlib.ExitStack() as stack:
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError) as error:
            stack.enter_context(instance(environment={"POSTROOM_IMAP_PORT": str(port)}))
    lines = str(error.value).strip().splitlines()[1:]
    assert len(lines) == 1 and str(port) in lines[0] and "POSTROOM_IMAP_PORT" in lines[0]


def test_ending_answers_clients_and_takes_under_five_seconds() -> None:
    with instance() as server:
        server.import_users(["anna@end.example"], PASSWORD)
        smtp = smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60)
        smtp.ehlo()
        smtp.mail("a@b.test")
        smtp.rcpt("anna@end.example")
        smtp.putcmd("data")
        assert smtp.getreply()[0] == 354
        smtp.send(b"half a message")
        imap = server.imap("anna@end.example", PASSWORD)
        imap.select("INBOX")
        took = server.stop()
        assert took < 5
        assert smtp.getreply()[0] == 421
        assert b"BYE" in imap.readline()
        assert "The mail store is sound: 0 messages" in server.manage("check").stdout


def test_users_are_imported_while_it_runs() -> None:
    with instance() as server:
        logins = [f"user{n:04}@import.example" for n in range(1000)]
        began = time.monotonic()
        server.import_users(logins, PASSWORD)
        print(f"1,000 users imported in {time.monotonic() - began:.1f} s")
        with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as smtp:
            smtp.sendmail("a@b.test", [logins[0], logins[999]], "Subject: to both\r\n\r\nx\r\n")
        for login in (logins[0], logins[999]):
            assert b"to both" in server.wait_for(login, PASSWORD, "ALL")
        server.stop()


def test_mail_and_web_can_run_apart(tmp_path: Path) -> None:
    """`runmail` and gunicorn on one data directory: what one writes, the other shows."""
    server = Instance(tmp_path)
    with contextlib.suppress(FileNotFoundError):
        (tmp_path / "ready.json").unlink()
    ready = tmp_path / "ready.json"
    mail = subprocess.Popen(
        server.command("runmail", "--only", "smtp,imap", "--ready-file", str(ready)), cwd=ROOT, env=server.env()
    )
    web = None
    try:
        until = time.monotonic() + 120
        while not ready.exists():
            assert time.monotonic() < until and mail.poll() is None
            time.sleep(0.05)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        web = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "gunicorn"), "-k", "asgi", "-b", f"127.0.0.1:{port}", "-w", "1",
                "--graceful-timeout", "2", "config.asgi:application",
            ],
            cwd=ROOT,
            env={**server.env(), "POSTROOM_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        while True:
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).read()
                break
            except OSError:
                assert time.monotonic() < until and web.poll() is None
                time.sleep(0.2)
        assert b"Sign in" in page
    finally:
        for process in filter(None, (mail, web)):
            process.terminate()
            process.wait(20)
    assert mail.returncode == 0
