"""Structured MIME field values: `type/subtype; name=value …` and dispositions (RFC 2045 section 5.1, RFC 2231).

Parameter names come out in lower case and once (the first occurrence counts). RFC 2231 continuations are joined the
way Dovecot does it: when any piece is percent-encoded the result is named `name*` and holds the whole extended value
(`charset'language'percent-encoded`), else plain `name`. So BODYSTRUCTURE shows clients what they know how to decode,
and `decode_parameter` reads it. At most MAX_PARAMETERS are read of one field.
"""

import re
from urllib.parse import unquote_to_bytes

from .charsets import decode_charset
from .encoded_words import decode_words
from .headers import unfold

MAX_PARAMETERS = 128

_TOKEN = rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~\x80-\xff]"
_TYPE = re.compile(rb"\s*+(" + _TOKEN + rb"++)\s*+/\s*+(" + _TOKEN + rb"++)")
_FIRST_TOKEN = re.compile(rb"\s*+\"?+(" + _TOKEN + rb"++)\"?+")
#   parameter = attribute "=" value; unquoted values may hold anything up to the next ";", as careless senders write
_PARAMETER = re.compile(rb"([^\s;=\"]++)\s*+(?:=\s*+(?:\"((?:[^\"\\]++|\\.)*+)\"?+[^;]*+|([^;]*+))|[^;]*+)", re.DOTALL)
_SEGMENT = re.compile(rb"([^*]+)\*(\d{1,4})(\*?)\Z")
_QUOTED_OR_OPEN = re.compile(rb"\"(?:[^\"\\]++|\\.)*+\"?+|(?:(?<=[\s;/])|\A)\(", re.DOTALL)
_COMMENT_EDGE = re.compile(rb"[()]|\\.", re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def parse_content_type(value: bytes) -> tuple[bytes, bytes, dict[bytes, bytes]] | None:
    """(type, subtype, parameters) with the types in lower case; None when it is no `type/subtype`."""
    value = _plain(value)
    found = _TYPE.match(value)
    if found is None:
        return None
    return found[1].lower(), found[2].lower(), _parameters(value, found.end())


def parse_disposition(value: bytes) -> tuple[bytes | None, dict[bytes, bytes]]:
    """(disposition in lower case, parameters); None when there is no token (RFC 2183)."""
    value = _plain(value)
    found = _FIRST_TOKEN.match(value)
    if found is None:
        return None, {}
    return found[1].lower(), _parameters(value, found.end())


def parse_token(value: bytes) -> bytes | None:
    """The first token in lower case, as of Content-Transfer-Encoding; None when there is none."""
    found = _FIRST_TOKEN.match(_plain(value))
    return found[1].lower() if found else None


def decode_parameter(params: dict[bytes, bytes], name: bytes) -> str | None:
    """The text of a parameter: extended (`name*`), with encoded-words, or raw; None when it is absent."""
    extended = params.get(name + b"*")
    if extended is not None:
        pieces = extended.split(b"'", 2)
        if len(pieces) == 3:
            return decode_charset(unquote_to_bytes(pieces[2]), pieces[0].decode("ascii", "replace"))
        return decode_charset(unquote_to_bytes(extended), None)
    plain = params.get(name)
    return None if plain is None else decode_words(plain)


def _plain(value: bytes) -> bytes:
    """`value` unfolded and without comments."""
    value = unfold(value)
    return _without_comments(value) if b"(" in value else value


def _without_comments(value: bytes) -> bytes:
    """Remove RFC 5322 comments; a parenthesis glued to a word (`file(1).pdf`) is taken as part of that word."""
    out = []
    at = 0
    while found := _QUOTED_OR_OPEN.search(value, at):
        if found[0] != b"(":
            out.append(value[at : found.end()])
            at = found.end()
            continue
        out.append(value[at : found.start()])
        at = comment_end(value, found.end())
    out.append(value[at:])
    return b"".join(out)


def comment_end(value: bytes, at: int) -> int:
    """Offset past the `)` that closes the comment whose text begins at `at` (comments nest), or len(value)."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(value, at):
        if edge[0] == b"(":
            depth += 1
        elif edge[0] == b")":
            depth -= 1
            if depth == 0:
                return edge.end()
    return len(value)


def _parameters(value: bytes, at: int) -> dict[bytes, bytes]:
    params: dict[bytes, bytes] = {}
    segments: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for count, found in enumerate(_PARAMETER.finditer(value, at)):
        if count == MAX_PARAMETERS:
            break
        name, quoted, bare = found[1].lower(), found[2], found[3]
        if quoted is None and bare is None:  # a word without `=`
            continue
        content = bare.rstrip() if quoted is None else _unquote(quoted)
        segment = _SEGMENT.match(name) if b"*" in name else None
        if segment is None:
            params.setdefault(name, content)
        else:
            pieces = segments.setdefault(segment[1], {})
            pieces.setdefault(int(segment[2]), (content, bool(segment[3])))
    for name, pieces in segments.items():
        joined, extended = _join_segments(pieces)
        params.setdefault(name + b"*" if extended else name, joined)
    return params


def _unquote(quoted: bytes) -> bytes:
    return _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted


def _join_segments(pieces: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bool]:
    """Join `name*0`, `name*1*`, … up to the first gap; (value, whether it is an extended value)."""
    first = min(pieces)
    run = [pieces[first]]
    while first + len(run) in pieces:
        run.append(pieces[first + len(run)])
    extended = any(is_encoded for _, is_encoded in run)
    if not extended:
        return b"".join(content for content, _ in run), False
    # A plain piece inside an extended value: its percent signs are literal.
    joined = b"".join(content if is_encoded else content.replace(b"%", b"%25") for content, is_encoded in run)
    return joined, True
