"""The MIME tree of one message: parts as byte offsets, IMAP part numbers, and the form stored in the database."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from .parameters import decode_parameter


@dataclass(slots=True)
class Part:
    """One entity: header raw[header_start:body_start], body raw[body_start:end] (octet offsets in the message).

    `params` and `disposition_params` have lower-case names (see `parameters`); `lines` counts the LFs of the body of
    text/* and message/rfc822 parts. A multipart has one child or more; a message/rfc822 or message/global part has
    exactly one, the root part of the embedded message.
    """

    header_start: int
    body_start: int
    end: int
    maintype: bytes = b"text"
    subtype: bytes = b"plain"
    params: dict[bytes, bytes] = field(default_factory=dict)
    encoding: bytes = b"7bit"
    disposition: bytes | None = None
    disposition_params: dict[bytes, bytes] = field(default_factory=dict)
    content_id: bytes | None = None
    description: bytes | None = None
    language: tuple[bytes, ...] | None = None
    location: bytes | None = None
    md5: bytes | None = None
    lines: int = 0
    children: "list[Part]" = field(default_factory=list)

    @property
    def size_octets(self) -> int:
        """Size of the body as transferred (still encoded)."""
        return self.end - self.body_start

    @property
    def is_multipart(self) -> bool:
        return self.maintype == b"multipart"

    @property
    def is_message(self) -> bool:
        """Whether the body is an embedded message (RFC 2046 section 5.2.1, RFC 6532 section 3.7)."""
        return self.maintype == b"message" and self.subtype in (b"rfc822", b"global")

    @property
    def charset(self) -> str | None:
        return decode_parameter(self.params, b"charset")

    @property
    def filename(self) -> str | None:
        """Decoded filename of the disposition, else the name parameter of the type; None when there is neither."""
        name = decode_parameter(self.disposition_params, b"filename")
        return name if name is not None else decode_parameter(self.params, b"name")


def walk(root: Part) -> Iterator[tuple[tuple[int, ...], Part]]:
    """(IMAP part number, part) of every part in document order; the root of a multipart message has number ().

    An embedded message's multipart root shares the number of the message/rfc822 part that holds it, and comes after it.
    """
    return _walk(root, (), root.is_multipart)


def _walk(part: Part, number: tuple[int, ...], shares_number: bool) -> Iterator[tuple[tuple[int, ...], Part]]:
    number = number if shares_number else (*number, 1)
    yield number, part
    if part.is_message:
        for child in part.children:
            yield from _walk(child, number, child.is_multipart)
    else:
        for n, child in enumerate(part.children, 1):
            yield from _walk(child, (*number, n), True)


def find_part(root: Part, path: tuple[int, ...]) -> Part | None:
    """The part with an IMAP part number (RFC 9051 section 6.4.5.1), or None. () is the root itself.

    A message that is not multipart has the one part 1, also when it is embedded in another.
    """
    part = root
    enters_message = True  # whether the next number counts the parts of the message whose root is `part`
    for n in path:
        if not enters_message and part.is_message:
            part = part.children[0]
            enters_message = True
        if part.is_multipart:
            if not 1 <= n <= len(part.children):
                return None
            part = part.children[n - 1]
        elif not enters_message or n != 1:
            return None
        enters_message = False
    return part


def dump_parts(root: Part) -> bytes:
    """A compact form (JSON) of the tree for the database."""
    return json.dumps(_row(root), separators=(",", ":")).encode("ascii")


def load_parts(data: bytes) -> Part:
    """The tree that `dump_parts` was given."""
    return _part(json.loads(data))


# A row is the fields of Part in order, octets as Latin-1, less the trailing ones that have their default.
_DEFAULTS = [0, 0, 0, "text", "plain", {}, "7bit", None, {}, None, None, None, None, None, 0, []]


def _row(part: Part) -> list:
    row = [
        part.header_start,
        part.body_start,
        part.end,
        part.maintype.decode("latin-1"),
        part.subtype.decode("latin-1"),
        _text_map(part.params),
        part.encoding.decode("latin-1"),
        _text(part.disposition),
        _text_map(part.disposition_params),
        _text(part.content_id),
        _text(part.description),
        None if part.language is None else [tag.decode("latin-1") for tag in part.language],
        _text(part.location),
        _text(part.md5),
        part.lines,
        [_row(child) for child in part.children],
    ]
    while row and row[-1] == _DEFAULTS[len(row) - 1]:
        row.pop()
    return row


def _part(row: list) -> Part:
    full = row + _DEFAULTS[len(row) :]
    language = full[11]
    return Part(
        header_start=full[0],
        body_start=full[1],
        end=full[2],
        maintype=full[3].encode("latin-1"),
        subtype=full[4].encode("latin-1"),
        params=_octets_map(full[5]),
        encoding=full[6].encode("latin-1"),
        disposition=_octets(full[7]),
        disposition_params=_octets_map(full[8]),
        content_id=_octets(full[9]),
        description=_octets(full[10]),
        language=None if language is None else tuple(tag.encode("latin-1") for tag in language),
        location=_octets(full[12]),
        md5=_octets(full[13]),
        lines=full[14],
        children=[_part(child) for child in full[15]],
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _octets(value: str | None) -> bytes | None:
    return None if value is None else value.encode("latin-1")


def _text_map(params: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in params.items()}


def _octets_map(params: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode("latin-1"): value.encode("latin-1") for name, value in params.items()}
