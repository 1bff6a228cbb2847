"""A whole Postroom as its users have it: `manage.py serve` in a process of its own, on free ports."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PORTS = ("SMTP", "SUBMISSION", "SUBMISSIONS", "IMAP", "IMAPS", "POP3", "POP3S", "WEB")
START_S = 400  # a starved machine is slow
END_S = 20


@dataclass
class Instance:
    """`start`, `stop`, `kill`; `ports`, `accounts` and `admin_link` once it is ready."""

    directory: Path
    demo: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    ports: dict[str, int] = field(default_factory=dict)
    accounts: list[dict[str, str]] = field(default_factory=list)
    admin_link: str = ""
    set_up_link: str = ""
    program: str = "serve"
    data: Path | None = None  # another instance's data directory

    def env(self) -> dict[str, str]:
        ports = {f"POSTROOM_{name}_PORT": str(self.ports.get(name.lower(), 0)) for name in PORTS}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("POSTROOM_", "DJANGO_"))}
        return {
            **inherited,
            **ports,
            "POSTROOM_HOSTNAME": "mx.postroom.test",
            "POSTROOM_UNDO_SEND": "0",
            **self.environment,
        }

    def start(self) -> Instance:
        """Returns when all listeners accept; later starts use the same ports."""
        ready = self.directory / "ready.json"
        ready.unlink(missing_ok=True)
        log = open(self.directory / "serve.log", "ab")  # noqa: SIM115  # the process's own from here
        self.process = subprocess.Popen(
            self.command(self.program, "--ready-file", str(ready), *(["--demo"] if self.demo else [])),
            cwd=ROOT,
            env=self.env(),
            stdout=log,
            stderr=log,
        )
        log.close()
        until = time.monotonic() + START_S
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the server did not start:\n{self.log()}")
            time.sleep(0.02)
        state: dict[str, Any] = json.loads(ready.read_text())
        self.ports, self.accounts = state["ports"], state.get("accounts") or self.accounts
        self.admin_link = state.get("admin_link") or ""
        self.set_up_link = state.get("set_up_link") or ""
        return self

    def command(self, *words: str) -> list[str]:
        return [
            sys.executable,
            str(ROOT / "manage.py"),
            *words,
            "--data-dir",
            str(self.data or self.directory / "data"),
        ]

    def manage(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Another `manage.py` command on the same data directory."""
        return subprocess.run(
            self.command(*words), cwd=ROOT, env=self.env(), capture_output=True, text=True, timeout=300, check=check
        )

    def log(self) -> str:
        return (self.directory / "serve.log").read_text(errors="replace")

    def stop(self) -> float:
        """Ctrl-C; how many seconds it took to end. Raises AssertionError when it did not end cleanly."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(END_S)
        assert code == 0, f"exit code {code}:\n{self.log()}"
        return time.monotonic() - began

    def kill(self) -> None:
        """What a power cut does to the process."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def import_users(self, logins: list[str], password: str) -> None:
        path = self.directory / "users.csv"
        lines = ["login,password,name,quota,role", *(f"{login},{password},{login},," for login in logins)]
        path.write_text("\n".join(lines) + "\n")
        self.manage("users", "import", str(path), "--create-domains")

    def imap(self, login: str, password: str) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=60)
        if login.isascii():
            client.login(login, password)
        else:  # LOGIN in imaplib is ASCII
            client.authenticate("PLAIN", lambda _: f"\0{login}\0{password}".encode())
        return client

    def wait_for(self, login: str, password: str, criteria: str, mailbox: str = "INBOX") -> bytes:
        """The newest message that matches an IMAP SEARCH, waited for."""
        until = time.monotonic() + 60
        with self.imap(login, password) as client:
            client.select(mailbox)
            while True:
                found = client.search(None, criteria)[1][0].split()
                if found:
                    answer = client.fetch(found[-1].decode(), "(BODY.PEEK[])")[1]
                    # Marks may be told in between (RFC 9051 7.5.2): those have no literal.
                    return next(part[1] for part in answer if isinstance(part, tuple))
                assert time.monotonic() < until, f"no message {criteria} came to {login}:\n{self.log()}"
                time.sleep(0.1)
                client.noop()


@contextlib.contextmanager
def instance(**options: Any) -> Iterator[Instance]:
    """A started instance in a temporary directory; killed at the end if the test has not stopped it."""
    with tempfile.TemporaryDirectory(prefix="postroom-instance-") as directory:
        server = Instance(Path(directory), **options)
        try:
            yield server.start()
        finally:
            server.kill()
