"""FILTER (RFC 5466): search criteria kept as server annotations, put in the place of their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from mailservers.formats.imap.lexer import ImapSyntaxError, Lexer
from mailservers.formats.imap.search import parse_stored
from mailservers.formats.search_keys import Key, StoredFilter, rebuild, walk
from mailservers.imap.replies import Refusal
from mailservers.imap.session import Session
from mailservers.store.annotations import annotation_values
from mailservers.store.engine import store

PRIVATE = "/private/filters/values/"
SHARED = "/shared/filters/values/"
PASSES = 3  # filters in filters in filters
# Of a search with all its filters. More would not fit into one statement of SQLite, whose expressions may be 1,000 deep
# and have 32,766 parameters, and judging a message would take long.
MAX_KEYS = 300


async def with_filters(session: Session, key: Key) -> Key:
    """The key without `StoredFilter`s. Raises a Refusal [UNDEFINED-FILTER] or [LIMIT]."""
    for _ in range(PASSES):
        names = _names(key)
        if not names:
            break
        values = await store.read(_values, session.user_id, sorted(set(names)))
        parsed = {name: _parse(name, values.get(name)) for name in set(names)}
        _require_few(sum(_count(parsed[name]) for name in names))
        key = rebuild(key, partial(_replaced, parsed))
    for name in _names(key):
        raise _undefined(name)
    _require_few(_count(key))
    return key


def _count(key: Key) -> int:
    return sum(1 for _ in walk(key))


def _require_few(count: int) -> None:
    if count > MAX_KEYS:
        raise Refusal("LIMIT", "Too many search keys")


def _replaced(parsed: Mapping[str, Key], leaf: Key) -> Key:
    return parsed[leaf.name] if isinstance(leaf, StoredFilter) else leaf


def _names(key: Key) -> list[str]:
    return [node.name for node in walk(key) if isinstance(node, StoredFilter)]


def _values(user_id: int, names: Iterable[str]) -> dict[str, bytes]:
    """Section 3.1: one's own filter before the one for all."""
    names = list(names)
    values = annotation_values(user_id, None, [prefix + name for name in names for prefix in (PRIVATE, SHARED)])
    found = {name: values.get(PRIVATE + name, values.get(SHARED + name)) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _parse(name: str, value: bytes | None) -> Key:
    if value is None:
        raise _undefined(name)
    try:
        return parse_stored(Lexer((value,), utf8=True))
    except ImapSyntaxError as error:
        raise _undefined(name) from error


def _undefined(name: str) -> Refusal:
    return Refusal(f"UNDEFINED-FILTER {name}", "There is no such filter")


def check_filters(entries: Iterable[tuple[str, bytes | None]]) -> None:
    """Section 3.2: what is stored as a filter must be one."""
    for entry, value in entries:
        if value is not None and entry.startswith((PRIVATE, SHARED)):
            try:
                parse_stored(Lexer((value,), utf8=True))
            except ImapSyntaxError as error:
                raise Refusal("CANNOT", f"Not the criteria of a search: {error}") from error
