"""A list row's words: who, when, how it is marked."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime

from django.utils import formats, timezone

from mailservers.store.lists import ListRow
from webmail.folders.tree import Folder

AVATAR_COLOURS = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One row as the template draws it."""

    row: ListRow
    item: str  # "mailbox-uid": how forms name it
    who: str
    when: str
    folder: Folder | None  # shown in lists over several folders
    opens_draft: bool = False
    fits: bool = True  # False: only updates a line that is already shown

    @property
    def subject(self) -> str:
        return self.row.subject or "(no subject)"


def line_of(row: ListRow, folder: Folder | None, *, show_folder: bool = False, fits: bool = True) -> Line:
    return Line(
        row,
        f"{row.mailbox_id}-{row.uid}",
        who(row, folder),
        short_date(row.internal_date),
        folder if show_folder else None,
        row.is_draft and folder is not None and folder.use == "drafts",
        fits,
    )


def who(row: ListRow, folder: Folder | None) -> str:
    """The other side: the sender, or in Sent and Drafts the recipients."""
    if folder is not None and folder.use in ("sent", "drafts"):
        return f"To: {names(row.to)}" if row.to else "(no recipient)"
    return row.from_name or row.from_address or "(unknown sender)"


def names(people: str) -> str:
    """`Name <a@b>, c@d` as `Name, c@d`."""
    return ", ".join(part.partition(" <")[0].strip('" ') or part for part in people.split(", "))


def short_date(moment: datetime) -> str:
    """The time today, day and month this year, else the date; in the current time zone."""
    local = timezone.localtime(moment)
    now = timezone.localtime()
    if local.date() == now.date():
        return formats.date_format(local, "H:i")
    if local.year == now.year:
        return formats.date_format(local, "j M")
    return formats.date_format(local, "j M Y")


def initial(name: str) -> str:
    return next((c.upper() for c in name if c.isalnum()), "?")


def colour(address: str) -> int:
    """A number of 0 to AVATAR_COLOURS - 1, always the same for an address."""
    return zlib.crc32(address.lower().encode()) % AVATAR_COLOURS
