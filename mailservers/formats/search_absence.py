"""Proving cheaply that a text is not in a message's body, without decoding and folding the body.

`searchable_body` is the rule; it costs most of a search through messages that have no index yet, and most of those
messages do not hold what is searched for. Where a text part is plain ASCII, and its charset leaves ASCII as it is, the
octets in lower case are the folded text, but for what HTML does to it. What cannot be proved is said to be possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from .charsets import keeps_ascii
from .headers import MAX_HEADER_OCTETS
from .parts import Part, walk
from .searchable import needle
from .text import HTML_SUBTYPES, declared_charset
from .transfer import IDENTITY, decode_transfer

_REFERENCE = re.compile(rb"&(?:nbsp|amp|lt|gt|quot);")  # what they stand for is in no token
_IN_HTML = re.compile(rb"[&<>\"]")


def tokens_of(texts: Iterable[bytes]) -> list[bytes] | None:
    """For each folded text the longest part of it without white space: where that is not, the text is not. None when
    nothing can be told by them."""
    tokens = [max(text.split(), key=len, default=b"") for text in texts]
    return None if b"" in tokens else tokens


def may_hold(raw: bytes, root: Part, tokens: Sequence[bytes]) -> bool:
    """Whether `searchable_body` can hold one of the tokens. False is sure, True is not."""
    for _, part in walk(root):
        name = None if part.is_multipart else part.filename
        if name:
            folded = needle(name)
            if any(token in folded for token in tokens):
                return True
    return _in_texts(raw, root, tokens)


def _in_texts(raw: bytes, part: Part, tokens: Sequence[bytes]) -> bool:
    if part.maintype == b"text":
        return _in_text(raw, part, tokens)
    if part.is_message and (part.encoding not in IDENTITY or _in_header(raw, part.children[0], tokens)):
        return True
    return any(_in_texts(raw, child, tokens) for child in part.children)


def _in_header(raw: bytes, embedded: Part, tokens: Sequence[bytes]) -> bool:
    end = min(embedded.body_start, embedded.header_start + MAX_HEADER_OCTETS)
    return header_may_hold(raw[embedded.header_start : end], tokens)


def header_may_hold(header: bytes, tokens: Sequence[bytes]) -> bool:
    """The same for `searchable_header`, which writes "name: value" in its own way."""
    if b"=?" in header or not header.isascii() or any(b":" in token for token in tokens):
        return True
    folded = header.lower()
    return any(token in folded for token in tokens)


def _in_text(raw: bytes, part: Part, tokens: Sequence[bytes]) -> bool:
    data = decode_transfer(raw[part.body_start : part.end], part.encoding)
    if not data.isascii() or not keeps_ascii(declared_charset(data, part)):
        return True
    folded = data.lower()
    if any(token in folded for token in tokens):
        return True
    return part.subtype in HTML_SUBTYPES and _in_html(folded, tokens)


def _in_html(folded: bytes, tokens: Sequence[bytes]) -> bool:
    """Whether a token that is not in the source can be in the text: tags that go, character references."""
    if b"&" in folded and folded.count(b"&") != len(_REFERENCE.findall(folded)):
        return True
    pieces = folded.split(b"<")
    return any(_IN_HTML.search(token) or _across_tags(pieces, token) for token in tokens)


def _across_tags(pieces: Sequence[bytes], token: bytes) -> bool:
    """A beginning of the token right before a tag, and more of it right behind one: up to its end, or as all that is
    before the next tag. `pieces`: the source, divided at each "<"; any ">" may be the one that ends a tag."""
    if not any(piece.endswith(_beginnings(token)) for piece in pieces[:-1]):
        return False
    cut_at = [at for at in range(1, len(token)) if any(piece.endswith(token[:at]) for piece in pieces[:-1])]
    whole = {piece[piece.rfind(b">") + 1 :] for piece in pieces[1:]} - {b""}
    return any(
        any(text in token[at:] for text in whole) or any(b">" + token[at:] in piece for piece in pieces[1:])
        for at in cut_at
    )


@lru_cache(maxsize=64)
def _beginnings(token: bytes) -> tuple[bytes, ...]:
    return tuple(token[:at] for at in range(1, len(token)))
