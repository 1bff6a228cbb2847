"""SELECT and EXAMINE, their end, and the life of mailboxes (RFC 9051 sections 6.3.2 to 6.3.8, 6.4.1, 6.4.2)."""

from array import array
from contextlib import suppress
from dataclasses import dataclass

from mailservers.formats.imap.arguments import SPECIAL_USES, CreateRequest, RenameRequest
from mailservers.formats.imap.selecting import SelectRequest
from mailservers.formats.imap.writer import flag_list
from mailservers.formats.imap.writer import mailbox as mailbox_text
from mailservers.imap.listing import list_line, superiors
from mailservers.imap.object_ids import mailbox_object_id
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.resync import resynchronise
from mailservers.imap.selected import Selected
from mailservers.imap.session import URL_MECHANISMS, Session
from mailservers.imap.sharing import reach
from mailservers.models import OUTBOX_USE
from mailservers.outbound.holding import take_out
from mailservers.store.access import Access, all_access, find_access, place_for, subscribe_shared
from mailservers.store.engine import store
from mailservers.store.errors import NoSuchMailbox, StoreUnavailable
from mailservers.store.mailboxes import (
    SEPARATOR,
    claim_recent,
    create_mailbox,
    delete_mailbox,
    normal_name,
    rename_mailbox,
)
from mailservers.store.mailboxes import subscribe as set_subscribed
from mailservers.store.queries import first_unseen, list_mailboxes, uids
from mailservers.store.removing import expunge


@dataclass(frozen=True, slots=True)
class _Opened:
    access: Access
    uids: "array[int]"
    first_unseen: int | None
    has_children: bool


def _open(user_id: int, name: str, want_children: bool) -> _Opened:
    """All that SELECT says, in one visit to a reader thread. The row comes first: what changes while the
    UIDs are read is announced later."""
    access = find_access(user_id, name)
    access.require("r")
    row = access.row
    below = row.name + SEPARATOR
    children = want_children and any(other.row.name.startswith(below) for other in all_access(user_id))
    unseen = first_unseen(row.id) if row.unseen else None
    return _Opened(access, uids(row.id), unseen, children)


async def select(session: Session, request: SelectRequest, is_examine: bool = False) -> Reply:
    """SELECT, EXAMINE. A mailbox that was selected is closed first, whatever becomes of this one."""
    if request.known is not None and not session.qresync:
        raise Refusal("CLIENTBUG", "ENABLE QRESYNC comes first", "BAD")
    if session.uidonly and request.known is not None and request.known.numbers is not None:
        raise Refusal("UIDREQUIRED", "Message numbers are not in use", "BAD")
    if session.selected is not None:
        await session.deselect()
        session.untagged(b"OK [CLOSED] Previous mailbox is now closed")
    opened = await store.read(_open, session.user_id, request.mailbox, session.rev2)
    row = opened.access.row
    selected = Selected(row.owner_id, row.id, row.name, row.uid_validity, opened.uids, is_examine)
    selected.rights = opened.access.rights
    selected.is_outbox = row.special_use == OUTBOX_USE
    selected.seen_modseq = selected.hinted = row.highest_modseq
    selected.uid_next = max(row.uid_next, opened.uids[-1] + 1 if opened.uids else 1)
    selected.keywords = frozenset(row.keywords.split())
    if not session.rev2:
        selected.first_recent = row.recent_uid
        if not selected.read_only and row.recent_uid < row.uid_next:
            with suppress(StoreUnavailable):  # on a full disk the mailbox can still be read
                selected.first_recent = await store.call(claim_recent, row.owner_id, row.id)
    session.select(selected)
    if request.condstore or request.known is not None:
        session.condstore = True
    _describe(session, selected, opened)
    if request.known is not None:
        await resynchronise(session, request.known)
    code = b"READ-ONLY" if selected.read_only else b"READ-WRITE"
    return Reply("EXAMINE completed" if is_examine else "SELECT completed", code)


def _describe(session: Session, selected: Selected, opened: _Opened) -> None:
    row = opened.access.row
    session.untagged(b"FLAGS " + selected.defined_flags())
    permanent = flag_list(selected.permanent_flags())
    session.untagged(b"OK [PERMANENTFLAGS %b] Flags permitted" % permanent)
    session.untagged(b"%d EXISTS" % len(selected.view))
    if not session.rev2:
        session.untagged(b"%d RECENT" % selected.recent_count)
        number = selected.view.number_of(opened.first_unseen or 0)
        if number and not session.uidonly:
            session.untagged(b"OK [UNSEEN %d] First unseen" % number)
    session.untagged(b"OK [UIDVALIDITY %d] UIDs valid" % row.uid_validity)
    session.untagged(b"OK [UIDNEXT %d] Predicted next UID" % selected.uid_next)
    session.untagged(b"OK [HIGHESTMODSEQ %d] Highest" % selected.seen_modseq)
    session.untagged(b"OK [MAILBOXID (%b)] Identifier" % mailbox_object_id(row.id))
    session.untagged(URL_MECHANISMS)
    if session.rev2:
        children = "\\HasChildren" if opened.has_children else "\\HasNoChildren"
        attributes = [children, row.special_use] if row.special_use else [children]
        session.untagged(list_line(b"LIST", attributes, row.name, session.utf8))


async def close(session: Session, _request: None) -> None:
    """Expunge without a word, then deselect. There is no NO (RFC 9051 section 6.4.1): of a mailbox that was deleted
    meanwhile nothing is left to be expunged."""
    selected = session.mailbox
    if not selected.read_only and "e" in selected.rights:
        if selected.is_outbox:
            await store.call(take_out, selected.owner_id, selected.mailbox_id, None, session.login, deleted_only=True)
        else:
            with suppress(NoSuchMailbox):
                await store.call(expunge, selected.owner_id, selected.mailbox_id)
    await session.deselect()


async def unselect(session: Session, _request: None) -> None:
    await session.deselect()


# ------------------------------------------------------------------ the mailboxes themselves


async def create(session: Session, request: CreateRequest) -> Reply:
    """CREATE. A trailing separator only says that mailboxes below it will follow."""
    name = request.mailbox.removesuffix(SEPARATOR)
    if len(request.uses) > 1 or any(use not in SPECIAL_USES for use in request.uses):
        raise Refusal("USEATTR", "That special use is not supported")
    use = request.uses[0] if request.uses else ""
    if use in ("\\All", "\\Flagged"):
        raise Refusal("USEATTR", "That special use is not supported")
    if use and any(box.special_use == use for box in await store.read(list_mailboxes, session.user_id)):
        raise Refusal("USEATTR", "Another mailbox has that special use")
    owner_id, own_name = await store.read(place_for, session.user_id, name)
    if use and owner_id != session.user_id:
        raise Refusal("USEATTR", "Another user's mailbox has no special use")
    mailbox_id = await store.call(create_mailbox, owner_id, own_name, use)
    session.named(*superiors(normal_name(name)), normal_name(name))
    return Reply("CREATE completed", b"MAILBOXID (%b)" % mailbox_object_id(mailbox_id))


async def delete(session: Session, name: str) -> None:
    """DELETE. The selected mailbox is deselected first."""
    access = await reach(session, name, "x")
    await store.call(delete_mailbox, access.row.owner_id, access.own_name)
    session.named(normal_name(name))
    selected = session.selected
    if selected is not None and selected.name == normal_name(name):
        session.drop_selected()
        session.untagged(b"OK [CLOSED] The mailbox was deleted")


async def rename(session: Session, request: RenameRequest) -> None:
    """RENAME. IMAP4rev2 clients are told the old name (RFC 9051 section 6.3.9.7)."""
    access = await reach(session, request.old, "x")
    owner_id, new_name = await store.read(place_for, session.user_id, request.new.removesuffix(SEPARATOR))
    if owner_id != access.row.owner_id:
        raise Refusal("CANNOT", "A mailbox cannot be given to another user")
    if access.own_name == "INBOX" and owner_id != session.user_id:
        raise Refusal("CANNOT", "Another user's INBOX cannot be renamed")
    await store.call(rename_mailbox, owner_id, access.own_name, new_name)
    old, new = normal_name(request.old), normal_name(request.new.removesuffix(SEPARATOR))
    session.named(old, new)
    if old == "INBOX":
        return
    selected = session.selected
    if selected is not None and (selected.name == old or selected.name.startswith(old + SEPARATOR)):
        selected.name = new + selected.name[len(old) :]
    if session.rev2:
        line = list_line(b"LIST", [], new, session.utf8)
        session.untagged(b'%b ("OLDNAME" (%b))' % (line, mailbox_text(old, session.utf8)))


async def subscribe(session: Session, name: str) -> None:
    access = await store.read(find_access, session.user_id, name)
    if access.row.owner_id == session.user_id:
        await store.call(set_subscribed, session.user_id, name)
    else:
        await store.call(subscribe_shared, session.user_id, name)
    session.named(normal_name(name))


async def unsubscribe(session: Session, name: str) -> None:
    await store.call(set_subscribed, session.user_id, name, False)
    session.named(normal_name(name))


async def target_mailbox(session: Session, name: str) -> Access:
    """The mailbox APPEND, COPY and MOVE write to; NO [TRYCREATE] where it could be created."""
    try:
        return await reach(session, name, "i")
    except NoSuchMailbox as error:
        raise Refusal("TRYCREATE", "The target mailbox does not exist") from error
