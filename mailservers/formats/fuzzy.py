"""FUZZY (RFC 6203): what counts as nearly matching, and how near.

A text matches fuzzily where the beginnings of all its words are found, in any order and place: "broken plugs" finds
"plugin is broken". Words lose up to a quarter of their letters, and none of them its first three. Keys without a text
are matched exactly, which section 5 allows.
"""

import enum
from dataclasses import replace

from .search_keys import And, Body, FileName, Fuzzy, Header, Key, Not, Or, Text, rebuild, walk

MAX_WORDS = 16  # of one text; the rest is left out
SHORT_WORD = 3  # characters that are never cut


class Closeness(enum.IntEnum):
    """How well a message matches; the values are the scores of section 4."""

    EXACT = 100  # as if FUZZY were not there
    WORDS = 66  # every word as it is
    BEGINNINGS = 33  # every word's beginning


def is_fuzzy(key: Key) -> bool:
    return any(isinstance(node, Fuzzy) for node in walk(key))


def at_closeness(key: Key, closeness: Closeness) -> Key:
    """The tree without `Fuzzy`: its keys match as closely as is asked for."""
    match key:
        case Fuzzy(inner):
            return at_closeness(rebuild(inner, lambda leaf: _loosened(leaf, closeness)), closeness)
        case And(inner_keys):
            return And(tuple(at_closeness(one, closeness) for one in inner_keys))
        case Or(first, second):
            return Or(at_closeness(first, closeness), at_closeness(second, closeness))
        case Not(inner):
            return Not(at_closeness(inner, closeness))
    return key


def _loosened(key: Key, closeness: Closeness) -> Key:
    if closeness is Closeness.EXACT or not isinstance(key, Header | Body | Text | FileName):
        return key
    words = key.text.split()[:MAX_WORDS]
    if closeness is Closeness.BEGINNINGS:
        words = [_beginning(word) for word in words]
    return And(tuple(replace(key, text=word) for word in words)) if words else key


def _beginning(word: str) -> str:
    return word[: max(SHORT_WORD, len(word) - len(word) // 4)]
