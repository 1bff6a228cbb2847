"""The webmail's search: the newest matches in some mailboxes, through the same narrowing and judging as IMAP's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mailservers.formats.search_keys import Key
from mailservers.store.access import readable_by
from mailservers.store.lists import ListRow, rows_in_order
from mailservers.store.searching.finding import judge_rows, scope_now, select_rows
from mailservers.store.searching.judging import Judge, Row
from mailservers.store.searching.narrowing import EVERYTHING, Condition, narrow

SEARCH_LIMIT = 200  # results
ROWS = 500  # judged at a time
MAX_JUDGED = 20_000  # rows looked at for one search, where the index cannot narrow it


@dataclass(frozen=True, slots=True)
class Found:
    """`is_cut`: there are more matches than SEARCH_LIMIT. `is_partial`: only the newest MAX_JUDGED were looked at."""

    rows: list[ListRow]
    is_cut: bool
    is_partial: bool


def search(user_id: int, key: Key, mailbox_ids: Iterable[int] | None = None) -> Found:
    """Newest matches first, in all mailboxes that the user may read or some of them."""
    readable = readable_by(user_id)
    ids = sorted(readable if mailbox_ids is None else readable.intersection(mailbox_ids))
    if not ids:
        return Found([], False, False)
    scope = scope_now()
    condition = narrow(key, scope) or Condition(EVERYTHING.sql, exact=False)
    judge = Judge(key, scope)
    where = f"p.mailbox_id IN ({', '.join(['%s'] * len(ids))})"
    params: list[object] = list(ids)
    matches: list[Row] = []
    judged = 0
    while True:
        order = f"p.internal_date DESC, p.id DESC LIMIT {ROWS} OFFSET {judged}"
        rows = select_rows(judge, condition, where, params, order)
        matches += rows if condition.exact else judge_rows(rows, judge)
        judged += len(rows)
        if len(rows) < ROWS or len(matches) > SEARCH_LIMIT or judged >= MAX_JUDGED:
            break
    places = [row.place_id for row in matches[:SEARCH_LIMIT]]
    return Found(rows_in_order(places), len(matches) > SEARCH_LIMIT, judged >= MAX_JUDGED)
