"""The mailbox that a client has selected, as the client knows it.

Invariants: the view changes only together with the response that says so; ``seen_modseq`` never goes back.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailservers.formats.imap.writer import flag_list
from mailservers.imap.tracker import View
from mailservers.models import Flag
from mailservers.store.access import ALL_RIGHTS
from mailservers.store.flags import FlagRow, FlagsStored

if TYPE_CHECKING:
    from mailservers.imap.contexts import Context

SYSTEM_FLAGS = tuple((flag.value, flag.label) for flag in Flag)
SYSTEM_FLAG_BITS = {label: value for value, label in SYSTEM_FLAGS}
# RFC 9051 section 2.3.2: keywords a server SHOULD support; told to the client in every mailbox.
WELL_KNOWN_KEYWORDS = ("$Forwarded", "$MDNSent", "$Junk", "$NotJunk", "$Phishing")
WRITING_RIGHTS = frozenset("ieswt")  # with none of them a mailbox is read-only

_system_flag_texts = tuple(
    " ".join(label for value, label in SYSTEM_FLAGS if bits & value) for bits in range(1 << len(SYSTEM_FLAGS))
)


def flags_text(flags: int, keywords: str, recent: bool) -> bytes:
    """``\\Seen $Forwarded``: what stands between the parentheses of FLAGS."""
    text = _system_flag_texts[flags & 31]
    if keywords:
        text = f"{text} {keywords}" if text else keywords
    if recent:
        text = f"{text} \\Recent" if text else "\\Recent"
    return text.encode("ascii", "replace")


class Selected:
    """The selected mailbox."""

    __slots__ = (
        "changed",
        "contexts",
        "first_recent",
        "hinted",
        "is_doubtful",
        "is_examined",
        "is_outbox",
        "keywords",
        "mailbox_id",
        "name",
        "own_new",
        "owner_id",
        "recent_unclaimed",
        "rights",
        "seen_modseq",
        "to_fetch",
        "told",
        "uid_next",
        "uid_validity",
        "untold_marks",
        "view",
    )

    def __init__(
        self, owner_id: int, mailbox_id: int, name: str, uid_validity: int, uids: array[int], is_examined: bool
    ) -> None:
        self.owner_id = owner_id
        self.mailbox_id = mailbox_id
        self.name = name
        self.uid_validity = uid_validity
        self.view = View(uids)
        self.is_examined = is_examined
        self.rights: frozenset[str] = ALL_RIGHTS
        self.is_doubtful = False  # somebody's rights have changed since ours were looked up
        self.is_outbox = False  # what is removed from it is not sent (`outbound.holding`)
        self.seen_modseq = 0  # all changes up to here are in the view
        self.hinted = 0  # the mailbox is known to have moved on to here
        self.uid_next = 1  # messages from here on have not been announced
        self.first_recent = 0  # UIDs from here on are \Recent in this session; 0: none are (IMAP4rev2)
        self.recent_unclaimed = False  # \Recent messages came that other sessions could still see as such
        self.keywords: frozenset[str] = frozenset()  # told to the client in FLAGS
        self.untold_marks: int | None = None  # NOTIFY left marks untold from this mod-sequence on
        self.to_fetch: list[int] = []  # new messages that NOTIFY wants fetched
        self.own_new: set[int] = set()  # new messages that the client itself made
        self.contexts: dict[bytes, Context] = {}  # searches that are kept up to date, by tag
        self.changed: dict[int, bool] = {}  # what they have not been judged by: UID -> whether it is a new message
        self.told: dict[int, int] | None = None  # uid -> modseq of marks this command has sent

    @property
    def read_only(self) -> bool:
        """RFC 4314 section 5.2: so is a mailbox in which the user may change nothing."""
        return self.is_examined or not self.rights & WRITING_RIGHTS

    @property
    def sets_seen(self) -> bool:
        """Whether reading a message marks it as read."""
        return not self.read_only and "s" in self.rights

    @property
    def recent_count(self) -> int:
        """How many messages of the view are \\Recent."""
        uids = self.view.uids
        return len(uids) - bisect_left(uids, self.first_recent) if self.first_recent else 0

    def is_recent(self, uid: int) -> bool:
        return 0 < self.first_recent <= uid

    def tell(self, rows: Sequence[FlagRow]) -> None:
        """These marks are sent by the command in hand: not to be announced again."""
        if self.told is None:
            self.told = {}
        for row in rows:
            self.told[row.uid] = row.modseq

    def stored(self, result: FlagsStored, silent: bool = False) -> None:
        """The session's own operation took the mailbox a step on, and its marks are sent unless ``silent``. Where that
        was the only step since the last look, there is nothing left to ask for, but by searches that are kept up to
        date. Where others changed something too, all is asked for, and what .SILENT kept quiet is told after all: a
        message may have got a flag of theirs as well."""
        is_only_step = result.changed and result.modseq == self.seen_modseq + 1
        if not silent or is_only_step:
            self.tell(result.rows)
        if is_only_step and not self.contexts:
            self.seen_modseq = result.modseq
        elif result.changed:
            self.hinted = max(self.hinted, result.modseq)

    def permanent_flags(self) -> list[str]:
        """PERMANENTFLAGS: what the client may change here (RFC 4314 section 5.1.1)."""
        if self.read_only:
            return []
        rights = {"\\Seen": "s", "\\Deleted": "t"}
        flags = (*(label for _, label in SYSTEM_FLAGS), *self._all_keywords(), "\\*")
        return [flag for flag in flags if rights.get(flag, "w") in self.rights]

    def defined_flags(self) -> bytes:
        """The list of the FLAGS response: system flags and the keywords in use here."""
        return flag_list([*(label for _, label in SYSTEM_FLAGS), *self._all_keywords()])

    def _all_keywords(self) -> list[str]:
        return list({word.lower(): word for word in (*WELL_KNOWN_KEYWORDS, *sorted(self.keywords))}.values())
