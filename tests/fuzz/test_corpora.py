"""Every fuzz target over its corpus, and over a few changes to it: what was found once is not found again."""

from __future__ import annotations

import random

import pytest

from accounts.models import User
from tests.fuzz.all_targets import TARGETS
from tests.fuzz.corpus import seeds
from tests.fuzz.target import Target, attempt

CHANGES = 2  # of each seed


def changed(seed: bytes, words: tuple[bytes, ...], choose: random.Random) -> bytes:
    at = choose.randint(0, len(seed))
    end = min(len(seed), at + choose.randint(0, 4))
    filling = choose.choice((b"", choose.randbytes(2), choose.choice(words or (b"\r\n",)), seed[at:end] * 2))
    return seed[:at] + filling + seed[end:]


@pytest.mark.parametrize("one", [one for one in TARGETS.values() if not one.serves], ids=lambda one: one.name)
def test_corpus(one: Target) -> None:
    choose = random.Random(one.name)
    for seed in seeds(one):
        attempt(one, seed)
        for _ in range(CHANGES):
            attempt(one, changed(seed, one.words, choose))


@pytest.mark.parametrize(
    "one", [one for one in TARGETS.values() if one.pumped_octets and not one.serves], ids=lambda one: one.name
)
def test_repetition(one: Target) -> None:
    """The first seeds with a piece repeated: what takes quadratic time shows here."""
    for seed in one.seeds[:3]:
        attempt(one, seed, pump=True)


@pytest.mark.parametrize("one", [one for one in TARGETS.values() if one.serves], ids=lambda one: one.name)
def test_sessions(one: Target, anna: User) -> None:
    choose = random.Random(one.name)
    for seed in seeds(one):
        for said in (seed, *(changed(seed, one.words, choose) for _ in range(CHANGES))):
            attempt(one, said)
