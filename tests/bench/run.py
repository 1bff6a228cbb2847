"""`make bench`: 4 KiB ingest, SMTP to visible in IMAP, with the benchmark client in ../shared/bench.

    .venv/bin/python tests/bench/run.py [--messages N] [-- any other mailbench workload and its options]

Starts an instance of its own in a temporary directory, makes 20 users, runs, ends it, and prints the client's JSON.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.instance import Instance, instance  # noqa: E402

CLIENT = Path(os.environ.get("MAILBENCH") or ROOT.parent / "shared" / "bench" / "mailbench.py")
PASSWORD = "benchpw bench 1"
USERS = 20


def main(arguments: list[str]) -> int:
    if not CLIENT.exists():
        print(f"the benchmark client is not at {CLIENT}")
        return 1
    with instance() as server:
        server.import_users([f"u{n:04}@bench.test" for n in range(1, USERS + 1)], PASSWORD)
        if "imap-session" in arguments:  # needs some mail in each INBOX
            bench(server, ["imap-append", "--connections", str(USERS), "--messages", str(60 * USERS)])
        code = bench(server, arguments or ["smtp-ingest", "--messages", "5000"])
        server.stop()
        print(server.manage("check").stdout.strip().splitlines()[-1])
    return code


def bench(server: Instance, workload: list[str]) -> int:
    assert server.process is not None
    ports = [f"--{name}-port={server.ports[name]}" for name in ("smtp", "imap", "pop3")]
    words = [sys.executable, str(CLIENT), *ports, "--server-pid", str(server.process.pid)]
    words += ["--user-pattern", "u{:04d}@bench.test", "--user-count", str(USERS), f"--password={PASSWORD}"]
    return subprocess.run([*words, *workload], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
