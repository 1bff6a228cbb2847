"""PostgreSQL: the server killed under load, and two of our processes writing to the same mailboxes.

`ROUNDS` (default 3) and `SEED` in the environment; the seed is printed.
"""

from __future__ import annotations

import imaplib
import os
import random
import re
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash.person import PASSWORD, Person
from tests.instance import Instance
from tests.postgres import MISSING, Postgres, postgres, programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(programs() is None, reason=MISSING),
]
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
RECOVERY_S = 5.0
EACH = 40  # messages of each writer
SHARED = "shared@crash.example"


@pytest.fixture
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def test_killed_under_load(tmp_path: Path, database: Postgres) -> None:
    """Only temporary errors, service again within RECOVERY_S of its return, nothing acknowledged lost."""
    print(f"\nseed {SEED}, {ROUNDS} rounds")
    rng = random.Random(SEED)
    people = [Person(f"user{n}@crash.example", random.Random(rng.random()), certain=False) for n in range(4)]
    server = Instance(tmp_path, environment={"POSTROOM_DATABASE_URL": database.url})
    recoveries: list[float] = []
    try:
        server.start()
        server.import_users([person.login for person in people], PASSWORD)
        for _ in range(ROUNDS):
            ended = threading.Event()
            with ThreadPoolExecutor(len(people)) as pool:
                acting = [pool.submit(_act_until, person, server.ports, ended) for person in people]
                time.sleep(rng.uniform(0.3, 1.5))
                database.kill()
                time.sleep(rng.uniform(0, 0.5))
                database.start()
                began = time.monotonic()
                _deliver(server, people[0], began)
                recoveries.append(time.monotonic() - began)
                ended.set()
                for done in acting:
                    done.result()
            for person in people:
                person.check(server.ports)
        server.stop()
        assert "The mail store is sound" in server.manage("check").stdout
    finally:
        server.kill()
    acts = sum((person.acts for person in people), Counter())
    refusals = sum((person.refusals for person in people), Counter())
    print(f"acknowledged {dict(acts)}, {refusals.total()} refused, longest recovery {max(recoveries):.2f} s")
    assert max(recoveries) < RECOVERY_S
    assert all(re.search(r"UNAVAILABLE|4\.\d\.\d|SYS/TEMP", text) for text in refusals), refusals


def _act_until(person: Person, ports: dict[str, int], ended: threading.Event) -> None:
    while not ended.is_set():
        person.act_until_it_dies(ports, limit=5)


def _deliver(server: Instance, person: Person, began: float) -> None:
    """The first success after the database's return, tried by a login of its own."""
    while time.monotonic() - began < 60:
        try:
            with imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=30) as client:
                client.login(person.login, PASSWORD)
                assert client.create(f"Back-{began}")[0] == "OK"
                return
        except (imaplib.IMAP4.error, AssertionError):
            time.sleep(0.05)
    raise AssertionError("service did not return")


def test_two_processes_share_a_mailbox(tmp_path: Path, database: Postgres) -> None:
    """UIDs and modseqs are unique and rise, counters hold, and each sees what the other does."""
    environment = {"POSTROOM_DATABASE_URL": database.url}
    (tmp_path / "other").mkdir()
    one = Instance(tmp_path, environment=environment)
    two = Instance(tmp_path / "other", environment=environment, program="runmail", data=tmp_path / "data")
    try:
        with ThreadPoolExecutor(2) as pool:  # both migrate an empty database at once
            for started in [pool.submit(one.start), pool.submit(two.start)]:
                started.result()
        one.import_users([SHARED], PASSWORD)
        watcher = two.imap(SHARED, PASSWORD)
        watcher.select("INBOX")
        with ThreadPoolExecutor(6) as pool:
            jobs = [pool.submit(_append, server, n) for n in range(2) for server in (one, two)]
            jobs += [pool.submit(_send, server) for server in (one, two)]
            uids = [uid for job in jobs for uid in job.result()]
        total = len(jobs) * EACH
        told = 4 * EACH  # APPENDs were told their UIDs
        assert len(set(uids)) == told, "two messages were told the same UID"
        until = time.monotonic() + 30
        while len(watcher.uid("SEARCH", "ALL")[1][0].split()) < total:
            assert time.monotonic() < until, "the other process's messages did not come"
            watcher.noop()
        with ThreadPoolExecutor(2) as pool:
            for job in [pool.submit(_flag_all, server, flag) for server, flag in ((one, r"\Flagged"), (two, r"\Seen"))]:
                job.result()
        with one.imap(SHARED, PASSWORD) as client:
            status = client.status("INBOX", "(MESSAGES UNSEEN)")[1][0]
            assert b"MESSAGES %d UNSEEN 0" % total in status, status
            client.select("INBOX", readonly=True)
            lines = client.uid("FETCH", "1:*", "(FLAGS MODSEQ)")[1]
            assert all(rb"\Flagged" in line and rb"\Seen" in line for line in lines), "a mark was lost"
        watcher.logout()
        for server in (two, one):
            server.stop()
            assert "Traceback" not in server.log(), server.log()
        assert "The mail store is sound" in one.manage("check").stdout
    finally:
        one.kill()
        two.kill()


def _append(server: Instance, writer: int) -> list[int]:
    uids = []
    with server.imap(SHARED, PASSWORD) as client:
        for number in range(EACH):
            raw = f"Subject: {number} of writer {writer}\r\n\r\nx\r\n".encode()  # the same content comes twice
            status, data = client.append("INBOX", None, None, raw)
            assert status == "OK", data
            uids.append(int(data[0].split(b"]")[0].split()[-1]))
    assert uids == sorted(uids)
    return uids


def _send(server: Instance) -> list[int]:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as client:
        for number in range(EACH):
            client.sendmail("a@elsewhere.test", [SHARED], f"Subject: {number}\r\n\r\nx\r\n")
    return []


def _flag_all(server: Instance, flag: str) -> None:
    with server.imap(SHARED, PASSWORD) as client:
        client.enable("CONDSTORE")
        client.select("INBOX")
        highest = 0
        for uid in client.uid("SEARCH", "ALL")[1][0].split()[::3]:
            status, data = client.uid("STORE", uid.decode(), "+FLAGS", f"({flag})")
            assert status == "OK", data
            modseq = max(int(n) for item in data for n in re.findall(rb"MODSEQ \((\d+)\)", item))
            assert modseq > highest, "a modseq came again"
            highest = modseq
        assert client.uid("STORE", "1:*", "+FLAGS.SILENT", f"({flag})")[0] == "OK"
