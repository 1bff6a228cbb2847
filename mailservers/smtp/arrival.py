"""A message that has arrived: decided upon, accepted, answered; and refusals written down.

The `250` is said only after `accept` has returned: then the message is durable and visible.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mailservers.delivery.acceptance import accept
from mailservers.delivery.authorship import check_authors, known_authors, read_authors
from mailservers.delivery.checking import checked_event
from mailservers.delivery.envelope import Envelope
from mailservers.delivery.submission import complete
from mailservers.formats.headers import header_end
from mailservers.smtp import replies
from mailservers.smtp.replies import Reply
from mailservers.smtp.wire import Role
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.events import Step
from mailservers.store.spool import Content, header_of, with_header
from mailservers.store.transaction import Event, Transaction

if TYPE_CHECKING:
    from mailservers.smtp.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that is there. `content` None: it was over the limit; an error: the disk did not take it."""

    content: Content | StoreError | None
    has_bare_line_end: bool


async def accept_arrived(session: Session, envelope: Envelope, arrived: Arrived) -> None:
    session.trace.is_told = True
    if session.role is Role.LMTP:
        await _accept_each(session, envelope, arrived)
        return
    reply = await _decide(envelope, arrived)
    session.reply(reply)
    if reply[0] >= 400:
        note_message_refused(session, envelope, reply)


async def _accept_each(session: Session, envelope: Envelope, arrived: Arrived) -> None:
    """RFC 2033 4.2: a reply for each recipient, in their order. All at once, and each alone if that fails."""
    recipients = envelope.recipients
    answers = [await _decide(envelope, arrived, in_part=len(recipients) == 1)] * len(recipients)
    if answers[0][0] >= 400 and len(recipients) > 1 and arrived.content is not None:
        alone = [replace(envelope, recipients=[recipient]) for recipient in recipients]
        answers = [await _decide(one, arrived) for one in alone]
    for recipient, answer in zip(recipients, answers, strict=True):
        session.reply(answer)
        if answer[0] >= 400:
            note_refusal(session, answer, envelope.trace_id, envelope.reverse_path, recipient.address)


def note_message_refused(session: Session, envelope: Envelope, reply: Reply) -> None:
    checked = checked_event(envelope)
    if checked is not None:
        write_down(checked)
    note_refusal(session, reply, envelope.trace_id, envelope.reverse_path, envelope.some_recipients())


async def _decide(envelope: Envelope, arrived: Arrived, *, in_part: bool = True) -> Reply:
    content = arrived.content
    if content is None:
        return replies.TOO_LARGE
    if arrived.has_bare_line_end:
        return replies.BARE_LINE_END
    try:
        if isinstance(content, StoreError):
            raise content
        if envelope.sender_id is not None:
            content = with_header(content, lambda octets: complete(octets, envelope.sender_login))
            await _check_authors(envelope.sender_id, header_of(content))
        await accept(envelope, content, in_part=in_part)
    except Exception as error:
        reply = replies.for_error(error)
        if reply is None:
            log.exception("accepting message %s failed", envelope.trace_id)
        return reply or replies.TEMPORARY
    return (250, "2.0.0", f"OK: message accepted as {envelope.trace_id}")


def note_refusal(session: Session, reply: Reply, trace_id: str, sender: str, recipient: str) -> None:
    """Write the refusal down, without waiting for it."""
    code, enhanced, text = reply
    event = Event(
        trace_id,
        Step.REFUSED,
        "permanent" if code >= 500 else "temporary",
        sender,
        recipient,
        session.wire.peer_address,
        f"{code} {enhanced} {text}",
        {"connection": session.trace.id, "helo": session.helo},
    )
    session.trace.is_told = True
    write_down(event)


async def _check_authors(user_id: int, content: bytes) -> None:
    authors = read_authors(content[: header_end(content)])
    if authors is not None and not known_authors(user_id, authors):
        await store.read(check_authors, user_id, authors)


_notes: set[asyncio.Task[None]] = set()


def write_down(event: Event) -> None:
    """Store the event, without waiting for it."""
    note = asyncio.get_running_loop().create_task(store.call(_write_event, event))
    _notes.add(note)
    note.add_done_callback(_forget_note)


def _forget_note(note: asyncio.Task[None]) -> None:
    _notes.discard(note)
    if not note.cancelled() and note.exception() is not None:
        log.warning("a refusal was not written down: %s", note.exception())


def _write_event(tx: Transaction, event: Event) -> None:
    tx.events.append(event)
