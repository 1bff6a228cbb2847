"""Commands that change messages: STORE, COPY, MOVE, EXPUNGE (RFC 9051 section 6.4)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from mailservers.formats.imap.arguments import CopyRequest, StoreRequest
from mailservers.formats.imap.sequences import SequenceSet, write_numbers, write_numbers_in_order
from mailservers.imap.announcing import announce
from mailservers.imap.mailboxes import target_mailbox
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.selected import SYSTEM_FLAG_BITS
from mailservers.imap.session import Session
from mailservers.imap.sharing import require_selected
from mailservers.outbound.holding import take_out
from mailservers.store.access import Access, may_change
from mailservers.store.copying import Copied, Target, copy, move
from mailservers.store.engine import store
from mailservers.store.flags import FlagChange, FlagsStored, store_flags
from mailservers.store.removing import expunge

_RIGHTS_FOR = {"\\Seen": "s", "\\Deleted": "t"}
STORE_CHUNK = 2000  # messages changed in one transaction


def chosen_uids(session: Session, messages: SequenceSet, by_uid: bool) -> array[int]:
    """The UIDs a message set means, ascending. Raises ImapSyntaxError for sequence numbers not in use."""
    view = session.mailbox.view
    if messages.saved:
        return view.present(session.saved or ())
    return view.by_uid(messages) if by_uid else view.by_number(messages)


def split_flags(flags: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """System flags as bits, and keywords. \\Recent and unknown system flags cannot be stored and are passed
    over (RFC 9051 section 7.1, PERMANENTFLAGS)."""
    bits = 0
    for flag in flags:
        bits |= SYSTEM_FLAG_BITS.get(flag, 0)
    return bits, tuple(flag for flag in flags if not flag.startswith("\\"))


def require_writable(session: Session, rights: str = "") -> None:
    """The mailbox was selected for writing, and the client has these rights on it."""
    require_selected(session, rights)
    if session.mailbox.read_only:
        raise Refusal("CANNOT", "The mailbox is open read-only")


# ------------------------------------------------------------------ flags


async def store_command(session: Session, request: StoreRequest, by_uid: bool = False) -> Reply:
    """STORE and UID STORE, with UNCHANGEDSINCE (RFC 7162 section 3.1.3)."""
    selected = session.mailbox
    uids = chosen_uids(session, request.messages, by_uid)
    require_writable(session)
    if request.unchanged_since is not None:
        session.enable_condstore()
    flags, keywords = split_flags(request.flags)
    may = may_change(selected.rights)
    _require_flags(session, request)
    change = FlagChange(request.operation)
    modified: list[int] = []
    missing = 0
    for start in range(0, len(uids), STORE_CHUNK):
        chunk = uids[start : start + STORE_CHUNK]
        result = await store.call(
            store_flags,
            selected.owner_id,
            selected.mailbox_id,
            chunk,
            change,
            flags,
            keywords,
            request.unchanged_since,
            may,
        )
        selected.stored(result, request.silent)
        modified += result.modified
        missing += len(chunk) - len(result.rows) - len(result.modified)
        await _tell_marks(session, result, request, by_uid)
        await session.progress(start + len(chunk), len(uids))
    if modified:
        # With UIDs for UID STORE, else numbers; the messages' own FETCH comes with the changes below.
        numbers = modified if by_uid else [selected.view.number_of(uid) for uid in modified]
        return Reply("Conditional STORE failed for some messages", b"MODIFIED " + write_numbers(numbers))
    if missing and not by_uid and not request.silent:  # RFC 2180 sections 4.2.1 to 4.2.3
        raise Refusal("EXPUNGEISSUED", "Some of the messages no longer exist")
    return Reply("STORE completed")


def _require_flags(session: Session, request: StoreRequest) -> None:
    """RFC 4314 section 4: STORE fails only where no flag that it names may be changed."""
    wanted = {_RIGHTS_FOR.get(flag, "w") for flag in request.flags}
    if not request.flags and request.operation == "=":
        wanted = {"s", "t", "w"}
    if wanted and not wanted & session.mailbox.rights:
        require_selected(session, "".join(wanted))


async def _tell_marks(session: Session, result: FlagsStored, request: StoreRequest, by_uid: bool) -> None:
    """The FETCH responses of a STORE: the new flags, or with .SILENT no more than the mod-sequence, where
    the client wants those (RFC 7162 section 3.1.3)."""
    if request.silent and not session.condstore:
        return
    view = session.mailbox.view
    for row in result.rows:
        number = view.number_of(row.uid)
        session.fetch_marks(
            number, row, with_uid=by_uid or session.rev2 or session.condstore, with_flags=not request.silent
        )
        if session.pending >= STORE_CHUNK:
            await session.flush()


# ------------------------------------------------------------------ copies


async def copy_command(session: Session, request: CopyRequest, by_uid: bool = False) -> Reply:
    """COPY and UID COPY: all or nothing."""
    selected = session.mailbox
    uids = chosen_uids(session, request.messages, by_uid)
    target = await target_mailbox(session, request.mailbox)
    copied = await store.call(copy, selected.owner_id, selected.mailbox_id, uids, _to(target))
    session.made(target.row.id, copied.target_uids, 1)
    if len(copied.source_uids) < len(uids) and not by_uid:
        # RFC 2180 section 4.4: what was still there has been copied.
        return Reply("Some of the messages no longer exist", _copyuid(copied) or b"EXPUNGEISSUED")
    return Reply("COPY completed", _copyuid(copied))


async def move_command(session: Session, request: CopyRequest, by_uid: bool = False) -> Reply:
    """MOVE and UID MOVE (RFC 6851): COPYUID in an untagged OK, then the EXPUNGEs."""
    uids = chosen_uids(session, request.messages, by_uid)
    require_writable(session, "te")
    target = await target_mailbox(session, request.mailbox)
    moved, in_flight = await _moved(session, uids, _to(target))
    code = _copyuid(moved)
    if code is not None:
        session.untagged(b"OK [%b] Moved" % code)
    session.made(target.row.id, moved.target_uids, 1)
    await announce(session, expunge=True, own=True)
    _require_all(in_flight)
    return Reply("MOVE completed", highest_modseq(session) if code is not None else None)


async def _moved(session: Session, uids: Sequence[int], to: Target) -> tuple[Copied, Sequence[int]]:
    """What was moved, and what is being sent right now and so stays in the Outbox."""
    selected = session.mailbox
    if not selected.is_outbox:
        return await store.call(move, selected.owner_id, selected.mailbox_id, uids, to), ()
    taken = await store.call(take_out, selected.owner_id, selected.mailbox_id, uids, session.login, to=to)
    assert taken.copied is not None
    return taken.copied, taken.in_flight


def _require_all(in_flight: Sequence[int]) -> None:
    if in_flight:
        raise Refusal("INUSE", "Some of the messages are being sent right now")


def _to(target: Access) -> Target:
    """Flags that the client may not set there stay behind."""
    return Target(target.row.id, target.row.owner_id, may_change(target.rights))


def _copyuid(copied: Copied) -> bytes | None:
    """resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set; None where nothing was copied."""
    if not copied.source_uids:
        return None
    return b"COPYUID %d %b %b" % (
        copied.uid_validity,
        write_numbers(copied.source_uids),
        write_numbers_in_order(copied.target_uids),
    )


# ------------------------------------------------------------------ removing


async def expunge_command(session: Session, _request: None) -> Reply:
    """EXPUNGE: all messages with \\Deleted."""
    return await _expunge(session, None)


async def uid_expunge(session: Session, messages: SequenceSet) -> Reply:
    """UID EXPUNGE (RFC 4315 section 2.1): those of the set with \\Deleted."""
    return await _expunge(session, chosen_uids(session, messages, by_uid=True))


async def _expunge(session: Session, uids: Sequence[int] | None) -> Reply:
    selected = session.mailbox
    require_writable(session, "e")
    in_flight: Sequence[int] = ()
    if selected.is_outbox:
        taken = await store.call(
            take_out, selected.owner_id, selected.mailbox_id, uids, session.login, deleted_only=True
        )
        gone, in_flight = taken.uids, taken.in_flight
    else:
        _, gone = await store.call(expunge, selected.owner_id, selected.mailbox_id, uids)
    await announce(session, expunge=True, ask=bool(gone), own=True)
    _require_all(in_flight)
    return Reply("EXPUNGE completed", highest_modseq(session) if gone else None)


def highest_modseq(session: Session) -> bytes | None:
    """After a command that removed messages: up to where the client now knows the mailbox (RFC 7162
    section 3.2.7)."""
    return b"HIGHESTMODSEQ %d" % session.mailbox.seen_modseq if session.condstore else None
