"""A list row's words: who, when, how it is marked."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils import formats, timezone

from mailservers.outbound.tracking import NextTry, next_tries
from mailservers.store.lists import NO_MARKS, ListRow, Marks
from webmail.folders.tree import Folder
from webmail.labels import Label, labels_of

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
    def labels(self) -> list[Label]:
        return labels_of(self.row.keywords) if self.row.keywords else []

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


def lines_of(rows: Sequence[ListRow], folder: Folder, marks: Marks = NO_MARKS) -> list[Line]:
    """The rows of one folder. In the Outbox, when each goes; one more query there."""
    lines = [line_of(row, folder, fits=marks.fits(row)) for row in rows]
    if folder.use != "outbox" or not rows:
        return lines
    tries = next_tries(folder.id, [row.uid for row in rows])
    return [replace(line, when=_goes_at(tries.get(line.row.uid))) for line in lines]


def _goes_at(found: NextTry | None) -> str:
    if found is None:
        return ""
    if found.at is None:
        return "held"
    if found.at <= timezone.now():
        return "now"
    return f"{'at' if found.is_first else 'again'} {near_date(found.at)}"


def near_date(moment: datetime) -> str:
    """The time today, weekday and time within a week, else the date and the time; in the current time zone."""
    local, now = timezone.localtime(moment), timezone.localtime()
    if local.date() == now.date():
        return formats.date_format(local, "H:i")
    within_a_week = timedelta(0) < local - now < timedelta(days=6)
    return formats.date_format(local, "D H:i" if within_a_week else "j M, H:i")


def who(row: ListRow, folder: Folder | None) -> str:
    """The other side: the sender, or in Sent, Drafts and the Outbox the recipients."""
    if folder is not None and folder.use in ("sent", "drafts", "outbox"):
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
