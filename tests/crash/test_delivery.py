"""`kill -9` at every step of a delivery to another host: nothing that was acknowledged is lost, and nothing comes twice
but what was in flight: taken by the other host, and not yet written down here.

`ROUNDS` (default: each step once; `make crash` runs 200) and `SEED` in the environment; the seed is printed.
"""

from __future__ import annotations

import contextlib
import os
import random
import smtplib
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.remote import STEPS, Key, Remote
from tests.instance import Instance

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ROUNDS = int(os.environ.get("ROUNDS", str(len(STEPS))))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
LOGIN, PASSWORD = "anna@crash.example", "not to be guessed 7"
MESSAGES, RECIPIENTS = 4, 3  # of a round
STRIKE_S = 60


def submit(port: int, name: str, recipients: list[str], size: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        client.login(LOGIN, PASSWORD)
        body = f"{name}\r\n" + "tide table\r\n" * (size // 12)
        head = f"From: <{LOGIN}>\r\nTo: <all@remote.test>\r\nSubject: {name}\r\nMessage-ID: {name}\r\n"
        client.sendmail(LOGIN, recipients, head + "\r\n" + body)


def test_nothing_is_lost_and_little_comes_twice(tmp_path: Path) -> None:
    print(f"\nseed {SEED}, {ROUNDS} rounds")
    rng = random.Random(SEED)
    remote = Remote()
    server = Instance(
        tmp_path,
        environment={
            "POSTROOM_ROUTES": f"remote.test=127.0.0.1:{remote.port}",
            "POSTROOM_QUEUE_RETRY_FIRST": "1",
            "POSTROOM_OUTBOUND_REUSE_IDLE": "0.2",  # so that QUIT is a step, too
        },
    )
    server.start()
    server.import_users([LOGIN], PASSWORD)
    acknowledged: set[Key] = set()
    struck: Counter[str] = Counter()
    try:
        for turn in range(ROUNDS):
            step = STEPS[turn % len(STEPS)]
            remote.strike_at(step, server.kill)
            trouble: Exception | None = None
            for number in range(MESSAGES):
                name = f"<{turn}.{number}@crash.example>"
                recipients = [f"r{n}@remote.test" for n in range(RECIPIENTS)]
                try:
                    submit(server.ports["submission"], name, recipients, rng.choice((100, 5_000, 300_000)))
                except (OSError, smtplib.SMTPException) as error:
                    trouble = error
                    break  # not acknowledged: it may or may not arrive
                acknowledged.update((name, recipient) for recipient in recipients)
            assert remote.has_struck.wait(STRIKE_S), (
                f"nothing came to {step} in round {turn}; {trouble!r}\n{server.log()[-3000:]}"
            )
            struck[step] += 1
            server.kill()
            server.ports.clear()  # others on this machine may have taken one meanwhile
            server.start()
            wait_until_sent(server)  # what dies three times with its message sets it aside: that is another test's
            remote.wait_until_left()
        server.stop()
        assert "The mail store is sound" in server.manage("check").stdout
    finally:
        server.kill()
        remote.shutdown()
    repeated = {key: count for key, count in remote.taken.items() if count > 1}
    print(f"struck {dict(struck)}, acknowledged {len(acknowledged)}, taken {remote.taken.total()}, repeated {repeated}")
    assert not acknowledged - remote.taken.keys(), "lost"
    too_often = {key: count for key, count in repeated.items() if count > 1 + remote.in_flight[key]}
    assert not too_often, (too_often, remote.in_flight)
    assert all(len(bodies) == 1 for bodies in remote.bodies.values()), "a message changed between its deliveries"


def wait_until_sent(server: Instance) -> None:
    until = time.monotonic() + 120
    with contextlib.closing(sqlite3.connect(server.directory / "data" / "postroom.sqlite3", timeout=30)) as database:
        while database.execute("SELECT count(*) FROM mailservers_queuedrecipient").fetchone()[0]:
            assert time.monotonic() < until, server.log()[-3000:]
            time.sleep(0.05)
