"""The search box's language.

    words "exact phrases" -not  from: to: cc: subject: filename: label: in: has:attachment
    is:unread|read|starred|unstarred|answered  larger:2M smaller:100K  before:2025-01-31 after:2025-01-01

Everything must match. A word is looked for in the text, the subject and the addresses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from mailservers.formats.search_keys import (
    And,
    Body,
    DateIs,
    FileName,
    Flag,
    HasAttachment,
    Header,
    Key,
    Larger,
    Not,
    Or,
    Smaller,
)
from webmail.labels import NoLabel, keyword_of

MAX_QUERY = 500  # characters
MAX_TERMS = 20
_TERM = re.compile(r'(?P<minus>-)?(?:(?P<name>[a-z]+):)?(?:"(?P<quoted>[^"]*)"?|(?P<word>\S+))', re.I)
_SIZE = re.compile(r"(\d{1,12})([kmg]?)b?", re.I)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_IS: dict[str, Key] = {
    "unread": Not(Flag("\\Seen")),
    "read": Flag("\\Seen"),
    "starred": Flag("\\Flagged"),
    "flagged": Flag("\\Flagged"),
    "unstarred": Not(Flag("\\Flagged")),
    "answered": Flag("\\Answered"),
}


@dataclass(frozen=True, slots=True)
class Query:
    """`key` None: nothing is asked for. `folders`: names given with `in:`."""

    key: Key | None
    folders: tuple[str, ...] = ()


def parse_query(text: str) -> Query:
    """Never refuses: an operator it does not know, or with a value it does not know, is looked for as a word."""
    keys: list[Key] = []
    folders: list[str] = []
    for match in list(_TERM.finditer(text[:MAX_QUERY].replace("\0", " ")))[:MAX_TERMS]:
        name = (match["name"] or "").lower()
        value = (match["quoted"] if match["quoted"] is not None else match["word"]).strip()
        if not value:
            continue
        if name == "in":
            folders.append(value)
            continue
        key = _OPERATORS[name](value) if name in _OPERATORS else None
        if key is None:
            key = anywhere(f"{match['name']}:{value}" if name else value)
        keys.append(Not(key) if match["minus"] else key)
    if not keys:
        return Query(None, tuple(folders))
    return Query(keys[0] if len(keys) == 1 else And(tuple(keys)), tuple(folders))


def anywhere(text: str) -> Key:
    key: Key = Body(text)
    for name in ("subject", "from", "to", "cc"):
        key = Or(key, Header(name, text))
    return key


def _recipient(value: str) -> Key:
    return Or(Header("to", value), Header("cc", value))


def _size(kind: type[Larger] | type[Smaller]) -> Callable[[str], Key | None]:
    def read(value: str) -> Key | None:
        match = _SIZE.fullmatch(value)
        return kind(int(match[1]) * _UNITS[match[2].lower()]) if match else None

    return read


def _day(how: str) -> Callable[[str], Key | None]:
    def read(value: str) -> Key | None:
        try:
            return DateIs("internal", how, date.fromisoformat(value))
        except ValueError:
            return None

    return read


def _label(text: str) -> Key:
    """A label as people see it, which may be one of Thunderbird's or a keyword of that name, or any keyword."""
    plain = Flag(text.lstrip("\\").replace(" ", "_"))
    try:
        label = Flag(keyword_of(text))
    except NoLabel:
        return plain
    return Or(plain, label) if plain.name.isascii() and label.name.lower() != plain.name.lower() else label


_OPERATORS: dict[str, Callable[[str], Key | None]] = {
    "from": lambda value: Header("from", value),
    "to": _recipient,
    "cc": lambda value: Header("cc", value),
    "subject": lambda value: Header("subject", value),
    "filename": FileName,
    "label": _label,
    "has": lambda value: HasAttachment() if value.lower().startswith("attach") else None,
    "is": lambda value: _IS.get(value.lower()),
    "larger": _size(Larger),
    "smaller": _size(Smaller),
    "before": _day("before"),
    "after": _day("since"),
}
