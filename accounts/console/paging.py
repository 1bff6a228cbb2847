"""Lists page by key, never by offset: a page begins after the last row of the one before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict

Row = TypeVar("Row", bound=Model)
PAGE = 50  # rows
MAX_WORDS = 320  # characters of a search or a key


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """`next_query` is the query string of the next page, "" on the last; `is_first` shows "back to the start"."""

    rows: list[Row]
    next_query: str
    is_first: bool
    first_query: str

    def __bool__(self) -> bool:
        return bool(self.rows)


def page_after(request: HttpRequest, rows: QuerySet[Row], key: str) -> Page[Row]:
    """In ascending order of a unique text column `key`; the page's start is `?after=<value>`."""
    after = words_of(request, "after")
    if after:
        rows = rows.filter(**{f"{key}__gt": after})
    found = list(rows.order_by(key)[: PAGE + 1])
    last = getattr(found[PAGE - 1], key) if len(found) > PAGE else ""
    return _page(request, found, "after", last, not after)


def page_before(request: HttpRequest, rows: QuerySet[Row]) -> Page[Row]:
    """Newest first, by id; the page's start is `?before=<id>`."""
    before = number(request.GET.get("before", ""))
    if before:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: PAGE + 1])
    last = found[PAGE - 1].pk if len(found) > PAGE else ""
    return _page(request, found, "before", str(last), not before)


def words_of(request: HttpRequest, name: str) -> str:
    """What was typed into a search field: short, and without NUL, which PostgreSQL refuses."""
    return request.GET.get(name, "").replace("\0", "").strip()[:MAX_WORDS]


def number(text: str) -> int:
    """A row id of a query string; 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def query(request: HttpRequest, **changes: str) -> str:
    """The page's query string with some values replaced; empty ones are left out."""
    values: QueryDict = request.GET.copy()
    for name, value in changes.items():
        values[name] = value
    for name in [name for name in values if not values[name]]:
        del values[name]
    return values.urlencode()


def _page(request: HttpRequest, found: list[Row], key: str, last: str, is_first: bool) -> Page[Row]:
    next_query = query(request, **{key: last}) if last else ""
    return Page(found[:PAGE], next_query, is_first, query(request, **{key: ""}))
