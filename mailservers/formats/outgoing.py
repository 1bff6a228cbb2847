"""The octets of a message as they go out over SMTP: CRLF line ends only, and dots doubled.

A bare CR or LF is never sent: what one host takes for text, another takes for the end of the message ("smuggling").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .headers import MAX_HEADER_OCTETS, header_end, next_blank_line
from .mailbox_address import MAX_DOMAIN_OCTETS, domain_to_ascii
from .octets import Octets, chunks

_LINE_END = re.compile(rb"\r*+\n")
_ASCII_DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
_NUL_DOTS = re.compile(rb"^(?=[.\0]*\.)[.\0]+\r?$", re.MULTILINE)
_BARE_CR = re.compile(rb"\r(?!\n)")
_OWN_RETURN_PATH = re.compile(rb"return-path[ \t]*:[^\n]*+\n(?:[ \t][^\n]*+\n)*", re.IGNORECASE)


def to_wire(raw: bytes) -> bytes:
    """The message with CRLF line ends, the last line ended, and without the Return-Path it was delivered with
    (RFC 5321 section 4.4: the host that makes final delivery adds it).

    NULs go out of a line that is nothing but them and dots: a careless host may take it for the end of the data.
    A bare LF ends a line, as do several CR before an LF. A bare CR becomes a blank in the header, where it could
    only break a field in two, and a line end in the body.
    """
    raw = without_return_path(raw)
    pairs = raw.count(b"\r\n")
    if raw.count(b"\n") != pairs or raw.count(b"\r") != pairs:
        raw = _LINE_END.sub(b"\r\n", raw)
        body = header_end(raw)
        raw = _BARE_CR.sub(b" ", raw[:body]) + _BARE_CR.sub(b"\r\n", raw[body:])
    if b"\0" in raw:
        raw = _NUL_DOTS.sub(lambda line: line[0].replace(b"\0", b""), raw)
    return raw if raw.endswith(b"\r\n") or not raw else raw + b"\r\n"


def without_return_path(raw: bytes) -> bytes:
    own = _OWN_RETURN_PATH.match(raw)
    return raw if own is None else raw[own.end() :]


def data_blocks(wire: bytes, block_octets: int = 64 * 1024) -> Iterator[bytes]:
    """What follows the 354 reply: dots doubled at line starts (RFC 5321 section 4.5.2) and the end of data.

    `wire` as `to_wire` gives it. Blocks end at line ends where they can and are about `block_octets` long; the end of
    data comes with the last."""
    if not wire:
        yield b".\r\n"
    start = 0
    while start < len(wire):
        end = min(start + block_octets, len(wire))
        if end < len(wire):
            line_end = wire.rfind(b"\n", start, end)
            # Without a line end inside, the next octet belongs to the same line: its dot must not be doubled.
            end = line_end + 1 if line_end >= 0 else wire.find(b"\n", end) + 1
        block = wire[start:end].replace(b"\r\n.", b"\r\n..")
        start = end
        yield b"".join((b"." if block.startswith(b".") else b"", block, b".\r\n" if end == len(wire) else b""))


_LONGEST_LINE = 1024 * 1024  # octets: a longer one is taken in pieces


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same octets, cut behind line ends. A run of CRs is not cut either, if it is not endless."""
    left = b""
    for piece in pieces:
        text = left + piece
        cut = text.rfind(b"\n") + 1
        if not cut and len(text) > _LONGEST_LINE:
            cut = len(text.rstrip(b"\r")) or len(text)
        left = text[cut:]
        if cut:
            yield text[:cut]
    if left:
        yield left


def wire_pieces(raw: Octets) -> Iterator[bytes]:
    """`to_wire` of a message of any length, in pieces."""
    own = _OWN_RETURN_PATH.match(raw[:MAX_HEADER_OCTETS])
    text, in_header = b"", True
    for lines in whole_lines(chunks(raw, own.end() if own is not None else 0)):
        ended = _LINE_END.sub(b"\r\n", lines)
        body = _body_start(ended, text) if in_header else 0
        in_header = body < 0
        body = len(ended) if in_header else body
        text = _BARE_CR.sub(b" ", ended[:body]) + _BARE_CR.sub(b"\r\n", ended[body:])
        if b"\0" in text:
            text = _NUL_DOTS.sub(lambda line: line[0].replace(b"\0", b""), text)
        yield text
    if text and not text.endswith(b"\r\n"):
        yield b"\r\n"


def _body_start(text: bytes, before: bytes) -> int:
    """Where the body begins in a piece of the header; -1: not there. `before`: the piece before; b"" for the first."""
    if before.endswith(b"\n") and text.startswith(b"\r\n"):
        return 2
    end = next_blank_line(text, 0)[1] if before else header_end(text)
    return end if end < len(text) or text == b"\r\n" or text.endswith(b"\n\r\n") else -1


def stuffed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`data_blocks` of a message that comes in pieces, CRLF line ends only."""
    is_line_start = True
    for piece in pieces:
        block = piece.replace(b"\n.", b"\n..")
        yield b"." + block if is_line_start and piece.startswith(b".") else block
        is_line_start = piece.endswith(b"\n")
    yield b".\r\n"


def domain_on_wire(domain: str) -> str:
    """A domain in A-labels and lower case, for DNS and for an envelope without SMTPUTF8. Raises `InvalidAddress`.

    More lenient than `domain_to_ascii`: names with an underscore are in use, and not ours to judge."""
    domain = domain.removesuffix(".")
    if len(domain) <= MAX_DOMAIN_OCTETS and _ASCII_DOMAIN.fullmatch(domain):
        return domain.lower()
    return domain_to_ascii(domain)
