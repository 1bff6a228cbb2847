"""The search box's language: words, "exact phrases", and `from: to: subject: has: is: after: before:`."""

from __future__ import annotations

import re
from datetime import date

from mailservers.store.lists import Marks, SearchTerms

MAX_QUERY = 500  # characters
MAX_TERMS = 20
_TERM = re.compile(r'(?:(?P<name>from|to|subject|has|is|after|before):)?(?:"(?P<quoted>[^"]*)"?|(?P<word>\S+))', re.I)
_IS = {
    "unread": {"seen": False},
    "read": {"seen": True},
    "starred": {"flagged": True},
    "flagged": {"flagged": True},
    "unstarred": {"flagged": False},
}


def parse_query(text: str) -> SearchTerms:
    """Never refuses: an operator with a value it does not know is looked for as a word."""
    words: list[str] = []
    named: dict[str, list[str]] = {"from": [], "to": [], "subject": []}
    marks: dict[str, bool] = {}
    dates: dict[str, date] = {}
    has_attachment = False
    for match in list(_TERM.finditer(text[:MAX_QUERY].replace("\0", " ")))[:MAX_TERMS]:
        name = (match["name"] or "").lower()
        value = match["quoted"] if match["quoted"] is not None else match["word"]
        if not value.strip():
            continue
        if name in named:
            named[name].append(value)
        elif name == "is" and value.lower() in _IS:
            marks.update(_IS[value.lower()])
        elif name == "has" and value.lower().startswith("attach"):
            has_attachment = True
        elif name in ("after", "before") and (day := _day(value)) is not None:
            dates[name] = day
        else:
            words.append(match[0].strip('"') if name else value)
    return SearchTerms(
        tuple(words),
        tuple(named["from"]),
        tuple(named["to"]),
        tuple(named["subject"]),
        Marks(marks.get("seen"), marks.get("flagged")),
        has_attachment,
        dates.get("after"),
        dates.get("before"),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
