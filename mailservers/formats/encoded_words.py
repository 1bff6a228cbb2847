"""RFC 2047 encoded-words in header values, decoded in linear time however many there are.

More tolerant than the RFC, as mail is: encoded-words inside quoted strings and without white space around them,
blanks and `?` inside the encoded text, raw UTF-8 or windows-1252 octets between them, and multi-byte characters
split over neighbouring words of one charset.
"""

import binascii
import re

from .charsets import decode_charset
from .transfer import decode_base64

#   encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="      (RFC 2047, RFC 2231 section 5)
_OPENING = re.compile(rb"=\?([!-)+->@-~]{1,64})(?:\*[!->@-~]{0,64})?\?([BbQq])\?")


def decode_words(value: bytes) -> str:
    """The text of a raw header value: line folds removed, encoded-words decoded. Never raises."""
    value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    if b"=?" not in value:
        return decode_charset(value, None)
    out: list[str] = []
    run = _Run(out)
    written = at = end = 0  # `written`: all before it is decoded; `end`: the last `?=` found
    while (start := value.find(b"=?", at)) >= 0:
        opening = _OPENING.match(value, start)
        if opening is None:
            at = start + 2
            continue
        text_start = opening.end()
        if end < text_start:
            end = value.find(b"?=", text_start)
            if end < 0:
                break
        inner = value.find(b"=?", text_start, end)
        if inner >= 0:  # this word has no end of its own: it is plain text before the next one
            at = inner
            continue
        gap = value[written:start]
        if gap and not (run.chunks and gap.isspace()):
            run.flush()
            out.append(decode_charset(gap, None))
        run.add(opening[1], _decode_text(opening[2], value[text_start:end]))
        written = at = end + 2
    run.flush()
    out.append(decode_charset(value[written:], None))
    return "".join(out)


class _Run:
    """Neighbouring words of one charset, decoded together so that split characters are joined."""

    def __init__(self, out: list[str]) -> None:
        self.out = out
        self.charset = b""
        self.chunks: list[bytes] = []

    def add(self, charset: bytes, data: bytes) -> None:
        charset = charset.lower()
        if charset != self.charset:
            self.flush()
            self.charset = charset
        self.chunks.append(data)

    def flush(self) -> None:
        if self.chunks:
            self.out.append(decode_charset(b"".join(self.chunks), self.charset.decode("ascii")))
            self.chunks = []


def _decode_text(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"Bb":
        return decode_base64(text)
    return binascii.a2b_qp(text, header=True)
