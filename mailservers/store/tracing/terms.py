"""What a trace is found by, as 64-bit numbers: small rows, one index, any combination of fields."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailservers.formats.threads import digest

MAX_WORDS = 24  # of a subject
_WORD = re.compile(r"\w{2,40}")


def party(address: str) -> Iterator[str]:
    """The names an address is found by: itself, what is before its @, and its domain."""
    address = address.strip().lower()
    local, at, domain = address.rpartition("@")
    if not address:
        return
    yield f"a:{address}"
    if at:
        yield f"a:{local}@"
        yield f"a:@{domain}"


def wanted_party(text: str) -> str:
    """The name for what was typed: an address, a domain (with or without @), or what is before the @."""
    text = text.strip().strip("<>").lower()
    if "@" in text:
        return f"a:{text}"
    return f"a:@{text}" if "." in text else f"a:{text}@"


def domain(name: str) -> str:
    return f"a:@{name.lower()}"


def subject_words(subject: str) -> list[str]:
    return [f"w:{word}" for word in dict.fromkeys(_WORD.findall(subject.casefold()))][:MAX_WORDS]


def message_id(value: str) -> str:
    return f"i:{value.strip().strip('<>')}"


def state(name: str) -> str:
    return f"s:{name}"


def state_of(name: str, direction: str) -> str:
    """Both are common, and together they may be rare."""
    return f"sd:{direction}:{name}"


def direction(name: str) -> str:
    return f"d:{name}"


def peer(value: str) -> str:
    return f"p:{value.lower()}"


def key(term: str) -> int:
    return digest(term)
