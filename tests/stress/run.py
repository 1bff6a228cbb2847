"""`make stress`: random clients at one account, then at twenty, with books of what each may be told.

    SEED=7 MINUTES=10 CLIENTS=50 ACCOUNTS="1 20" .venv/bin/python -m tests.stress.run

Each half takes MINUTES. Starts an instance of its own; prints the seed and a line of figures for each half, or the
violation with the last lines of the dialogue. `play` is what the tests use.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.dialog import client_context  # noqa: E402
from tests.instance import Instance, instance  # noqa: E402
from tests.stress.actor import ALL_OF_IT, STRICT, Actor, Run  # noqa: E402
from tests.stress.beside import deliver, drain  # noqa: E402
from tests.stress.book import Book  # noqa: E402
from tests.stress.ledger import Found, Ledger, Violation  # noqa: E402

SHOWN = 30  # faults
PASSWORD = "stress-and-strain-7"


def play(server: Instance, logins: Sequence[str], clients: int, seconds: float, seed: str) -> dict[str, int]:
    """The whole of it; how often what was done. Raises `Violation`."""
    server.import_users(list(logins), PASSWORD)
    try:
        counts = asyncio.run(_play(server, logins, clients, seconds, seed))
    except* Violation as group:
        raise Violation("\n\n".join(str(error) for error in group.exceptions)) from None
    said = server.manage("check", check=False)
    if said.returncode or "sound" not in said.stdout:
        raise Violation(f"manage.py check: {said.stdout}{said.stderr}")
    if "Traceback" in server.log():
        raise Violation(server.log())
    return counts


async def _play(server: Instance, logins: Sequence[str], clients: int, seconds: float, seed: str) -> dict[str, int]:
    ports = server.ports
    run = Run(ports["imap"], ports["imaps"], 0.0, client_context(), PASSWORD)
    ledgers = [Ledger(login) for login in logins]
    for ledger in ledgers:
        await _prepare(run, ledger)
    run.until = time.monotonic() + seconds
    actors = [Actor(run, ledgers[number % len(ledgers)], number, seed) for number in range(clients)]
    async with asyncio.TaskGroup() as tasks:
        for actor in actors:
            tasks.create_task(actor.act())
        tasks.create_task(deliver(run, ledgers, ports["smtp"], False, seed))
        tasks.create_task(deliver(run, ledgers, ports["lmtp"], True, seed))
        tasks.create_task(drain(run, ledgers, ports["pop3"], seed))
    faults: list[str] = []
    for ledger in ledgers:
        books = {book.uid_validity: book for book in await _fresh(run, ledger)}
        for actor in actors:
            if actor.ledger is ledger:
                faults += await _compare(actor, books)
        faults += ledger.audit({validity: _found(ledger, book) for validity, book in books.items()})
    if faults:
        raise Violation("\n".join([*faults[:SHOWN], f"{len(faults)} faults"]))
    return run.counts


async def _prepare(run: Run, ledger: Ledger) -> None:
    actor = Actor(run, ledger, 0, "")
    await actor.connect()
    for name in STRICT:
        if name != "INBOX":
            await actor.ok(b"CREATE " + name.encode())
        lines = (await actor.ok(b"SELECT " + name.encode())).untagged
        ledger.names[name] = next(int(line.split()[3].rstrip(b"]")) for line in lines if b"[UIDVALIDITY " in line)
    await actor.ok(b"LOGOUT")


async def _fresh(run: Run, ledger: Ledger) -> list[Book]:
    """All mailboxes of an account as a new session finds them."""
    actor = Actor(run, ledger, 1, "")
    await actor.connect()
    books = []
    for line in (await actor.ok(b'LIST "" "*"')).untagged:
        began = time.monotonic()
        answer = await actor.ok(b"EXAMINE " + line.split(b' "/" ')[1])
        validity = next(int(x.split()[3].rstrip(b"]")) for x in answer.untagged if b"[UIDVALIDITY " in x)
        book = Book(ledger, validity, False)
        book.opened_at, book.command = began, b"EXAMINE"
        for untagged in answer.untagged:
            book.take(untagged)
        if book.uids:
            for untagged in (await actor.ok(b"UID FETCH 1:* " + ALL_OF_IT)).untagged:
                book.take(untagged)
        books.append(book)
    await actor.ok(b"LOGOUT")
    return books


def _found(ledger: Ledger, book: Book) -> dict[int, Found]:
    return {
        uid: Found(ledger.contents[book.uid_validity, uid], book.flags[uid]) for uid in book.uids if uid is not None
    }


async def _compare(actor: Actor, fresh: dict[int, Book]) -> list[str]:
    """A session's books, brought up to date, are what a fresh session finds."""
    book = actor.book
    if book is None:
        return []
    await actor.ok(b"NOOP")
    truth = fresh[book.uid_validity]
    who = f"{actor.ledger.login}, client {actor.number}"
    if len(book.uids) != len(truth.uids) or any(
        mine not in (None, theirs) for mine, theirs in zip(book.uids, truth.uids, strict=True)
    ):
        return [f"{who}: its messages are {book.uids}, a fresh session finds {truth.uids}"]
    return [
        f"{who}: UID {uid} has {sorted(flags)} in its books, and {sorted(truth.flags[uid])}\n{actor.story()}"
        for uid, flags in book.flags.items()
        if flags != truth.flags[uid]
    ]


def main() -> None:
    seed = os.environ.get("SEED") or str(random.randrange(1_000_000))
    seconds = 60 * float(os.environ.get("MINUTES") or 10)
    clients = int(os.environ.get("CLIENTS") or 50)
    print(f"SEED={seed}", flush=True)
    for accounts in map(int, (os.environ.get("ACCOUNTS") or "1 20").split()):
        logins = [f"s{n:02}@stress{accounts}.test" for n in range(accounts)]
        with instance(environment={"POSTROOM_LMTP_PORT": "0"}) as server:
            try:
                counts = play(server, logins, clients, seconds, seed)
            except Violation as violation:
                sys.exit(str(violation))
            server.stop()
        print(json.dumps({"accounts": accounts, "clients": clients, "seconds": seconds, **counts}), flush=True)


if __name__ == "__main__":
    main()
