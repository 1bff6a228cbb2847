"""How long mail for a host that answers takes while very much waits for one that does not.

    .venv/bin/python tests/bench/dead_host.py [--rows 100000] [--messages 40]

Messages are submitted one after the other to a host on loopback, first with an empty queue, then with so many rows due
for a host that takes connections and says nothing. Prints, in milliseconds, the time from the first command of the
submission to the message's arrival, and from the remote 250 to our commit (the window in which a crash sends twice).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench.outbound import PASSWORD, SENDER, UNLIMITED, submit  # noqa: E402
from tests.instance import Instance  # noqa: E402
from tests.outbound.fake_smtp import HANG, FakeHost, Script  # noqa: E402

COUNT = "SELECT count(*) FROM mailservers_queuedrecipient WHERE domain = 'sink.test'"
TABLES = ("mailservers_queuedmessage", "mailservers_queuedrecipient")


def fill(database: sqlite3.Connection, rows: int) -> None:
    """Copies of the one message that waits, each with its recipient, for the dead host and due now."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
    for table in TABLES:
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        changed = {
            "id": "i + 1000000", "queued_id": "i + 1000000", "address": "'b' || i || '@dead.test'",
            "domain": "'dead.test'", "lease_until": "NULL", "lease_token": "''",
        }  # fmt: skip
        values = ", ".join(changed.get(column, column) for column in columns)
        database.execute(
            f"{numbers} INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM n,"
            f" (SELECT * FROM {table} ORDER BY id LIMIT 1)"
        )
    database.commit()


async def measure(name: str, server: Instance, host: FakeHost, database: sqlite3.Connection, messages: int) -> None:
    taken, windows = [], []
    for _ in range(messages):
        host.arrived.clear()
        began = time.monotonic()
        sending = asyncio.create_task(submit(server.ports["submission"], 1, SENDER))
        await asyncio.wait_for(host.arrived.wait(), 60)
        arrived = time.monotonic()
        await sending
        while database.execute(COUNT).fetchone()[0]:  # noqa: ASYNC110  # another process tells nobody
            await asyncio.sleep(0.0005)
        taken.append(arrived - began)
        windows.append(time.monotonic() - arrived)
    figures = {f"{what}_p{p}_ms": round(1000 * sorted(of)[len(of) * p // 100], 1)
               for what, of in (("arrival", taken), ("window", windows)) for p in (50, 95, 99)}  # fmt: skip
    print(json.dumps({"queue": name, **figures}), flush=True)


async def run(arguments: argparse.Namespace, directory: Path) -> None:
    async with FakeHost() as host, FakeHost(Script(greeting=HANG)) as dead:
        routes = f"sink.test=127.0.0.1:{host.port},dead.test=127.0.0.1:{dead.port}"
        server = Instance(directory, environment={"POSTROOM_ROUTES": routes, **UNLIMITED})
        try:
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(server.import_users, [SENDER], PASSWORD)
            database = sqlite3.connect(directory / "data" / "postroom.sqlite3", timeout=30)
            await measure("empty", server, host, database, 5)
            await measure("empty", server, host, database, arguments.messages)
            host.script.rcpt = "451 4.7.1 later"
            await submit(server.ports["submission"], 1, SENDER)
            await asyncio.sleep(1)  # it has been tried, and waits
            await asyncio.to_thread(server.stop)
            host.script.rcpt = "250 2.1.5 ok"
            fill(database, arguments.rows)
            database.execute("DELETE FROM mailservers_queuedrecipient WHERE domain = 'sink.test'")
            database.execute("UPDATE mailservers_queuedrecipient SET next_attempt = datetime('now', '-1 minute')")
            database.commit()
            await asyncio.to_thread(server.start)
            while not dead.concurrent:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await measure(f"{arguments.rows} rows behind a dead host", server, host, database, arguments.messages)
        finally:
            server.kill()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=40)
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory:
        asyncio.run(run(parser.parse_args(), Path(directory)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
