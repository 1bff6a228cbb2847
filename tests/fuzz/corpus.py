"""Seeds of the targets as they lie in the repository: a file for each, a Python bytes literal on each line."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

from tests.fuzz.target import Target

DIRECTORY = Path(__file__).parent / "corpus"
MAX_KEPT_OCTETS = 400  # of one seed
MAX_KEPT = 120  # seeds of a target; regressions are written in by hand and stay


def seeds(target: Target) -> list[bytes]:
    path = DIRECTORY / f"{target.name}.txt"
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    found = [*target.seeds, *(ast.literal_eval(line) for line in lines if line.startswith("b"))]
    return list(dict.fromkeys(found))


def unpack(target: Target, directory: Path) -> None:
    """One file a seed, as libFuzzer wants them."""
    directory.mkdir(parents=True, exist_ok=True)
    for seed in seeds(target):
        (directory / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


def keep(target: Target, found: Iterable[bytes]) -> None:
    """Write the smallest of what was found, next to what is there."""
    small = sorted((seed for seed in found if len(seed) <= MAX_KEPT_OCTETS), key=lambda seed: (len(seed), seed))
    kept = dict.fromkeys(seed for seed in seeds(target) if seed not in target.seeds)
    step = max(1, len(small) // MAX_KEPT)  # some of each length
    for seed in small[::step]:
        if len(kept) >= MAX_KEPT:
            break
        if seed not in target.seeds:
            kept[seed] = None
    DIRECTORY.mkdir(exist_ok=True)
    (DIRECTORY / f"{target.name}.txt").write_text("".join(f"{seed!r}\n" for seed in kept), "ascii")
