"""`kill -9` at each fsync, rename, unlink and write of the running server, by strace: see `Person` for what must hold.

`ROUNDS` (default: each point once) and `SEED` in the environment; the seed is printed.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash.injection import injected, needs_strace
from tests.crash.person import PASSWORD, Person
from tests.instance import Instance

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    needs_strace,
]
POINTS = ("fdatasync", "fsync", "rename", "pwrite64", "unlink")  # each a point in the life of a commit or a file
ROUNDS = int(os.environ.get("ROUNDS", str(len(POINTS))))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
PEOPLE = 4
ACTS = 60  # of each in a round, at most


def test_nothing_is_lost_doubled_or_half_there(tmp_path: Path) -> None:
    print(f"\nseed {SEED}, {ROUNDS} rounds")
    rng = random.Random(SEED)
    people = [Person(f"user{n}@crash.example", random.Random(rng.random())) for n in range(PEOPLE)]
    server = Instance(tmp_path)
    server.start()
    server.import_users([person.login for person in people], PASSWORD)
    deaths: Counter[str] = Counter()
    try:
        for turn in range(ROUNDS):
            point = POINTS[turn % len(POINTS)]
            seldom = point in ("fsync", "rename", "unlink")
            death = f"signal=SIGKILL:when={rng.randint(1, 4 if seldom else 60)}"
            with ThreadPoolExecutor(PEOPLE) as pool, injected(server, point, death):
                for done in [pool.submit(person.act_until_it_dies, server.ports, ACTS) for person in people]:
                    done.result()
            assert server.process is not None
            deaths[point if server.process.poll() is not None else "at rest"] += 1
            server.kill()
            server.start()
            for person in people:
                person.check(server.ports)
        server.stop()
        assert "The mail store is sound" in server.manage("check").stdout
    finally:
        server.kill()
        acts = sum((person.acts for person in people), Counter())
        print(f"deaths {dict(deaths)}, acknowledged {dict(acts)}")
    assert deaths["at rest"] < ROUNDS, "strace has killed nothing"
    assert not any(person.refusals for person in people), [person.refusals for person in people]
