"""Finding messages: the database narrows, the judge decides, some hundred rows at a time.

Everything here reads, in a reader thread or a web view. One call of `find_some` is one visit: it looks through a
bounded number of rows and octets and says where the next one goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from mailservers.formats.search_keys import Key
from mailservers.store.searching.judging import Candidate, Judge, Row
from mailservers.store.searching.narrowing import EVERYTHING, Condition, Scope, narrow
from mailservers.store.searching.texts import bodies_of, headers_of, indexed_up_to
from mailservers.store.statements import fetch

ROWS = 500  # judged in one visit
TEXT_ROWS = 100  # whose texts are read with one query

_PLACES = "FROM mailservers_mailboxmessage p"
_CONTENTS = " JOIN mailservers_message m ON m.id = p.message_id"


@dataclass(frozen=True, slots=True)
class Match:
    uid: int
    modseq: int


@dataclass(frozen=True, slots=True)
class Page:
    """`after`: the UID to go on after; None when all has been looked at."""

    matches: list[Match]
    after: int | None


def scope_now(chosen: Mapping[int, Sequence[int]] | None = None, first_recent: int = 0) -> Scope:
    """What a search goes by, taken when it begins."""
    uids = {node: tuple(some) for node, some in (chosen or {}).items()}
    return Scope(timezone.now(), uids, first_recent, indexed_up_to())


def find_some(mailbox_id: int, key: Key, scope: Scope, after: int = 0) -> Page:
    """Matches in a mailbox with UIDs over `after`, ascending."""
    condition = narrow(key, scope) or Condition(EVERYTHING.sql, exact=False)
    if condition.exact:
        pairs = _select("p.uid, p.modseq", condition, "p.mailbox_id = %s AND p.uid > %s", (mailbox_id, after), "p.uid")
        return Page([Match(*pair) for pair in pairs], None)
    judge = Judge(key, scope)
    where = "p.mailbox_id = %s AND p.uid > %s"
    rows = select_rows(judge, condition, where, (mailbox_id, after), f"p.uid LIMIT {ROWS}")
    found = judge_rows(rows, judge)
    return Page([Match(row.uid, row.modseq) for row in found], rows[-1].uid if len(rows) == ROWS else None)


def judge_rows(rows: Sequence[Row], judge: Judge) -> list[Row]:
    """Those rows that match, in their order."""
    verdicts: dict[int, bool] = {}
    open_ = _settle([Candidate(row) for row in rows], judge, verdicts)
    for start in range(0, len(open_), TEXT_ROWS):
        group = open_[start : start + TEXT_ROWS]
        if judge.reads_header:
            headers = headers_of([candidate.row.message_id for candidate in group], judge.fields, judge.header_tokens)
            for candidate in group:
                candidate.header = headers.get(candidate.row.message_id, b"")
            group = _settle(group, judge, verdicts)
        _judge_bodies(group, judge, verdicts)
    return [row for row in rows if verdicts.get(row.place_id)]


def _judge_bodies(candidates: list[Candidate], judge: Judge, verdicts: dict[int, bool]) -> None:
    """The last look; a message that was expunged a moment ago does not match."""
    by_content: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        by_content.setdefault(candidate.row.message_id, []).append(candidate)
    if not by_content:
        return
    for message_id, body in bodies_of(list(by_content), judge.body_tokens):
        for candidate in by_content[message_id]:
            candidate.body = body
        _settle(by_content[message_id], judge, verdicts)
        for candidate in by_content[message_id]:
            candidate.body = candidate.header = None


def _settle(candidates: list[Candidate], judge: Judge, verdicts: dict[int, bool]) -> list[Candidate]:
    """Record the verdicts that can be given now; the candidates that stay open."""
    open_ = []
    for candidate in candidates:
        verdict = judge(candidate)
        if verdict is None:
            open_.append(candidate)
        else:
            verdicts[candidate.row.place_id] = verdict
    return open_


def _select(columns: str, condition: Condition, where: str, params: Sequence[Any], order: str) -> list[tuple]:
    tables = _PLACES + (_CONTENTS if "m." in columns + condition.sql else "")
    return fetch(
        f"SELECT {columns} {tables} WHERE {where} AND ({condition.sql}) ORDER BY {order}",
        [*params, *condition.params],
    )


def select_rows(judge: Judge, condition: Condition, where: str, params: Sequence[Any], order: str) -> list[Row]:
    """With what the judge looks at."""
    return [_row(values) for values in _select(judge.columns, condition, where, params, order)]


def _row(values: Sequence[Any]) -> Row:
    row = Row(*values)
    if row.internal_date is None:  # nobody looks at it
        return row
    if isinstance(row.internal_date, str) or row.internal_date.tzinfo is None:  # SQLite
        return row._replace(internal_date=_utc(row.internal_date), save_date=_utc(row.save_date))
    return row


def _utc(value: Any) -> datetime:
    """SQLite gives text, or a moment without its zone where the column's type reached the driver."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC)
