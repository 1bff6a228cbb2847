"""A key tree as a condition of SQL on a place `p` and its content `m`: what the database can say of it.

Every message that matches fulfils the condition. Where it is `exact`, every message that fulfils it matches, too, and
nobody has to look further. Parts that the database cannot judge at all are left out (None).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import connection

from mailservers.formats import search_keys as keys
from mailservers.formats.search_keys import Key
from mailservers.formats.searchable import needle
from mailservers.models import Flag
from mailservers.store.searching import fulltext

MAX_RANGES = 50  # of UIDs in one condition; more become one range, judged afterwards
MAX_DEPTH = 16  # of conditions in conditions; SQLite's parser has a stack of 100
FLAG_BITS = {flag.label: flag.value for flag in Flag}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search needs besides the messages."""

    now: datetime
    chosen: dict[int, tuple[int, ...]]  # id() of each Uids and Numbers node -> its UIDs, ascending
    first_recent: int = 0  # UIDs from here on are \\Recent; 0: none
    indexed_id: int = 0  # contents up to here are in the full-text index


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL with `%s` for each parameter."""

    sql: str
    params: tuple[Any, ...] = ()
    exact: bool = True


EVERYTHING = Condition("1 = 1")
NOTHING = Condition("1 = 0")


def narrow(key: Key, scope: Scope, depth: int = 0) -> Condition | None:
    """The condition of a key; None where the database has nothing to say, or would have to nest too deeply."""
    if depth > MAX_DEPTH:
        return None
    match key:
        case keys.And(inner):
            return _and([narrow(one, scope, depth + 1) for one in inner])
        case keys.Or(first, second):
            return _or(narrow(first, scope, depth + 1), narrow(second, scope, depth + 1))
        case keys.Not(inner_key):
            inner_condition = narrow(inner_key, scope, depth + 1)
            if inner_condition is None or not inner_condition.exact:
                return None
            return Condition(f"NOT ({inner_condition.sql})", inner_condition.params)
        case keys.Header(_, text) | keys.Body(text) | keys.Text(text) | keys.FileName(text):
            return _by_text(text, scope)
        case _:
            return _by_columns(key, scope)


def _and(conditions: Iterable[Condition | None]) -> Condition | None:
    parts = list(conditions)
    known = [part for part in parts if part is not None]
    if not known:
        return None
    sql = " AND ".join(f"({part.sql})" for part in known)
    exact = len(known) == len(parts) and all(part.exact for part in known)
    return Condition(sql, tuple(value for part in known for value in part.params), exact)


def _or(first: Condition | None, second: Condition | None) -> Condition | None:
    if first is None or second is None:
        return None
    return Condition(f"({first.sql}) OR ({second.sql})", first.params + second.params, first.exact and second.exact)


def _by_text(text: str, scope: Scope) -> Condition | None:
    matching = fulltext.condition(needle(text).decode("utf-8", "replace"))
    if matching is None or not scope.indexed_id:
        return None
    sql, params = matching
    return Condition(
        f"p.message_id > %s OR p.message_id IN ({sql})"
        " OR p.message_id IN (SELECT id FROM mailservers_messagetext WHERE is_large)",
        (scope.indexed_id, *params),
        exact=False,
    )


def _by_columns(key: Key, scope: Scope) -> Condition | None:  # noqa: C901 - one table of keys
    match key:
        case keys.All():
            return EVERYTHING
        case keys.Flag("\\Recent"):
            return Condition("p.uid >= %s", (scope.first_recent,)) if scope.first_recent else NOTHING
        case keys.Flag(name) if name.startswith("\\"):
            return Condition("p.flags & %s <> 0", (FLAG_BITS[name],)) if name in FLAG_BITS else NOTHING
        case keys.Flag():
            return Condition("p.keywords <> ''", exact=False)
        case keys.Uids() | keys.Numbers():
            return _among(scope.chosen[id(key)])
        case keys.Larger(octets):
            return Condition("m.size > %s", (octets,))
        case keys.Smaller(octets):
            return Condition("m.size < %s", (octets,))
        case keys.ModSeq(at_least):
            return Condition("p.modseq >= %s", (at_least,))
        case keys.Within(younger, seconds):
            return _within(younger, seconds, scope.now)
        case keys.DateIs(which, how, day):
            return _dated(which, how, day)
        case keys.Thread(thread_ids):
            return _one_of("p.thread_id", sorted(thread_ids))
        case keys.InMailbox(mailbox_ids):
            return _one_of("p.mailbox_id", sorted(mailbox_ids))
        case keys.Email(digest):
            return Condition("m.sha256 BETWEEN %s AND %s", (digest.ljust(32, b"\0"), digest.ljust(32, b"\xff")))
        case keys.HasAttachment():
            return Condition("m.has_attachment")
    raise AssertionError(f"no rule for {type(key).__name__}")


def _one_of(column: str, values: list[int]) -> Condition:
    if not values:
        return NOTHING
    return Condition(f"{column} IN ({', '.join(['%s'] * len(values))})", tuple(values))


def _among(uids: tuple[int, ...]) -> Condition:
    """A UID in one of the runs that `uids` is made of."""
    if not uids:
        return NOTHING
    runs: list[tuple[int, int]] = []
    first = last = uids[0]
    for uid in uids[1:]:
        if uid != last + 1:
            runs.append((first, last))
            first = uid
        last = uid
    runs.append((first, last))
    if len(runs) > MAX_RANGES:
        return Condition("p.uid BETWEEN %s AND %s", (uids[0], uids[-1]), exact=False)
    sql = " OR ".join(["p.uid BETWEEN %s AND %s"] * len(runs))
    return Condition(sql, tuple(value for run in runs for value in run))


def _within(younger: bool, seconds: int, now: datetime) -> Condition:
    try:
        moment = now - timedelta(seconds=seconds)
    except OverflowError:
        return EVERYTHING if younger else NOTHING
    return Condition(f"p.internal_date {'>=' if younger else '<='} %s", (_moment(moment),))


_DATE_COLUMNS = {"internal": "p.internal_date", "saved": "p.save_date", "sent": "m.date"}


def _dated(which: str, how: str, day: date) -> Condition:
    """Days are UTC's. A message's own Date counts in its sender's zone: up to a day off, so judged afterwards."""
    column = _DATE_COLUMNS[which]
    slack = timedelta(days=1 if which == "sent" else 0)
    parts: list[str] = []
    params: list[Any] = []
    if how in ("on", "since"):
        parts.append(f"{column} >= %s")
        params.append(_midnight(day, -slack))
    if how in ("on", "before"):
        parts.append(f"{column} < %s")
        params.append(_midnight(day, slack + timedelta(days=1 if how == "on" else 0)))
    return Condition(" AND ".join(parts), tuple(params), exact=which != "sent")


def _midnight(day: date, shift: timedelta) -> Any:
    midnight = datetime.combine(day, time(), UTC)
    try:
        return _moment(midnight + shift)
    except OverflowError:
        return _moment(midnight)


def _moment(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)
