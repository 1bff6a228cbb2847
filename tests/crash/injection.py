"""strace on a running server: from the n-th call of one of its threads on, a signal or an error comes instead."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instance import Instance

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (tests/install_clients.sh)")
ATTACH_S = 30


@contextlib.contextmanager
def injected(server: Instance, calls: str, what: str) -> Iterator[None]:
    """`calls`: names with commas; `what`: as after `inject=…:`, e.g. `signal=SIGKILL:when=3` or `error=EIO`."""
    assert server.process is not None
    pid = server.process.pid
    words = ["strace", "-f", "-qq", "-p", str(pid), "-o", os.devnull, "-e", f"trace={calls}"]
    strace = subprocess.Popen([*words, "-e", f"inject={calls}:{what}"])
    until = time.monotonic() + ATTACH_S
    while f"TracerPid:\t{strace.pid}" not in _status(pid):
        assert strace.poll() is None and time.monotonic() < until, "strace could not attach"
        time.sleep(0.01)
    watch = threading.Thread(target=_let_it_die, args=(pid, strace))
    watch.start()
    try:
        yield
    finally:
        strace.terminate()
        strace.wait(ATTACH_S)
        watch.join()


def _let_it_die(pid: int, strace: subprocess.Popen[bytes]) -> None:
    """strace sometimes holds on to a thread of the dead, and with it to the connections: everybody who has one waits
    for an answer until their time is up. So it goes as soon as the kill is under way, not when it is done."""
    while not _is_dying(pid) and strace.poll() is None:
        time.sleep(0.05)
    strace.kill()


def _is_dying(pid: int) -> bool:
    """Killed: the process, or a thread that has yet to notice."""
    if "State:\tZ" in _status(pid):
        return True
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # gone meanwhile
            pending = re.findall(r"(?:Sig|Shd)Pnd:\t([0-9a-f]+)", (task / "status").read_text())
            if any(int(mask, 16) >> (signal.SIGKILL - 1) & 1 for mask in pending):
                return True
    return False


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()
