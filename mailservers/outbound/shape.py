"""A message in the shape that a host takes, with new fields in front. A large one is in a spool, never in memory."""

from __future__ import annotations

from mailservers.formats.downgrade import line_pieces, seven_bit_pieces, without_8bit, without_binary
from mailservers.formats.headers import MAX_HEADER_OCTETS
from mailservers.formats.octets import Octets, Windowed
from mailservers.formats.outgoing import to_wire, wire_pieces, without_return_path
from mailservers.outbound.client import SmtpSession
from mailservers.store.spool import Content, Spooled, spooled


def shape(raw: Octets, session: SmtpSession, *, is_binary: bool) -> Content:
    """Blocks while a large message is written. Raises `StoreFull`, `StoreUnavailable`."""
    if isinstance(raw, Windowed):
        return _shape_large(raw, session, is_binary=is_binary)
    if is_binary and session.takes_binary:
        return without_return_path(raw)
    wire = to_wire(without_binary(raw) if is_binary else raw)
    return wire if session.takes_8bit or wire.isascii() else without_8bit(wire)


def _shape_large(raw: Windowed, session: SmtpSession, *, is_binary: bool) -> Spooled:
    if is_binary and session.takes_binary:
        head = raw[:MAX_HEADER_OCTETS]
        return spooled(raw.chunks(len(head) - len(without_return_path(head))))
    wire = spooled(wire_pieces(spooled(line_pieces(raw)) if is_binary else raw))
    return wire if session.takes_8bit or wire.isascii() else spooled(seven_bit_pieces(wire))


def with_fields(fields: bytes, message: Content) -> Content:
    """The message with new fields in front."""
    return message.with_head(fields) if isinstance(message, Spooled) else fields + message
