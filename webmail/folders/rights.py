"""Rights of RFC 4314 in words: the levels that the sharing page offers, and every right by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mailservers.store.access import RIGHTS

LEVELS = {  # value: (rights, label)
    "read": ("lrs", "Read"),
    "write": ("lrswit", "Read and write"),
    "clear": ("lrswite", "Read, write and remove"),
    "all": (RIGHTS, "Everything, sharing included"),
}
WORDS = {
    "l": "see the folder",
    "r": "read messages",
    "s": "mark as read",
    "w": "star and label",
    "i": "put messages in",
    "p": "post to it by mail",
    "t": "mark as deleted",
    "e": "remove what is marked as deleted",
    "k": "make folders inside",
    "x": "rename or delete the folder",
    "a": "share it with others",
}


def level_of(rights: Collection[str]) -> str:
    """The level with exactly these rights, else "custom"."""
    return next((name for name, (text, _) in LEVELS.items() if set(text) == set(rights)), "custom")


def rights_in_words(rights: Collection[str]) -> str:
    level = level_of(rights)
    if level in LEVELS:
        return LEVELS[level][1]
    return ", ".join(words_of(rights)).capitalize()


def words_of(rights: Iterable[str]) -> list[str]:
    return [WORDS[right] for right in RIGHTS if right in set(rights)]
