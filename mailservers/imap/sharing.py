"""The ACL commands (RFC 4314 section 3)."""

from __future__ import annotations

from collections.abc import Sequence

from mailservers.formats.imap.acl import RIGHTS, AclRequest, write_rights
from mailservers.formats.imap.writer import astring, flag_list
from mailservers.formats.imap.writer import mailbox as mailbox_text
from mailservers.imap.replies import Disconnect, Refusal
from mailservers.imap.session import Session
from mailservers.store.access import REVEALING, Access, access_by_id, delete_entry, entries_of, find_access, set_entry
from mailservers.store.engine import store
from mailservers.store.flags import MayChange


async def reach(session: Session, name: str, rights: str) -> Access:
    """The mailbox, with these rights at least. Raises `NoSuchMailbox`, `NotPermitted`."""
    access = await store.read(find_access, session.user_id, name)
    access.require(rights)
    return access


def permitted(may: MayChange, bits: int, keywords: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """What of the flags may be set."""
    return bits & may.bits, tuple(keywords) if may.keywords else ()


def require_selected(session: Session, rights: str) -> None:
    """These rights on the selected mailbox."""
    if not session.mailbox.rights.issuperset(rights):
        raise Refusal("NOPERM", "The access control list of the mailbox does not allow this")


async def judge_anew(session: Session) -> None:
    """Somebody's rights were changed: what the session may do with another's mailbox that it has selected. Where it
    may not read it any more the session ends, as for a mailbox that was deleted (RFC 2180 section 3.3)."""
    selected = session.selected
    if selected is None or not selected.is_doubtful:
        return
    access = await store.read(access_by_id, session.user_id, selected.mailbox_id)
    if session.selected is not selected:
        raise ConnectionResetError  # meanwhile the client has gone
    selected.is_doubtful = False
    if access is None or "r" not in access.rights:
        raise Disconnect("[NOPERM] Your access to the selected mailbox was withdrawn")
    before = selected.read_only, selected.permanent_flags()
    selected.rights = access.rights
    flags = selected.permanent_flags()
    if flags != before[1]:
        session.untagged(b"OK [PERMANENTFLAGS %b] Your rights were changed" % flag_list(flags))
    if selected.read_only != before[0]:  # RFC 3501 section 7.1
        code = b"READ-ONLY" if selected.read_only else b"READ-WRITE"
        session.untagged(b"OK [%b] Your rights were changed" % code)


# ------------------------------------------------------------------ the commands


async def getacl(session: Session, name: str) -> None:
    access = await reach(session, name, "a")
    owner, entries = await store.read(entries_of, access.row.id)
    pairs = [(owner, RIGHTS), *entries]
    text = b" ".join(astring(identifier.encode()) + b" " + write_rights(rights) for identifier, rights in pairs)
    session.untagged(b"ACL %b %b" % (mailbox_text(access.row.name, session.utf8), text))


async def setacl(session: Session, request: AclRequest) -> None:
    await store.call(set_entry, session.user_id, request.mailbox, request.prepared, request.change, request.rights)


async def deleteacl(session: Session, request: AclRequest) -> None:
    await store.call(delete_entry, session.user_id, request.mailbox, request.prepared)


async def listrights(session: Session, request: AclRequest) -> None:
    """No rights are tied, but the owner's: they cannot be taken away."""
    access = await reach(session, request.mailbox, "a")
    owner, _ = await store.read(entries_of, access.row.id)
    if request.prepared == owner:
        rights = write_rights(RIGHTS)
    else:
        rights = b'"" ' + " ".join(RIGHTS + "cd").encode("ascii")
    name = mailbox_text(access.row.name, session.utf8)
    session.untagged(b"LISTRIGHTS %b %b %b" % (name, astring(request.identifier), rights))


async def myrights(session: Session, name: str) -> None:
    access = await store.read(find_access, session.user_id, name)
    assert access.rights & REVEALING
    session.untagged(myrights_line(access, session.utf8))


def myrights_line(access: Access, utf8: bool) -> bytes:
    return b"MYRIGHTS %b %b" % (mailbox_text(access.row.name, utf8), write_rights(access.rights))
