"""The text of a message that searches look through: decoded, folded, in a form that is kept.

    header: "\nname: value" for each field, in their order
    body:   "\nfile name" for each attachment, FILES_END, then every text part and document, PART_END between them

`fold` decides what is equal: case and compatibility forms (a composed "ü" and a decomposed one, full-width letters),
never more. Searched text is folded the same way, so a plain substring test on the UTF-8 octets is the whole rule.
NUL and the two separators cannot come from a message: they are replaced.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from .headers import MAX_HEADER_OCTETS, decode_words, iter_fields, unfold
from .octets import Octets
from .parts import Part, walk
from .text import message_texts

FILES_END = "\x1e"
PART_END = "\x1f"
MAX_CHARACTERS = 8 * 1024 * 1024  # of one message's text
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_RESERVED = {0: " ", ord(FILES_END): " ", ord(PART_END): " "}


@dataclass(frozen=True, slots=True)
class Searchable:
    """Folded text as UTF-8."""

    header: bytes
    body: bytes


def fold(text: str) -> str:
    """Texts that differ only in case or compatibility forms become equal. Idempotent."""
    if text.isascii():
        return text.lower()
    for _ in range(4):  # what case folding makes can be composed and folded further, not for long
        folded = unicodedata.normalize("NFKC", text).casefold()
        if folded == text:
            break
        text = folded
    return text


def needle(text: str) -> bytes:
    """What is searched for, in the form of what is searched through."""
    return _to_octets(_without_reserved(text))


def _to_octets(text: str) -> bytes:
    return fold(text).encode("utf-8", "replace")


def searchable_header(header: bytes, fields: Collection[bytes] | None = None) -> bytes:
    """From a header block: all fields, or those whose folded names are asked for."""
    lines = []
    for name, value in iter_fields(header):
        if fields is not None and _to_octets(name.decode("latin-1")) not in fields:
            continue
        text = decode_words(unfold(value)).strip()
        lines.append(f"\n{name.decode('latin-1')}: {text if text.isprintable() else _one_line(text)}")
    return _to_octets("".join(lines))


def searchable(raw: Octets, root: Part, documents: Iterable[str] = ()) -> Searchable:
    """From all octets of a message and its part tree; `documents` are texts found inside attachments."""
    header = raw[root.header_start : min(root.body_start, root.header_start + MAX_HEADER_OCTETS)]
    return Searchable(searchable_header(header), searchable_body(raw, root, documents))


def searchable_body(raw: Octets, root: Part, documents: Iterable[str] = ()) -> bytes:
    """`Searchable.body`."""
    files = "".join(f"\n{name}" for name in _file_names(root))
    return _to_octets(files + FILES_END + PART_END.join(_capped(chain(message_texts(raw, root), documents))))


def file_names(body: bytes) -> bytes:
    """The attachments' names of a `Searchable.body`."""
    return body.partition(FILES_END.encode())[0]


def _file_names(root: Part) -> Iterator[str]:
    for _, part in walk(root):
        if not part.is_multipart and (name := part.filename):
            yield _one_line(name)


def _capped(texts: Iterator[str]) -> Iterator[str]:
    left = MAX_CHARACTERS
    for text in texts:
        yield _without_reserved(text[:left])
        left -= len(text)
        if left <= 0:
            return


def _without_reserved(text: str) -> str:
    return text.translate(_RESERVED) if "\0" in text or FILES_END in text or PART_END in text else text


def _one_line(text: str) -> str:
    return _CONTROLS.sub(" ", text).strip()
