"""LIST, LSUB and STATUS (RFC 9051 sections 6.3.9 and 6.3.11, RFC 5258, RFC 5819, RFC 6154, RFC 8438, RFC 9590)."""

from collections.abc import Iterable, Sequence

from django.conf import settings

from mailservers.formats.imap.lexer import ImapSyntaxError
from mailservers.formats.imap.listing import ListRequest, StatusRequest, matches
from mailservers.formats.imap.metadata import values_response
from mailservers.formats.imap.writer import mailbox as mailbox_text
from mailservers.imap.object_ids import mailbox_object_id
from mailservers.imap.session import FLUSH_LINES, Session
from mailservers.imap.sharing import myrights_line, reach
from mailservers.store.access import Access, all_access, may_annotate
from mailservers.store.annotations import SPECIAL_USE, annotations_of
from mailservers.store.engine import store
from mailservers.store.mailboxes import SEPARATOR
from mailservers.store.queries import (
    MailboxRow,
    deleted_octets,
    orphan_subscriptions,
    uids,
)

Values = dict[str, dict[str, bytes | None]]  # annotations by mailbox, then entry; None: not there


class Hierarchy:
    """A user's mailboxes and the subscribed names that are none, with their superior names."""

    def __init__(self, mailboxes: Sequence[Access], orphans: Sequence[str]) -> None:
        self.accesses = {access.row.name: access for access in mailboxes}
        self.boxes = {name: access.row for name, access in self.accesses.items()}
        self.orphans = frozenset(orphans)
        # "Shared" and "Shared/fred" are no mailboxes, but lead to some.
        self.levels = {
            parent for name, access in self.accesses.items() if name != access.own_name for parent in superiors(name)
        } - self.boxes.keys()
        self.parents = {parent for name in self.boxes for parent in superiors(name)}

    def names(self) -> list[str]:
        """All names, and the superiors of those without a mailbox: INBOX first, then in order."""
        missing = {parent for name in self.orphans for parent in superiors(name)}
        return sorted({*self.boxes, *self.orphans, *missing, *self.levels}, key=lambda name: (name != "INBOX", name))

    def is_selected_by(self, name: str, selection: frozenset[str]) -> bool:
        """Whether a name meets the selection options SUBSCRIBED and SPECIAL-USE."""
        box = self.boxes.get(name)
        if "SUBSCRIBED" in selection and not (name in self.orphans or (box and box.is_subscribed)):
            return False
        if "SPECIAL-USE" in selection and not (box and box.special_use):
            return False
        if box is None and not selection:
            return name in self.levels
        return box is not None or ("SUBSCRIBED" in selection and name in self.orphans)

    def attributes(self, name: str, subscription: bool) -> list[str]:
        """The attributes of a LIST response; ``subscription``: with \\Subscribed."""
        box = self.boxes.get(name)
        found = [] if box is not None else ["\\NonExistent"]
        if name in self.levels:
            found.append("\\Noselect")
        if subscription and (name in self.orphans or (box is not None and box.is_subscribed)):
            found.append("\\Subscribed")
        found.append("\\HasChildren" if name in self.parents else "\\HasNoChildren")
        if box is not None and box.special_use:
            found.append(box.special_use)
        return found


def superiors(name: str) -> list[str]:
    """``a/b/c``: ``a``, ``a/b``."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:count]) for count in range(1, len(levels))]


def _hierarchy(owner_id: int, want_orphans: bool) -> Hierarchy:
    return Hierarchy(all_access(owner_id), orphan_subscriptions(owner_id) if want_orphans else ())


def list_line(response: bytes, attributes: Iterable[str], name: str, utf8: bool) -> bytes:
    """``LIST (\\HasNoChildren) "/" name``"""
    return b'%b (%b) "/" %b' % (response, " ".join(attributes).encode("ascii"), mailbox_text(name, utf8))


async def list_command(session: Session, request: ListRequest) -> None:
    """LIST, basic and extended."""
    if not request.extended and request.patterns == ("",):
        # The hierarchy delimiter and the root of the reference.
        session.untagged(b'LIST (\\Noselect) "/" ""')
        return
    selection = request.selection - {"REMOTE", "RECURSIVEMATCH"}
    tree = await store.read(_hierarchy, session.user_id, "SUBSCRIBED" in selection)
    names = tree.names()
    matching = {name for name in names if _is_match(request, name)}
    values = await store.read(_annotations, session.user_id, tree, request.entries) if request.entries else {}
    recursive = "RECURSIVEMATCH" in request.selection
    subscription = "SUBSCRIBED" in selection or "SUBSCRIBED" in request.returns
    for name in names:
        if name not in matching:
            continue
        chosen = tree.is_selected_by(name, selection)
        descends = recursive and _has_descendant(tree, names, name, selection, None if chosen else matching)
        if not chosen and not descends:
            continue
        line = list_line(b"LIST", tree.attributes(name, subscription), name, session.utf8)
        if descends:
            criteria = " ".join(f'"{option}"' for option in sorted(selection))
            line += f' ("CHILDINFO" ({criteria}))'.encode("ascii")
        session.untagged(line)
        access = tree.accesses.get(name)
        if chosen and access is not None:
            await _describe(session, request, access, values)
        if session.pending >= FLUSH_LINES:
            await session.flush()


def _annotations(user_id: int, tree: Hierarchy, entries: Sequence[str]) -> Values:
    """In a reader thread: of each mailbox whose annotations the user may see, by its name."""
    accesses = {access.row.id: access for access in tree.accesses.values() if may_annotate(access)}
    found = annotations_of(user_id, list(accesses), entries)
    values: Values = {access.row.name: dict.fromkeys(entries) for access in accesses.values()}
    for mailbox_id, entry, value in found:
        values[accesses[mailbox_id].row.name][entry] = value
    for access in accesses.values():
        if access.row.special_use and SPECIAL_USE in entries:
            values[access.row.name][SPECIAL_USE] = access.row.special_use.encode("ascii")
    return values


async def _describe(session: Session, request: ListRequest, access: Access, values: Values) -> None:
    """What RETURN asks for besides the LIST response (RFC 5819, RFC 8440, RFC 9590)."""
    if "MYRIGHTS" in request.returns:
        session.untagged(myrights_line(access, session.utf8))
    if access.row.name in values:
        name = mailbox_text(access.row.name, session.utf8)
        session.untagged(values_response(name, values[access.row.name].items()))
    if request.status and "r" in access.rights:
        session.untagged(await _status_line(session, access.row, request.status))


def _is_match(request: ListRequest, name: str) -> bool:
    return any(matches(request.reference + pattern, name) for pattern in request.patterns)


def _has_descendant(
    tree: Hierarchy, names: list[str], name: str, selection: frozenset[str], but_not: set[str] | None
) -> bool:
    """Whether some name below meets the selection (RFC 9051 section 6.3.9.3, 2 B: and is not itself listed)."""
    below = name + SEPARATOR
    return any(
        inner.startswith(below) and tree.is_selected_by(inner, selection) and (but_not is None or inner not in but_not)
        for inner in names
    )


async def lsub(session: Session, request: ListRequest) -> None:
    """LSUB (RFC 3501 section 6.3.9). With ``%``, a name that is not subscribed but leads to one that is comes
    with \\Noselect."""
    tree = await store.read(_hierarchy, session.user_id, True)
    names = tree.names()
    matching = {name for name in names if _is_match(request, name)}
    for name in names:
        if name not in matching:
            continue
        if tree.is_selected_by(name, request.selection):
            attributes = [] if name in tree.boxes else ["\\Noselect"]
            session.untagged(list_line(b"LSUB", attributes, name, session.utf8))
        elif _has_descendant(tree, names, name, request.selection, matching):
            session.untagged(list_line(b"LSUB", ["\\Noselect"], name, session.utf8))


async def status(session: Session, request: StatusRequest) -> None:
    """STATUS: one row of counters."""
    access = await reach(session, request.mailbox, "r")
    session.untagged(await _status_line(session, access.row, request.items))


async def _status_line(session: Session, box: MailboxRow, items: Sequence[str]) -> bytes:
    if "HIGHESTMODSEQ" in items:
        session.enable_condstore()
    values: dict[str, int | str] = {
        "MESSAGES": box.messages,
        "UIDNEXT": box.uid_next,
        "UIDVALIDITY": box.uid_validity,
        "UNSEEN": box.unseen,
        "DELETED": box.deleted,
        "SIZE": box.size,
        "HIGHESTMODSEQ": box.highest_modseq,
        "APPENDLIMIT": settings.MESSAGE_SIZE_LIMIT,
        "MAILBOXID": f"({mailbox_object_id(box.id).decode('ascii')})",
    }
    if "RECENT" in items:
        if session.rev2:
            raise ImapSyntaxError("RECENT is not part of IMAP4rev2")
        recent = await store.read(uids, box.id, box.recent_uid - 1) if box.recent_uid < box.uid_next else ()
        values["RECENT"] = len(recent)
    if "DELETED-STORAGE" in items:
        values["DELETED-STORAGE"] = await store.read(deleted_octets, box.id) if box.deleted else 0
    text = " ".join(f"{item} {values[item]}" for item in items)
    return b"STATUS %b (%b)" % (mailbox_text(box.name, session.utf8), text.encode("ascii"))
