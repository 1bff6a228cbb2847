"""APPEND with all its forms, and REPLACE (RFC 9051 section 6.3.12, RFC 3502, RFC 3516, RFC 4469, RFC 8508).

All messages of a command are stored in one transaction or none is; OK is said only after it is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from django.conf import settings

from mailservers.formats import mime
from mailservers.formats.binary_content import NotEncodable, without_nul
from mailservers.formats.headers import MAX_HEADER_OCTETS
from mailservers.formats.imap.appending import AppendMessage, AppendRequest, ReplaceRequest, Url
from mailservers.formats.imap.fetch import BodySection
from mailservers.formats.imap.sequences import write_numbers_in_order
from mailservers.formats.imap.urls import BadUrl, MessageUrl, parse_message_url
from mailservers.formats.octets import Octets, View, chunks
from mailservers.formats.sections import section_span
from mailservers.imap.announcing import announce
from mailservers.imap.mailboxes import target_mailbox
from mailservers.imap.messages import chosen_uids, highest_modseq, require_writable, split_flags
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.session import Session
from mailservers.imap.sharing import permitted
from mailservers.store.access import Access, find_access, may_change
from mailservers.store.content import NewMessage, prepare_async
from mailservers.store.engine import store
from mailservers.store.errors import InvalidMailboxName, NoSuchMailbox, NoSuchMessage, NotPermitted
from mailservers.store.placing import Append, Placed, append
from mailservers.store.queries import fetch_rows
from mailservers.store.replacing import replace
from mailservers.store.spool import spooled
from mailservers.store.stored import octets_of

Prepared = tuple[NewMessage, int, tuple[str, ...], datetime | None]


async def append_command(session: Session, request: AppendRequest) -> Reply:
    """APPEND: one message or several (MULTIAPPEND), from literals or from parts (CATENATE).

    The client's own mailbox is not looked up again for the next one: the store says so if it is that no more."""
    known = session.append_target
    if known is not None and known[0] == request.mailbox:
        with suppress(NoSuchMailbox):
            return await _append(session, request, known[1])
    target = await target_mailbox(session, request.mailbox)
    session.append_target = (request.mailbox, target) if target.row.owner_id == session.user_id else None
    return await _append(session, request, target)


async def _append(session: Session, request: AppendRequest, target: Access) -> Reply:
    messages = [await _prepare(session, message, target) for message in request.messages]
    placed = await store.call(append, Append(target.row.owner_id, target.row.id, messages, target.own_name))
    session.made(target.row.id, [place.uid for place in placed], len(placed))
    return Reply("APPEND completed", _appenduid(placed))


async def replace_command(session: Session, request: ReplaceRequest, by_uid: bool = False) -> Reply:
    """REPLACE and UID REPLACE. APPENDUID comes before the EXPUNGE (RFC 8508 section 4.3)."""
    selected = session.mailbox
    uids = chosen_uids(session, request.message, by_uid)
    if not uids:
        raise Refusal("NONEXISTENT", "The message to be replaced does not exist")
    require_writable(session, "te")
    target = await target_mailbox(session, request.mailbox)
    message = await _prepare(session, request.replacement, target)
    new = Append(target.row.owner_id, target.row.id, [message])
    try:
        placed = await store.call(replace, selected.owner_id, selected.mailbox_id, uids[0], new)
    except NoSuchMessage as error:
        raise Refusal("EXPUNGEISSUED", "The message to be replaced no longer exists") from error
    session.made(target.row.id, [placed.uid], 1)
    session.untagged(b"OK [%b] Replacement message ready" % _appenduid([placed]))
    await announce(session, expunge=True, ask=True, own=True)
    return Reply("REPLACE completed", highest_modseq(session))


def _appenduid(placed: Sequence[Placed]) -> bytes:
    """resp-code-apnd = "APPENDUID" SP nz-number SP append-uid"""
    return b"APPENDUID %d %b" % (placed[0].uid_validity, write_numbers_in_order(place.uid for place in placed))


async def _prepare(session: Session, message: AppendMessage, target: Access) -> Prepared:
    """Raises a Refusal.

    Deviation: RFC 6855 section 4 refuses header fields with octets over 127 from a client that has not enabled
    UTF8=ACCEPT. Old mail is full of them, and whoever moves it here must not lose it: it is kept as it came. Only a
    client that asks for UTF8 by name is held to the rule."""
    if message.is_utf8 and not session.utf8:
        raise Refusal("CANNOT", "ENABLE UTF8=ACCEPT comes first")
    octets = await _octets(session, message.parts)
    if not octets:
        raise Refusal(None, "The message is empty")  # RFC 3502 section 6.3.11: how a client cancels
    if message.is_binary:
        octets = await _without_nul(octets)
    flags, keywords = permitted(may_change(target.rights), *split_flags(message.flags))
    return await prepare_async(octets), flags, keywords, message.internal_date


async def _octets(session: Session, parts: Sequence[Octets | Url]) -> Octets:
    """The parts, one after the other. Raises a Refusal [TOOBIG] or [BADURL]."""
    pieces: list[Octets] = []
    room = settings.MESSAGE_SIZE_LIMIT
    for part in parts:
        piece = await _fetch(session, part.url) if isinstance(part, Url) else part
        room -= len(piece)
        if room < 0:
            raise Refusal("TOOBIG", "The message would be too large")
        pieces.append(piece)
    if len(pieces) == 1 and isinstance(pieces[0], bytes):
        return pieces[0]
    if settings.MESSAGE_SIZE_LIMIT - room <= settings.STREAM_OVER:
        return await asyncio.to_thread(_joined, pieces)
    return pieces[0] if len(pieces) == 1 else await asyncio.to_thread(spooled, _chunks_of(pieces))


def _joined(pieces: Sequence[Octets]) -> bytes:
    return b"".join(_chunks_of(pieces))


def _chunks_of(pieces: Sequence[Octets]) -> Iterator[bytes]:
    return (chunk for piece in pieces for chunk in chunks(piece))


async def _without_nul(octets: Octets) -> Octets:
    """What came as literal8, so that every command can give it back. Raises a Refusal."""
    if isinstance(octets, bytes) and b"\0" not in octets:
        return octets
    try:
        return await asyncio.to_thread(_encoded, octets)
    except NotEncodable as error:
        raise Refusal("UNKNOWN-CTE", "NUL outside of a part's body") from error


def _encoded(octets: Octets) -> Octets:
    if octets.find(b"\0") < 0:
        return octets
    return b"".join(without_nul(octets)) if isinstance(octets, bytes) else spooled(without_nul(octets))


async def _fetch(session: Session, url: bytes) -> Octets:
    """What a URL stands for (RFC 4469 section 3); \\Seen is not set."""
    selected = session.selected
    try:
        wanted = parse_message_url(url, selected.name if selected else "")
        mailbox = wanted.mailbox or (selected.name if selected else "")
        return await store.read(read_url, session.user_id, mailbox, wanted)
    except (BadUrl, NoSuchMailbox, NotPermitted, NoSuchMessage, InvalidMailboxName) as error:
        text = url.decode("ascii", "replace").replace("]", "%5D")
        printable = "".join(c if " " <= c <= "~" else "?" for c in text)
        raise Refusal(f"BADURL {printable}", "The message or part does not exist") from error


def read_url(user_id: int, mailbox: str, wanted: MessageUrl) -> Octets:
    """In a reader thread. Raises BadUrl, NoSuchMailbox, NotPermitted, NoSuchMessage."""
    access = find_access(user_id, mailbox)
    access.require("r")
    row = access.row
    if wanted.uid_validity not in (None, row.uid_validity):
        raise BadUrl("another UIDVALIDITY")
    found = fetch_rows(row.id, [wanted.uid], ("message_id", "message__parts", "message__size"))
    raw = octets_of(found[0][0], found[0][2]) if found else None
    if raw is None:
        raise NoSuchMessage("the message does not exist")
    start, end = _span(wanted.section, found[0][1], len(raw))
    if wanted.section is not None and wanted.section.fields:
        header = raw[start : min(end, start + MAX_HEADER_OCTETS)]
        raw = mime.header_fields(header, wanted.section.fields, wanted.section.what.endswith(".NOT"))
        start, end = 0, len(raw)
    start = min(start + wanted.offset, end)
    end = min(start + wanted.count, end)
    return raw[start:end] if isinstance(raw, bytes) else View(raw, start, end)


def _span(section: BodySection | None, parts: bytes, size: int) -> tuple[int, int]:
    """Raises BadUrl."""
    if section is None:
        return 0, size
    what = "HEADER" if section.what.startswith("HEADER") else section.what
    span = section_span(mime.load_parts(parts), section.part, what)
    if span is None:
        raise BadUrl("no such part")
    return span[0], size if span[1] is None else span[1]
