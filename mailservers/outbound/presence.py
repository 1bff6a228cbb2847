"""Knowing which runners of this data directory are alive, so that a dead one's leases are released at once.

Each runner holds an exclusive `flock` on `runners/<its id>.lock` in the data directory. The kernel drops the lock
with the process, however it ends. A runner that starts finds the files whose lock nobody holds: their runners are
dead. A host with another data directory has no such files here, so its leases are left to run out.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from django.conf import settings


class Presence:
    """One runner's sign of life, from construction to `leave`. Raises OSError when the disk refuses."""

    def __init__(self) -> None:
        self.runner_id = secrets.token_hex(8)
        self._directory = Path(settings.DATA_DIR) / "runners"
        self._directory.mkdir(mode=0o700, exist_ok=True, parents=True)
        self._path = self._directory / f"{self.runner_id}.lock"
        draft = self._directory / f".{self.runner_id}"
        self._file = os.open(draft, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.rename(draft, self._path)  # seen by others only when it is locked

    def dead_runners(self) -> list[str]:
        """Ids of runners that ended without `leave`."""
        return [path.stem for path in self._directory.glob("*.lock") if path != self._path and _is_unlocked(path)]

    def bury(self, runner_id: str) -> None:
        """The dead runner's leases are released: forget it."""
        (self._directory / f"{runner_id}.lock").unlink(missing_ok=True)

    def leave(self) -> None:
        """The leases are released: there is nothing left to find."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def _is_unlocked(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True
