"""`kill -9` at random moments during SMTP ingest: what was acknowledged is there, exactly once, and the store is sound.

`ROUNDS` (default 50) and `SEED` in the environment; the seed is printed.
"""

from __future__ import annotations

import contextlib
import os
import random
import smtplib
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.instance import Instance

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ROUNDS = int(os.environ.get("ROUNDS", "50"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
PASSWORD = "well made 5"
SENDERS = 6
LARGE = b"".join(random.Random(7).randbytes(36).hex().encode() + b"\r\n" for _ in range(4000))  # a file of its own


def send_until_it_dies(port: int, name: str, acknowledged: list[str], attempted: list[str]) -> None:
    with contextlib.suppress(OSError, smtplib.SMTPException):
        client = smtplib.SMTP("127.0.0.1", port, timeout=30)
        for number in range(100_000):
            key = f"{name}-{number}"
            attempted.append(key)
            body = LARGE if number % 10 == 3 else b"x\r\n" * 200
            client.sendmail(
                "crash@elsewhere.test",
                [f"user{number % 3}@crash.example"],
                f"Message-ID: <{key}@crash.test>\r\nSubject: {key}\r\n\r\n".encode() + body,
            )
            acknowledged.append(key)


def stored(server: Instance) -> Counter[str]:
    found: Counter[str] = Counter()
    for number in range(3):
        with server.imap(f"user{number}@crash.example", PASSWORD) as client:
            count = int(client.select("INBOX", readonly=True)[1][0] or b"0")
            if not count:
                continue
            for item in client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
                if isinstance(item, tuple):
                    found[item[1].decode().partition(":")[2].strip()] += 1
    return found


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    print(f"\nseed {SEED}, {ROUNDS} rounds")
    rng = random.Random(SEED)
    server = Instance(tmp_path)
    acknowledged: list[str] = []
    attempted: list[str] = []
    server.start()
    server.import_users([f"user{n}@crash.example" for n in range(3)], PASSWORD)
    try:
        for turn in range(ROUNDS):
            threads = [
                threading.Thread(
                    target=send_until_it_dies, args=(server.ports["smtp"], f"r{turn}s{n}", acknowledged, attempted)
                )
                for n in range(SENDERS)
            ]
            for thread in threads:
                thread.start()
            time.sleep(rng.uniform(0.05, 0.6))  # the random moment
            server.kill()
            for thread in threads:
                thread.join(60)
            server.start()
        found = stored(server)
        server.stop()
        lost = [key for key in acknowledged if not found[key]]
        doubled = [key for key, count in found.items() if count > 1]
        strange = [key for key in found if key not in set(attempted)]
        print(f"{len(attempted)} attempted, {len(acknowledged)} acknowledged, {sum(found.values())} stored")
        assert acknowledged, "no round acknowledged anything"
        assert (lost, doubled, strange) == ([], [], [])
        assert "The mail store is sound" in server.manage("check").stdout
    finally:
        server.kill()
