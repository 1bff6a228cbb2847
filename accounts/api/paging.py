"""Lists page by key, never by offset: `next` of one page is `after` of the next, and null on the last."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field

Item = TypeVar("Item")
Row = TypeVar("Row", bound=Model)


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("it has a NUL character")  # which PostgreSQL refuses
    return text


Words = Annotated[str, Field(max_length=320), AfterValidator(_without_nul)]
Text = Annotated[str, Field(max_length=1024), AfterValidator(_without_nul)]


class Body(Schema):
    """What a caller sends: a name that is not known is a mistake, and is said."""

    model_config = ConfigDict(extra="forbid")


class Paged(Body):
    after: Words = ""
    limit: int = Field(50, ge=1, le=200)


class Searched(Paged):
    q: Words = ""


class Page(Schema, Generic[Item]):
    items: list[Item]
    next: str | None = None


def page_after(rows: QuerySet[Row], key: str, wanted: Paged) -> dict[str, Any]:
    """In ascending order of a unique text column."""
    if wanted.after:
        rows = rows.filter(**{f"{key}__gt": wanted.after})
    found = list(rows.order_by(key)[: wanted.limit + 1])
    more = len(found) > wanted.limit
    return {"items": found[: wanted.limit], "next": getattr(found[wanted.limit - 1], key) if more else None}


def page_before(rows: QuerySet[Row], wanted: Paged) -> dict[str, Any]:
    """Newest first, by id."""
    before = number(wanted.after)
    if before:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: wanted.limit + 1])
    more = len(found) > wanted.limit
    return {"items": found[: wanted.limit], "next": str(found[wanted.limit - 1].pk) if more else None}


def number(text: str) -> int:
    """A row id; 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
