"""Header field writers: folded lines of bytes without the last CRLF (RFC 5322 section 2.2.3).

Text that is not US-ASCII becomes encoded words (RFC 2047) in the letter's charset, or in UTF-8 where that
cannot hold it; or it stays raw UTF-8 for SMTPUTF8 mail (RFC 6532).
"""

import base64
from collections.abc import Iterable
from urllib.parse import quote

LINE_OCTETS = 76
RAW_UTF8 = "raw utf-8"  # given as a charset: write no encoded words
_ENCODED_WORD_OCTETS = 72
_PHRASE_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_SPECIALS = frozenset('()<>[]:;@\\,."')
_PARAMETER_CHUNK_OCTETS = 54


def unstructured(name: str, text: str, charset: str = "utf-8") -> bytes:
    """A field of free text, such as Subject."""
    return _folded(name, _words(text, charset))


def address_list(name: str, mailboxes: Iterable[tuple[str, str]], charset: str = "utf-8") -> bytes:
    """A field of mailboxes, each a display name (may be empty) and an address."""
    tokens: list[bytes] = []
    for display_name, address in mailboxes:
        if display_name:
            tokens += _phrase(display_name, charset)
            tokens.append(f"<{address}>,".encode())
        else:
            tokens.append(f"{address},".encode())
    tokens[-1] = tokens[-1].rstrip(b",")
    return _folded(name, tokens)


def tokens(name: str, values: Iterable[str]) -> bytes:
    """A field of US-ASCII tokens that may be folded between any two, such as References."""
    return _folded(name, [value.encode("ascii") for value in values])


def parameterised(name: str, value: str, parameters: Iterable[str]) -> bytes:
    """A MIME field: its value, then one parameter a line."""
    return b";\r\n\t".join([f"{name}: {value}".encode("ascii"), *(p.encode("ascii") for p in parameters)])


def file_name_parameters(name: str, value: str, naming: str, charset: str) -> list[str]:
    """`name="value"`, as extended and continued parameters (RFC 2231) or as an encoded word."""
    if value.isascii():
        return [f'{name}="{value}"']
    if naming == "encoded-word":
        return [f'{name}="{encoded_word(value, charset, "B").decode()}"']
    encoded = quote(value.encode(charset), safe="")
    chunks = _percent_chunks(encoded)
    if len(chunks) == 1:
        return [f"{name}*={charset}''{encoded}"]
    chunks[0] = f"{charset}''{chunks[0]}"
    return [f"{name}*{index}*={chunk}" for index, chunk in enumerate(chunks)]


def encoded_word(text: str, charset: str, encoding: str) -> bytes:
    data = text.encode(charset)
    if encoding == "B":
        payload = base64.b64encode(data)
    else:
        payload = b"".join(bytes([b]) if b in _PHRASE_SAFE else _q_octet(b) for b in data)
    return f"=?{charset}?{encoding}?".encode("ascii") + payload + b"?="


def _q_octet(octet: int) -> bytes:
    return b"_" if octet == 0x20 else b"=%02X" % octet


def _words(text: str, charset: str) -> list[bytes]:
    """The text as tokens that are joined by single spaces."""
    if text.isascii() or charset == RAW_UTF8:
        return text.encode().split(b" ")
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        charset = "utf-8"
    encoding = "B" if sum(not c.isascii() for c in text) * 3 > len(text) else "Q"
    words, start = [], 0
    for end in range(1, len(text) + 1):
        if len(encoded_word(text[start:end], charset, encoding)) > _ENCODED_WORD_OCTETS:
            words.append(encoded_word(text[start : end - 1], charset, encoding))
            start = end - 1
    words.append(encoded_word(text[start:], charset, encoding))
    return words


def _phrase(display_name: str, charset: str) -> list[bytes]:
    if (display_name.isascii() or charset == RAW_UTF8) and _SPECIALS & set(display_name):
        escaped = display_name.replace("\\", "\\\\").replace('"', '\\"')
        return [f'"{escaped}"'.encode()]
    return _words(display_name, charset)


def _folded(name: str, field_tokens: Iterable[bytes]) -> bytes:
    lines = [name.encode("ascii") + b":"]
    for token in field_tokens:
        if len(lines[-1]) + 1 + len(token) > LINE_OCTETS and lines[-1].strip() and len(lines[-1]) > len(name) + 1:
            lines.append(b" " + token)
        else:
            lines[-1] += b" " + token
    return b"\r\n".join(lines)


def _percent_chunks(encoded: str) -> list[str]:
    """Cut percent-encoded text without cutting through a %XX."""
    chunks = [""]
    index = 0
    while index < len(encoded):
        step = 3 if encoded[index] == "%" else 1
        if len(chunks[-1]) + step > _PARAMETER_CHUNK_OCTETS:
            chunks.append("")
        chunks[-1] += encoded[index : index + step]
        index += step
    return chunks
