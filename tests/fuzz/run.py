"""Coverage-guided fuzzing with atheris: `python -m tests.fuzz.run [TARGET …] [--seconds N] [--runs N]`.

Each target runs in a process of its own, from the corpus of the repository and what earlier runs found in build/fuzz.
What breaks a promise is written to build/fuzz/TARGET-crash-… with its traceback, and the run goes on with the next
target. Executions, seconds and coverage add up in build/fuzz/figures.json; `--table` shows them, `--keep` puts the
smallest finds of the last runs into the repository.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.target import Target

BUILD = Path(__file__).resolve().parents[2] / "build" / "fuzz"
FIGURES = BUILD / "figures.json"
UNIT_TIMEOUT_S = 60
INSTRUMENTED = ["mailservers", "webmail", "accounts"]
_PULSE = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--runs", type=int, default=-1, help="for each target, at most")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--one", metavar="TARGET", help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    if options.one:
        return _fuzz(options.one, [*options.names, *rest])
    names = options.names or list(_targets())
    if options.table:
        print(_table())
        return 0
    if options.keep:
        return _keep(names)
    return max([_run(name, options.seconds, options.runs) for name in names])


def _targets() -> dict[str, Target]:
    """Imported late: they need Django, and atheris instruments what is imported after it."""
    import django

    django.setup()
    from tests.fuzz.all_targets import TARGETS

    return TARGETS


def _run(name: str, seconds: int, runs: int) -> int:
    """One target in a process of its own; 1 when it found something."""
    from tests.fuzz.corpus import unpack

    one = _targets()[name]
    directory = BUILD / name
    unpack(one, directory)
    words = BUILD / f"{name}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in one.words))
    arguments = [
        str(directory), f"-max_len={one.max_octets}", f"-max_total_time={seconds}", f"-runs={runs}",
        f"-timeout={UNIT_TIMEOUT_S}", f"-artifact_prefix={BUILD}/{name}-", "-print_final_stats=1", "-rss_limit_mb=2048",
        "-len_control=20",
    ]  # fmt: skip
    arguments += [f"-dict={words}"] if one.words else []
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz.run", "--one", name, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = done.stdout.decode("utf-8", "replace")
    (BUILD / f"{name}.log").write_text(said)
    pulses = _PULSE.findall(said)
    executions, coverage, features = (int(n) for n in (pulses[-1] if pulses else (0, 0, 0)))
    total = re.search(r"stat::number_of_executed_units:\s+(\d+)", said)
    executions = int(total[1]) if total else executions
    _add(name, executions, time.monotonic() - began, coverage, features)
    verdict = "clean" if done.returncode == 0 else f"FOUND: {BUILD / name}.log"
    print(f"{name:24} {executions:>10,} executions, coverage {coverage}, {verdict}", flush=True)
    return int(done.returncode != 0)


def _escaped(word: bytes) -> str:
    return "".join(chr(c) if 32 < c < 127 and c not in b'"\\' else f"\\x{c:02X}" for c in word)


def _fuzz(name: str, arguments: list[str]) -> int:
    """Does not return: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        one = _targets()[name]
    from tests.fuzz.target import attempt

    with contextlib.ExitStack() as stack:
        if one.serves:
            from tests.fuzz.session_targets import serving

            stack.enter_context(serving())
        atheris.Setup([sys.argv[0], *arguments], lambda data: attempt(one, data))
        atheris.Fuzz()
    return 0


def _add(name: str, executions: int, seconds: float, coverage: int, features: int) -> None:
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    known = figures.setdefault(name, {"executions": 0, "seconds": 0.0})
    known["executions"] += executions
    known["seconds"] += seconds
    known |= {"coverage": coverage, "features": features}
    FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True))


def _table() -> str:
    figures = json.loads(FIGURES.read_text())
    rows = ["| target | executions | seconds | edges covered |", "|---|---|---|---|"]
    for name, known in sorted(figures.items()):
        rows.append(f"| {name} | {known['executions']:,} | {known['seconds']:,.0f} | {known['coverage']:,} |")
    total, seconds = (sum(known[key] for known in figures.values()) for key in ("executions", "seconds"))
    return "\n".join([*rows, f"| all | {total:,} | {seconds:,.0f} | |"])


def _keep(names: list[str]) -> int:
    from tests.fuzz.corpus import keep

    targets = _targets()
    for name in names:
        directory = BUILD / name
        if directory.exists():
            keep(targets[name], [path.read_bytes() for path in directory.iterdir()])
    return 0


if __name__ == "__main__":
    sys.exit(main())
