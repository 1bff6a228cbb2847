"""The readable text of a message's parts, for search, previews and the reader. Nothing here raises."""

import re
from collections.abc import Iterator

from .charsets import decode_charset
from .headers import MAX_HEADER_OCTETS, decode_words, iter_fields
from .html_text import html_to_text
from .mime import scan
from .octets import Octets
from .parts import Part
from .sections import decode_body
from .transfer import IDENTITY

__all__ = ["MAX_TEXT_OCTETS", "decode_charset", "html_to_text", "message_texts", "part_source", "part_text"]

MAX_TEXT_OCTETS = 4 * 1024 * 1024  # of one part, decoded
MAX_EMBEDDED_OCTETS = 8 * 1024 * 1024  # of an embedded message that is encoded
_META_OCTETS = 2048  # where an HTML document names its charset
_META_CHARSET = re.compile(rb"<meta[^>]{1,200}?charset=[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
HTML_SUBTYPES = frozenset({b"html", b"xhtml", b"enriched", b"richtext"})


def part_text(raw: Octets, part: Part, limit: int = MAX_TEXT_OCTETS) -> str:
    """The text of one text/* part, HTML reduced to what can be read; from at most `limit` octets of it."""
    text = part_source(raw, part, limit)
    return html_to_text(text) if part.subtype in HTML_SUBTYPES else text


def part_source(raw: Octets, part: Part, limit: int = MAX_TEXT_OCTETS) -> str:
    """The content of one text/* part as it is, HTML with its tags; from at most `limit` octets of it."""
    data = decode_body(raw, part, limit)
    return decode_charset(data, declared_charset(data, part))


def declared_charset(data: bytes, part: Part) -> str | None:
    """What the part says of its decoded content, or the content of itself."""
    if part.charset is None and part.subtype in HTML_SUBTYPES:
        meta = _META_CHARSET.search(data, 0, _META_OCTETS)
        return meta[1].decode("ascii") if meta else None
    return part.charset


def message_texts(raw: Octets, root: Part) -> Iterator[str]:
    """Every text that the body of a message holds: its text/* parts, those of embedded messages, and their headers."""
    if root.maintype == b"text":
        yield part_text(raw, root)
    elif root.is_message:
        yield from _embedded_texts(raw, root)
    else:
        for child in root.children:
            yield from message_texts(raw, child)


def _embedded_texts(raw: Octets, part: Part) -> Iterator[str]:
    embedded = part.children[0]
    if part.encoding not in IDENTITY:  # against RFC 2046, but allowed for message/global: scan what it stands for
        raw = decode_body(raw, part, MAX_EMBEDDED_OCTETS)
        embedded = _without_encoded_messages(scan(raw))
    header = raw[embedded.header_start : min(embedded.body_start, embedded.header_start + MAX_HEADER_OCTETS)]
    yield "\n".join(decode_words(value).strip() for _, value in iter_fields(header))
    yield from message_texts(raw, embedded)


def _without_encoded_messages(part: Part) -> Part:
    """The tree with its encoded embedded messages taken as plain ones, so that decoding is done once, not nested."""
    for child in part.children:
        _without_encoded_messages(child)
    if part.is_message:
        part.encoding = b"8bit"
    return part
