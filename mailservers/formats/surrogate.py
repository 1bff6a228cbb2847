"""A message for clients that take ASCII header fields only (RFC 6856 2.1; in the manner of RFC 6858).

Text beyond ASCII becomes encoded words (RFC 2047). An address beyond ASCII cannot be written in ASCII: it is told as
the name of an address that leads nowhere. The body stays as it is: 8-bit bodies are MIME's own, and older. So
does a line that is no UTF-8: such headers are older than all of this, and clients have always been sent them.
"""

from __future__ import annotations

import base64
import re

from .headers import header_end

PLACEHOLDER = "<internationalized-address@invalid>"
_WORD_OCTETS = 45  # of UTF-8 in one encoded word, 75 characters at most (RFC 2047 2)
# Linear: repetitions are possessive, and a word is tried from its first character only.
_WORD = r'[^\s"(),:;<>\[\]]'
_BEYOND = rf"(?<!{_WORD})(?:(?![^\x00-\x7f]){_WORD})*+[^\x00-\x7f\s]{_WORD}*+"
_PIECES = re.compile(
    r'(?P<quoted>"(?:[^"\\]++|\\.)*+"?+)'
    r"|(?P<angle><[^<>]*+>)"
    r'|(?P<address>(?<![^\s"(),:;<>@])[^\s"(),:;<>@]++@[^\s,;<>]++)'
    rf"|(?P<words>{_BEYOND}(?:[ \t]++{_BEYOND})*+)",
    re.DOTALL,
)
_LINE = re.compile(rb"[^\n]++")


def ascii_surrogate(raw: bytes) -> bytes:
    """The message itself when its header is ASCII."""
    if raw.isascii():
        return raw
    end = header_end(raw)
    header = raw[:end]
    if header.isascii():
        return raw
    return _LINE.sub(lambda line: _in_ascii(line[0]), header) + raw[end:]


def _in_ascii(line: bytes) -> bytes:
    if line.isascii():
        return line
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return line
    end = "\r" * text.endswith("\r")
    name, colon, value = text.removesuffix("\r").partition(":")
    if not colon or not name.isascii() or text[:1] in " \t":  # a fold, or no field at all
        name, colon, value = "", "", text.removesuffix("\r")
    return f"{name}{colon}{_PIECES.sub(_piece, value)}{end}".encode("ascii", "replace")


def _piece(match: re.Match[str]) -> str:
    text = match[0]
    if text.isascii():
        return text
    if match["quoted"]:
        return encoded_words(re.sub(r"\\(.)", r"\1", text[1:].removesuffix('"')))
    if match["angle"] or match["address"]:
        return f"{encoded_words(text.strip('<>'))} {PLACEHOLDER}"
    return encoded_words(text)


def encoded_words(text: str) -> str:
    """RFC 2047 encoded words, of whole characters each (section 5)."""
    words: list[bytes] = [b""]
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(words[-1]) + len(octets) > _WORD_OCTETS:
            words.append(b"")
        words[-1] += octets
    return " ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in words)
