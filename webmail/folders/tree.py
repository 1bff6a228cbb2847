"""A user's mailboxes as the sidebar shows them: special ones first, then the others by name, nested by "/"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from mailservers.models import OUTBOX_USE
from mailservers.store.queries import MailboxRow, list_mailboxes
from webmail.folders.usage import UsageLine, usage_line

_SPECIAL = {
    "\\Drafts": (1, "file-pen"),
    OUTBOX_USE: (2, "clock"),
    "\\Sent": (3, "send"),
    "\\Archive": (4, "archive"),
    "\\Junk": (5, "shield-alert"),
    "\\Trash": (6, "trash-2"),
}
_LAST = 9
MAX_INDENT = 5


@dataclass(frozen=True, slots=True)
class Folder:
    """One line of the sidebar. `count` is what stands at its right: unread, or all drafts; 0 shows nothing."""

    box: MailboxRow
    label: str
    icon: str
    depth: int
    count: int
    is_unread: bool

    @property
    def id(self) -> int:
        return self.box.id

    @property
    def full_label(self) -> str:
        return "Inbox" if self.box.name == "INBOX" else self.box.name

    @property
    def is_inbox(self) -> bool:
        return self.box.name == "INBOX"

    @property
    def is_custom(self) -> bool:
        """May be renamed and deleted here."""
        return not self.is_inbox and self.box.special_use not in _SPECIAL

    @property
    def use(self) -> str:
        """ "drafts", "outbox", "sent", "archive", "junk", "trash", or ""."""
        if self.box.special_use == OUTBOX_USE:
            return "outbox"
        return self.box.special_use.lstrip("\\").lower() if self.box.special_use in _SPECIAL else ""


@dataclass(frozen=True, slots=True)
class FolderTree:
    """All folders; `unread` is the inbox's."""

    folders: tuple[Folder, ...]
    usage: UsageLine | None = None

    @property
    def undelete_days(self) -> int:
        """For how long deleted messages can be had back; 0: they are gone at once."""
        return max(0, settings.UNDELETE_DAYS)

    @property
    def special(self) -> list[Folder]:
        """An Outbox in which nothing waits is not shown."""
        return [f for f in self.folders if not f.is_custom and (f.use != "outbox" or f.box.messages)]

    @property
    def custom(self) -> list[Folder]:
        return [folder for folder in self.folders if folder.is_custom]

    @property
    def unread(self) -> int:
        return next((folder.box.unseen for folder in self.folders if folder.is_inbox), 0)

    def by_id(self, mailbox_id: int) -> Folder | None:
        return next((folder for folder in self.folders if folder.id == mailbox_id), None)


def folder_tree(owner_id: int) -> FolderTree:
    """Two queries."""
    return arrange(list_mailboxes(owner_id), usage_line(owner_id))


def arrange(boxes: Sequence[MailboxRow], usage: UsageLine | None = None) -> FolderTree:
    return FolderTree(tuple(_folder(box) for box in sorted(boxes, key=_order)), usage)


def _order(box: MailboxRow) -> tuple[int, list[str]]:
    rank = 0 if box.name == "INBOX" else _SPECIAL.get(box.special_use, (_LAST, ""))[0]
    return rank, box.name.casefold().split("/")


def _folder(box: MailboxRow) -> Folder:
    is_custom = box.name != "INBOX" and box.special_use not in _SPECIAL
    levels = box.name.split("/")
    icon = "inbox" if box.name == "INBOX" else _SPECIAL.get(box.special_use, (0, "folder"))[1]
    use = box.special_use
    if use in ("\\Drafts", OUTBOX_USE):
        count = box.messages
    elif use in ("\\Sent", "\\Trash"):
        count = 0
    else:
        count = box.unseen
    return Folder(
        box,
        "Inbox" if box.name == "INBOX" else levels[-1] if is_custom else box.name,
        icon,
        min(len(levels) - 1, MAX_INDENT) if is_custom else 0,
        count,
        bool(count) and use not in ("\\Drafts", OUTBOX_USE),
    )
