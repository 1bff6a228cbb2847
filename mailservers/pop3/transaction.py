"""The commands of the TRANSACTION state (RFC 1939 sections 5 and 7). All expect `session.maildrop` to be there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from django.conf import settings

from mailservers.pop3.maildrop import Maildrop
from mailservers.pop3.reading import beginning, open_large
from mailservers.pop3.replies import Answer, Octets, Refusal, Reply, ok
from mailservers.pop3.session import Session
from mailservers.store.engine import store
from mailservers.store.tracing.opening import Opener, openings

log = logging.getLogger(__name__)

LISTED_AT_ONCE = 1000  # lines of LIST and UIDL
PIECE_OCTETS = 256 * 1024  # of a message, between two looks at whether the client still reads


def stat(session: Session, _: None) -> Reply:
    drop = _maildrop(session)
    return b"+OK %d %d\r\n" % (drop.count, drop.octets)


def list_command(session: Session, number: int | None) -> Reply:
    drop = _maildrop(session)
    if number is None:
        title = b"+OK %d messages (%d octets)\r\n" % (drop.count, drop.octets)
        return _listing(drop, title, lambda n: f"{n} {drop.size(n)}\r\n")
    drop.require(number)
    return b"+OK %d %d\r\n" % (number, drop.size(number))


def uidl(session: Session, number: int | None) -> Reply:
    drop = _maildrop(session)
    if number is None:
        return _listing(drop, b"+OK\r\n", lambda n: f"{n} {drop.unique_id(n)}\r\n")
    drop.require(number)
    return ok(f"{number} {drop.unique_id(number)}")


def _listing(drop: Maildrop, title: bytes, line: Callable[[int], str]) -> Iterator[Octets]:
    """A listing of everything, in pieces; DELE in the middle of it is not possible."""
    lines: list[str] = []
    yield title
    for number in drop.numbers():
        lines.append(line(number))
        if len(lines) >= LISTED_AT_ONCE:
            yield "".join(lines).encode("ascii")
            lines.clear()
    yield "".join(lines).encode("ascii") + b".\r\n"


def retr(session: Session, number: int) -> Answer:
    drop = _maildrop(session)
    drop.require(number)
    if drop.size(number) > settings.STREAM_OVER:
        return _large(session, number)
    wire = session.messages.take(number)
    if wire is None:
        return _fetch(session, number)
    _note_retrieved(session, drop, number)
    return _message(drop.size(number), wire)


def _note_retrieved(session: Session, drop: Maildrop, number: int) -> None:
    drop.note_retrieved(number)
    openings.note(drop.mailbox_id, [drop.message_ids[number - 1]], Opener("", "POP3", "", session.wire.peer_address))


async def _fetch(session: Session, number: int) -> Reply:
    wire = await session.messages.fetch(number)
    drop = _maildrop(session)
    _note_retrieved(session, drop, number)
    return _message(drop.size(number), wire)


async def _large(session: Session, number: int, lines: int | None = None) -> Reply:
    """RETR, or TOP with `lines`, of a message that is read as it is sent."""
    drop = _maildrop(session)
    message_id, header_size = drop.message_ids[number - 1], drop.header_sizes[number - 1]
    pieces = await store.read(open_large, message_id, header_size, lines, session.is_utf8)
    if pieces is None:
        raise Refusal("Message has been removed by another session")
    if lines is None:
        _note_retrieved(session, drop, number)
    session.put(b"+OK\r\n" if lines is not None else b"+OK %d octets\r\n" % drop.size(number))
    try:
        while (piece := await store.read(next, pieces, None)) is not None:
            await session.send(piece)
    except ConnectionResetError:
        raise
    except Exception:  # in the middle of a message nothing else can be said
        log.exception("message %d cannot be read to its end", message_id)
        session.wire.close()
        raise ConnectionResetError from None
    return b".\r\n"


def _message(size: int, wire: bytes) -> Reply:
    if len(wire) <= PIECE_OCTETS:
        return b"+OK %d octets\r\n%b.\r\n" % (size, wire)
    return _pieces(b"+OK %d octets\r\n" % size, wire)


def _pieces(title: bytes, wire: bytes) -> Iterator[Octets]:
    yield title
    view = memoryview(wire)
    for start in range(0, len(wire), PIECE_OCTETS):
        yield view[start : start + PIECE_OCTETS]
    yield b".\r\n"


def top(session: Session, request: tuple[int, int]) -> Answer:
    number, lines = request
    _maildrop(session).require(number)
    if lines:
        is_large = _maildrop(session).size(number) > settings.STREAM_OVER
        return (_large if is_large else _top)(session, number, lines)
    wire = session.headers.take(number)
    return _header(session, number) if wire is None else b"+OK\r\n%b.\r\n" % wire


async def _header(session: Session, number: int) -> Reply:
    return b"+OK\r\n%b.\r\n" % await session.headers.fetch(number)


async def _top(session: Session, number: int, lines: int) -> Reply:
    drop = _maildrop(session)
    wire = await store.read(
        beginning, drop.message_ids[number - 1], drop.header_sizes[number - 1], lines, session.is_utf8
    )
    if wire is None:
        raise Refusal("Message has been removed by another session")
    return _pieces(b"+OK\r\n", wire)


def dele(session: Session, number: int) -> Reply:
    drop = _maildrop(session)
    drop.require(number)
    drop.mark(number)
    return b"+OK Message deleted\r\n"


def noop(_: Session, __: None) -> Reply:
    return b"+OK\r\n"


def rset(session: Session, _: None) -> Reply:
    drop = _maildrop(session)
    drop.unmark_all()
    return ok(f"{drop.count} messages ({drop.octets} octets)")


def _maildrop(session: Session) -> Maildrop:
    assert session.maildrop is not None  # the commands table allows nothing else
    return session.maildrop
