"""A user's mailboxes as the sidebar shows them: special ones first, then the others by name, nested by "/"; then
what others share, by owner. A shared folder shows no count to whoever may not read it, as STATUS would not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.conf import settings

from mailservers.models import OUTBOX_USE
from mailservers.store.access import ALL_RIGHTS, Access, shared_with
from mailservers.store.queries import MailboxRow, list_mailboxes
from webmail.folders.rights import rights_in_words
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
    rights: frozenset[str] = ALL_RIGHTS
    owner: str = ""  # another's login
    own_name: str = ""  # what the other calls it

    @property
    def may_read(self) -> bool:
        return "r" in self.rights

    @property
    def may_mark(self) -> bool:
        """As read."""
        return "s" in self.rights

    @property
    def may_star(self) -> bool:
        return "w" in self.rights

    @property
    def may_remove(self) -> bool:
        return self.rights.issuperset("te")

    @property
    def may_add(self) -> bool:
        return "i" in self.rights

    @property
    def may_nest(self) -> bool:
        return "k" in self.rights

    @property
    def may_drop(self) -> bool:
        """The folder itself may be renamed and deleted."""
        return "x" in self.rights and self.own_name != "INBOX"

    @property
    def may_share(self) -> bool:
        return "a" in self.rights

    @property
    def may_in_words(self) -> str:
        return rights_in_words(self.rights)

    @property
    def id(self) -> int:
        return self.box.id

    @property
    def full_label(self) -> str:
        if self.owner:
            return f"{self.owner}: {'Inbox' if self.own_name == 'INBOX' else self.own_name}"
        return "Inbox" if self.box.name == "INBOX" else self.box.name

    @property
    def is_inbox(self) -> bool:
        return self.box.name == "INBOX"

    @property
    def is_custom(self) -> bool:
        """May be renamed and deleted here."""
        return not self.owner and not self.is_inbox and self.box.special_use not in _SPECIAL

    @property
    def use(self) -> str:
        """ "drafts", "outbox", "sent", "archive", "junk", "trash", or ""."""
        if self.box.special_use == OUTBOX_USE:
            return "outbox"
        return self.box.special_use.lstrip("\\").lower() if self.box.special_use in _SPECIAL else ""


@dataclass(frozen=True, slots=True)
class FolderTree:
    """All folders; `unread` is the inbox's."""

    folders: tuple[Folder, ...]  # one's own
    usage: UsageLine | None = None
    shared: tuple[Folder, ...] = ()  # others'

    @property
    def everything(self) -> tuple[Folder, ...]:
        return self.folders + self.shared

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
        return next((folder for folder in self.everything if folder.id == mailbox_id), None)


def folder_tree(user_id: int) -> FolderTree:
    """Three queries, and four more where anybody here shares anything."""
    return arrange(list_mailboxes(user_id), usage_line(user_id), shared_with(user_id))


def arrange(boxes: Sequence[MailboxRow], usage: UsageLine | None = None, shared: Sequence[Access] = ()) -> FolderTree:
    seen = {access.row.name for access in shared}
    others = tuple(_shared_folder(access, seen) for access in sorted(shared, key=_shared_order))
    return FolderTree(tuple(_folder(box) for box in sorted(boxes, key=_order)), usage, others)


def shown_name(access: Access) -> str:
    """What the user calls a mailbox, own or shared."""
    return "Inbox" if access.own_name == "INBOX" else access.own_name


def _shared_order(access: Access) -> tuple[str, bool, list[str]]:
    return access.row.name.split("/")[1], access.own_name != "INBOX", access.own_name.casefold().split("/")


def _shared_folder(access: Access, seen: Collection[str]) -> Folder:
    """Below the folders that the user sees; levels between that they do not see are part of its label."""
    levels = access.row.name.split("/")
    above = [n for n in range(3, len(levels)) if "/".join(levels[:n]) in seen]
    label = "/".join(levels[above[-1] if above else 2 :])
    unseen = access.row.unseen if "r" in access.rights else 0
    return Folder(
        access.row,
        "Inbox" if access.own_name == "INBOX" else label,
        "inbox" if access.own_name == "INBOX" else "folder-symlink",
        min(len(above), MAX_INDENT),
        unseen,
        bool(unseen),
        access.rights,
        access.row.name.split("/")[1],
        access.own_name,
    )


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
