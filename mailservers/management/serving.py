"""What `serve` and `runmail` share: prepare the data directory, run the process, say what is up."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import uvloop
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from mailservers.management.memory import limit_heaps
from mailservers.process import ServingProcess
from mailservers.serving.listener import PortInUse

MIGRATION_LOCK = 0x706F7374726F6F6D  # a number of ours: "postroom"
Announce = Callable[[dict[str, Any]], None]


def lock_data_dir() -> IO[str] | None:
    """With SQLite one `serve` a data directory: a second one would be a mistake. The lock ends with the process."""
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3":
        return None
    file = open(Path(settings.DATA_DIR) / "serve.lock", "w")  # noqa: SIM115  # held until the process ends
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise CommandError(f"another `manage.py serve` is running on {settings.DATA_DIR}") from None
    return file


def migrate() -> None:
    """Bring every database up to date; on PostgreSQL one process at a time, however many start at once."""
    for alias in settings.DATABASES:
        with _alone(alias):
            call_command("migrate", database=alias, verbosity=0, interactive=False)


@contextlib.contextmanager
def _alone(alias: str) -> Iterator[None]:
    if connections[alias].vendor != "postgresql":  # SQLite: `lock_data_dir`
        yield
        return
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])


def run(parts: frozenset[str], announce: Announce, ready_file: str | None, extra: dict[str, Any]) -> None:
    """Serve until SIGINT or SIGTERM. Raises CommandError when a port is taken."""
    limit_heaps()
    try:
        uvloop.run(_run(ServingProcess(parts), announce, ready_file, extra))
    except PortInUse as error:
        raise CommandError(str(error)) from None
    finally:
        if ready_file:
            Path(ready_file).unlink(missing_ok=True)


async def _run(process: ServingProcess, announce: Announce, ready_file: str | None, extra: dict[str, Any]) -> None:
    await process.start()
    state = {"pid": os.getpid(), "ports": process.ports, **extra}
    for name in ("admin_link", "set_up_link"):
        if state.get(name) and "web" in process.ports:
            state[name] = f"http://{web_host()}:{process.ports['web']}{state[name]}"
    if ready_file:
        await asyncio.to_thread(_write_ready, Path(ready_file), state)
    announce(state)
    sys.stdout.flush()
    await process.wait()
    await process.stop()


def web_host() -> str:
    """The address to type into a browser on this machine."""
    address = settings.BIND[0]
    if address in ("0.0.0.0", "127.0.0.1"):
        return "127.0.0.1"
    if address in ("::", "::1"):
        return "[::1]"
    return f"[{address}]" if ":" in address else address


def _write_ready(path: Path, state: dict[str, Any]) -> None:
    """All at once, so that whoever waits for the file never reads half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        json.dump(state, file, indent=1)
    draft.rename(path)
