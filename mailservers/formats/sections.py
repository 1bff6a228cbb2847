"""The octets of a message that a client asks for: IMAP sections and decoded bodies."""

from .octets import Octets, Windowed
from .parts import Part, find_part
from .transfer import IDENTITY, KNOWN, decode_transfer
from .transfer_stream import cut, decoded


class UnknownEncoding(ValueError):
    """A part's content-transfer-encoding is not known, so its content cannot be decoded (IMAP: [UNKNOWN-CTE])."""


def section(raw: bytes, root: Part, path: tuple[int, ...], what: str) -> bytes | None:
    """The octets of BODY[path.what] (RFC 9051 section 6.4.5.1), or None when the message has no such section."""
    span = section_span(root, path, what)
    if span is None:
        return None
    return raw if not path and not what else raw[slice(*span)]


def section_span(root: Part, path: tuple[int, ...], what: str) -> tuple[int, int | None] | None:
    """Where BODY[path.what] begins and ends (None: with the message), or None when there is no such section.

    `what` is "" (a part's body; with an empty path the whole message), "HEADER" or "TEXT" (of the message, or of the
    embedded message at `path`), or "MIME" (the header of the part at `path`).
    """
    part = find_part(root, path)
    if part is None:
        return None
    if what == "MIME":
        return (part.header_start, part.body_start) if path else None
    if what == "":
        return (part.body_start, part.end) if path else (0, None)
    if path:
        if not part.is_message:
            return None
        part = part.children[0]
    if what == "HEADER":
        return part.header_start, part.body_start
    return (part.body_start, part.end) if what == "TEXT" else None


def decode_body(raw: Octets, part: Part, limit: int | None = None) -> bytes:
    """The body of a part without its transfer encoding, at most `limit` octets of it. Never raises.

    Content in an unknown encoding is given as it is. Reads no more of the message than `limit` needs.
    """
    if isinstance(raw, Windowed):
        content = decoded(raw.chunks(part.body_start, part.end), part.encoding)
        return b"".join(content if limit is None else cut(content, 0, limit))
    end = part.end
    if limit is not None:
        end = min(end, part.body_start + limit * (1 if part.encoding in IDENTITY else 4))
    whole = decode_transfer(raw[part.body_start : end], part.encoding)
    return whole if limit is None else whole[:limit]


def decode_strict(raw: bytes, part: Part) -> bytes:
    """As `decode_body`, for IMAP BINARY (RFC 9051 section 6.4.5.2); raises UnknownEncoding."""
    if not has_valid_encoding(part):
        raise UnknownEncoding(part.encoding.decode("latin-1"))
    return decode_body(raw, part)


def has_valid_encoding(part: Part) -> bool:
    """Whether the transfer encoding of the part is one that we can decode."""
    return part.encoding in KNOWN
