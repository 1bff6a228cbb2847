"""What a fuzz target is: a function of octets that raises when one of its module's promises is broken.

Targets are found by name (`TARGETS`), each with a few seeds and the words its language is made of; `corpus` keeps more
seeds in files. `attempt` is one execution: the target itself, and for a few inputs the same again with a piece of it
repeated up to PUMPED_OCTETS, which must not take longer than MAX_S: what is quadratic is found with small inputs.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PUMPED_OCTETS = 64 * 1024
PUMPED_MAX_SEED = 160  # octets of an input that is pumped
PUMPED_ONE_IN = 512
MAX_S = 4.0  # of CPU; linear code takes some hundredths


@dataclass(frozen=True, slots=True)
class Target:
    """`max_octets` of an input; `serves`: it needs a database with people (see `sessions`)."""

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...] = ()
    words: tuple[bytes, ...] = ()
    max_octets: int = 1024
    pumped_octets: int = PUMPED_OCTETS
    serves: bool = False


TARGETS: dict[str, Target] = {}


def target(
    *seeds: bytes,
    words: bytes = b"",
    max_octets: int = 1024,
    pumped_octets: int = PUMPED_OCTETS,
    serves: bool = False,
) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Register a function under its name. `words`: with blanks between them. `pumped_octets` 0: never pumped."""

    def register(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        name = run.__name__
        assert name not in TARGETS, name
        TARGETS[name] = Target(name, run, seeds, tuple(words.split()), max_octets, pumped_octets, serves)
        return run

    return register


def attempt(one: Target, data: bytes, *, pump: bool = False) -> None:
    """One execution; `pump`: repeat a piece of it, whatever the input is."""
    one.run(data)
    if not one.pumped_octets or not data:
        return
    mark = zlib.crc32(data)
    if not pump and (len(data) > PUMPED_MAX_SEED or mark % PUMPED_ONE_IN):
        return
    long = pumped(data, mark // PUMPED_ONE_IN, one.pumped_octets)
    began = time.process_time()
    one.run(long)
    taken = time.process_time() - began
    assert taken < MAX_S, f"{taken:.1f} s for {len(long)} octets: {long[:200]!r}"


def pumped(data: bytes, choice: int, octets: int) -> bytes:
    """`data` with one piece of it repeated."""
    start = choice % len(data)
    width = (choice >> 8) % min(len(data) - start, 24) + 1
    piece = data[start : start + width]
    times = max(octets - len(data), 0) // width
    return data[:start] + piece * times + data[start:]


def pieces(data: bytes, lengths: bytes) -> list[bytes]:
    """`data` cut into pieces of these lengths, over and over; none is empty."""
    sizes = [n % 9 + 1 for n in lengths] or [1]
    cut: list[bytes] = []
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        cut.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return cut


def only(error: type[Exception], call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a call gives, or the error that it may raise; any other error goes through."""
    try:
        return call(*arguments, **options)
    except error as raised:
        return raised


def split(data: bytes, count: int, mark: bytes = b"\xfe") -> list[bytes]:
    """`count` fields of an input, with a mark between them; those that are missing are empty."""
    fields = data.split(mark, count - 1)
    return fields + [b""] * (count - len(fields))
