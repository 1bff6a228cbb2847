"""What import, backup, proof, export and restore of one user's 10,000 messages cost, while mail comes in.

.venv/bin/python tests/bench/keeping.py [MESSAGES]
"""

from __future__ import annotations

import random
import smtplib
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.instance import Instance, instance  # noqa: E402

USER, OTHER, PASSWORD = "a@bench.test", "b@bench.test", "benchpw bench 1"
LARGE_EVERY = 100  # one message in so many has a body that goes into a file


def main(messages: int) -> None:
    with instance() as server:
        here = server.directory
        server.import_users([USER, OTHER], PASSWORD)
        write_mbox(here / "in.mbox", messages)
        run(server, "mail", "import", USER, str(here / "in.mbox"))
        with Senders(server) as senders:
            time.sleep(3)
            senders.tell("before")
            run(server, "backup", "create", str(here / "one"))
            senders.tell("during the backup")
            run(server, "backup", "create", str(here / "two"), "--earlier", str(here / "one"))
        run(server, "backup", "verify", str(here / "two"))
        run(server, "check", "--deep")
        for form in ("mbox", "maildir"):
            run(server, "mail", "export", USER, str(here / form), "--format", form)
        run(server, "mail", "import", USER, str(here / "maildir"), "--skip-existing")
        run(server, "backup", "restore", str(here / "two"), "--user", USER, "--folder", "Back")
        server.stop()


def write_mbox(path: Path, messages: int) -> None:
    """About 4 KiB each; the large ones 200 KB that do not compress."""
    chance = random.Random(5)
    with open(path, "wb") as file:
        for n in range(messages):
            words = (" ".join(f"word{chance.randrange(3000)}" for _ in range(10)) for _ in range(45))
            text = "\n".join(words).encode() if n % LARGE_EVERY else chance.randbytes(200_000).replace(b"\n", b"n")
            file.write(b"From x Mon Mar  2 12:05:09 2026\nFrom: x@y.test\nSubject: n %d\n\n%b\n\n" % (n, text))


def run(server: Instance, *words: str) -> None:
    began = time.monotonic()
    done = server.manage(*words, check=False)
    print(
        f"{' '.join(words[:2]):<16} {time.monotonic() - began:6.1f} s  {done.stdout.strip().splitlines()[-1:]}",
        flush=True,
    )
    assert done.returncode == 0, done.stderr


class Senders:
    """One client that hands in a message every 10 ms, and how long each took."""

    def __init__(self, server: Instance) -> None:
        self.server = server
        self.took: list[float] = []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._send)

    def __enter__(self) -> Senders:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.thread.join()

    def _send(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], timeout=60) as client:
            while not self.is_over.wait(0.01):
                began = time.monotonic()
                client.sendmail("x@far.test", [OTHER], "Subject: meanwhile\r\n\r\n" + "x" * 4000)
                self.took.append(time.monotonic() - began)

    def tell(self, when: str) -> None:
        took, self.took = sorted(self.took), []
        print(f"SMTP {when}: p50 {took[len(took) // 2] * 1e3:.1f} ms, p95 {took[len(took) * 95 // 100] * 1e3:.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
