"""All that the store keeps about a message besides its octets, made once when the message is accepted."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from .addresses import Address, parse_address_list
from .dates import parse_date
from .encoded_words import decode_words
from .envelope import bodystructure, envelope_of
from .headers import unfold
from .mime import Part, dump_parts, scan_with_fields
from .octets import Octets
from .text import part_text
from .threads import ThreadKeys, thread_keys

MAX_LINE_CHARACTERS = 998  # of the decoded header values kept for lists
MAX_REFERENCES = 50
MAX_PREVIEW_CHARACTERS = 200
PREVIEW_OCTETS = 16 * 1024  # read of the part that the preview shows
_LISTED_ADDRESSES = 100

_MESSAGE_ID = re.compile(rb"<[^<>\x00-\x20\x7f]{1,996}>")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Soft hyphens, joiners and zero-width blanks with which newsletters pad their preview.
_PADDING = re.compile("[\u00ad\u034f\u061c\u180e\u200b\u2060-\u2064\ufeff]+")
_SIGNATURES = frozenset({b"pgp-signature", b"pkcs7-signature", b"x-pkcs7-signature", b"pgp-encrypted"})


@dataclass(frozen=True, slots=True)
class Summary:
    """Sizes in octets; `envelope` and `bodystructure` are ready for IMAP, `parts` for `mime.load_parts`.

    The str fields are decoded, on one line, without control characters (so without NUL) and at most
    MAX_LINE_CHARACTERS long; absent values are "". Message-IDs have their angle brackets. `date` is in UTC.
    """

    sha256: bytes
    size: int
    header_size: int
    envelope: bytes
    bodystructure: bytes
    parts: bytes
    subject: str
    from_name: str
    from_address: str
    to: str
    cc: str
    message_id: str
    in_reply_to: str
    references: tuple[str, ...]
    date: datetime | None
    preview: str
    has_attachment: bool
    thread_keys: ThreadKeys


def summarise(raw: Octets, sha256: bytes | None = None) -> Summary:
    """The summary of a message; any octets are accepted, nothing is raised."""
    root, fields = scan_with_fields(raw)
    lists = _address_lists(fields)
    author = next((a for a in lists.get(b"from", []) if a.is_mailbox), None)
    sent = parse_date(unfold(fields[b"date"])) if b"date" in fields else None
    if sha256 is None:
        assert isinstance(raw, bytes)
        sha256 = hashlib.sha256(raw).digest()
    subject = _one_line(decode_words(fields.get(b"subject", b"")))
    message_id = _first_id(fields.get(b"message-id"))
    in_reply_to = _first_id(fields.get(b"in-reply-to"))
    references = _ids(fields.get(b"references"))
    return Summary(
        sha256=sha256,
        size=len(raw),
        header_size=root.body_start,
        envelope=envelope_of(fields, lists),
        bodystructure=bodystructure(raw, root),
        parts=dump_parts(root),
        subject=subject,
        from_name=_one_line(author.name) if author else "",
        from_address=_one_line(author.spec) if author else "",
        to=_people(lists.get(b"to", [])),
        cc=_people(lists.get(b"cc", [])),
        message_id=message_id,
        in_reply_to=in_reply_to,
        references=references,
        date=sent.astimezone(UTC) if sent else None,
        preview=_preview(raw, root),
        has_attachment=has_attachment(root),
        thread_keys=thread_keys(message_id, in_reply_to, references, subject, sha256),
    )


def _address_lists(fields: dict[bytes, bytes]) -> dict[bytes, list[Address]]:
    return {name: parse_address_list(fields[name]) for name in (b"from", b"to", b"cc") if name in fields}


def has_attachment(root: Part) -> bool:
    """Whether a reader would list an attachment; see `is_attachment`. Embedded messages count whole."""
    if root.is_multipart:
        return any(has_attachment(c) if c.is_multipart else is_attachment(c, root) for c in root.children)
    return is_attachment(root, None)


def is_attachment(part: Part, parent: Part | None) -> bool:
    """Whether a part that is no multipart is an attachment, rather than text to read or something shown within it."""
    if part.subtype in _SIGNATURES:
        return False
    if part.disposition is not None and part.disposition != b"inline":
        return True
    if parent is not None and parent.subtype in (b"report", b"digest"):
        return False
    if part.maintype == b"text":
        return part.filename is not None and not (parent and parent.subtype == b"alternative")
    is_within_text = parent is not None and parent.subtype == b"related" and part.content_id is not None
    return not (is_within_text and part.maintype in (b"image", b"audio", b"video"))


def preview_part(root: Part) -> Part | None:
    """The first text part that is to be read, plain rather than HTML among alternatives; None when there is none."""
    if root.is_multipart:
        return next((found for child in root.children if (found := preview_part(child)) is not None), None)
    if root.is_message:
        return preview_part(root.children[0])
    is_text = root.maintype == b"text" and root.subtype != b"calendar"
    return root if is_text and root.disposition in (None, b"inline") and root.size_octets else None


def _preview(raw: Octets, root: Part) -> str:
    part = preview_part(root)
    if part is None:
        return ""
    text = part_text(raw, part, PREVIEW_OCTETS)
    head = text[: 3 * MAX_PREVIEW_CHARACTERS]
    preview = _fold(head)
    if len(preview) < MAX_PREVIEW_CHARACTERS and len(head) < len(text):
        preview = _fold(text)
    return preview[:MAX_PREVIEW_CHARACTERS].rstrip()


def _fold(text: str) -> str:
    if not text.isascii():
        text = _PADDING.sub("", text)
    folded = " ".join(text.split())
    return folded if folded.isprintable() else " ".join(_CONTROLS.sub(" ", folded).split())


def _one_line(text: str) -> str:
    text = text[: 8 * MAX_LINE_CHARACTERS]
    return (text if text.isprintable() else _CONTROLS.sub(" ", text)).strip()[:MAX_LINE_CHARACTERS]


def _people(addresses: list[Address]) -> str:
    """`Name <local@domain>, local@domain, Group:` for lists and search."""
    shown = []
    for address in addresses[:_LISTED_ADDRESSES]:
        name, spec = address.name, address.spec
        if name and spec:
            shown.append(f"{name} <{spec}>")
        elif address.is_mailbox or name:
            shown.append(spec or name)
    return _one_line(", ".join(shown))


def _first_id(value: bytes | None) -> str:
    found = _MESSAGE_ID.search(value) if value is not None else None
    return found[0].decode("utf-8", "replace") if found else ""


def _ids(value: bytes | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(found.decode("utf-8", "replace") for found in _MESSAGE_ID.findall(value)[-MAX_REFERENCES:])
