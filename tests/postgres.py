"""A PostgreSQL server of the test run's own: in a temporary directory, on a Unix socket, gone afterwards.

`python -m tests.postgres COMMAND …` runs a command with POSTROOM_DATABASE_URL set to such a server: this is how the
tests that pass on SQLite are run on PostgreSQL (`make test-postgres`). Without Debian's package `postgresql` it says
so and succeeds.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATABASE = "postroom"
USER = "postroom"
START_S = 60
MISSING = "PostgreSQL is not installed (tests/install_clients.sh)"
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def programs() -> Path | None:
    """The directory of `postgres` and `initdb`: Debian keeps them out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@dataclass
class Postgres:
    """`start`, `stop`, `kill`; `durable` False trades what a power cut would lose for speed."""

    directory: Path
    durable: bool = True
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgres://{USER}@/{self.directory}/{DATABASE}"  # two slashes: a socket's directory

    def create(self) -> Postgres:
        if os.geteuid() == 0:
            os.chown(self.directory, _unprivileged()["user"], _unprivileged()["group"])
        self.directory.chmod(0o755)
        words = ["-D", str(self.directory / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run([self._program("initdb"), *words], check=True, capture_output=True, cwd="/", **_unprivileged())
        return self

    def start(self) -> Postgres:
        """Returns when it answers queries."""
        settings = ["listen_addresses=", f"unix_socket_directories={self.directory}", "max_connections=60"]
        settings += () if self.durable else FAST
        words = [word for setting in settings for word in ("-c", setting)]
        with open(self.directory / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [self._program("postgres"), "-D", str(self.directory / "data"), *words],
                stdout=log, stderr=log, cwd="/", start_new_session=True, **_unprivileged(),
            )  # fmt: skip
        until = time.monotonic() + START_S
        while self.run(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'", check=False) is None:
            assert self.process.poll() is None and time.monotonic() < until, self.log()
            time.sleep(0.02)
        return self

    def create_database(self, name: str = DATABASE) -> None:
        self.run(f"CREATE DATABASE {name}")

    def run(self, statement: str, *, check: bool = True) -> str | None:
        """What psql prints; None when it failed and `check` is False."""
        words = ["-h", str(self.directory), "-U", USER, "-d", "postgres", "-tAc", statement]
        done = subprocess.run([self._program("psql"), *words], capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout if done.returncode == 0 else None

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # "fast": sessions are ended
            self.process.wait(START_S)

    def kill(self) -> None:
        """SIGKILL to the server and all its processes at once."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)  # no more children: one left would wait for a dead one's locks
        pids = [self.process.pid, *_children(self.process.pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def log(self) -> str:
        return (self.directory / "server.log").read_text(errors="replace")

    def _program(self, name: str) -> str:
        found = programs()
        assert found is not None, MISSING
        return str(found / name)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.contextmanager
def postgres(*, durable: bool = True) -> Iterator[Postgres]:
    """A started server with an empty database."""
    directory = tempfile.mkdtemp(prefix="postroom-pg-")  # short: the path of a socket has at most 107 octets
    server = Postgres(Path(directory), durable)
    try:
        server.create().start().create_database()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def main(command: list[str]) -> int:
    if programs() is None:
        print(f"SKIPPED on PostgreSQL: {' '.join(command)}: {MISSING}")
        return 0
    with postgres(durable=False) as server:
        return subprocess.run(command, env={**os.environ, "POSTROOM_DATABASE_URL": server.url}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
