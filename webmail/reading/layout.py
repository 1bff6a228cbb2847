"""What of a message is read, and what is attached: a walk over its part tree (RFC 2046)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mailservers.formats.mime import Part
from mailservers.formats.summary import is_attachment
from mailservers.formats.transfer import IDENTITY

MAX_TEXTS = 20  # shown one below the other; further ones are offered as attachments
MAX_ATTACHMENTS = 500
_HTML = (b"html", b"xhtml")


@dataclass(frozen=True, slots=True)
class Place:
    """A part and its path: child positions from the root, written with dots in addresses ("0" is the root)."""

    path: tuple[int, ...]
    part: Part

    @property
    def address(self) -> str:
        return ".".join(map(str, self.path)) or "0"


@dataclass(frozen=True, slots=True)
class Text:
    """One text to read: its HTML form, its plain form, or both (multipart/alternative)."""

    html: Place | None
    plain: Place | None


@dataclass(slots=True)
class Layout:
    """`inline`: parts that HTML can name by Content-ID (without angle brackets)."""

    texts: list[Text] = field(default_factory=list)
    attachments: list[Place] = field(default_factory=list)
    inline: dict[str, Place] = field(default_factory=dict)


def lay_out(root: Part) -> Layout:
    """The layout of a message."""
    layout = Layout()
    _visit(Place((), root), None, layout)
    return layout


def part_at(root: Part, address: str) -> Part | None:
    """The part that a `Place.address` names; None when there is none."""
    if address == "0":
        return root
    part = root
    for step in address.split("."):
        if not step.isdecimal() or len(step) > 6:
            return None
        index = int(step) - 1
        if part.is_message or not 0 <= index < len(part.children):
            return None
        part = part.children[index]
    return part


def _children(place: Place) -> Iterator[Place]:
    for number, child in enumerate(place.part.children, 1):
        yield Place((*place.path, number), child)


def _visit(place: Place, parent: Part | None, layout: Layout) -> None:
    part = place.part
    if part.is_multipart:
        if part.subtype == b"alternative":
            _visit_alternatives(place, layout)
            return
        for child in _children(place):
            _visit(child, part, layout)
        return
    if part.content_id:
        content_id = part.content_id.decode("utf-8", "replace").strip().strip("<>")
        layout.inline.setdefault(content_id, place)
    if _is_text(part, parent) and len(layout.texts) < MAX_TEXTS:
        is_html = part.subtype in _HTML
        layout.texts.append(Text(place if is_html else None, None if is_html else place))
    elif len(layout.attachments) < MAX_ATTACHMENTS and _is_listed(part, parent):
        layout.attachments.append(place)


def _is_text(part: Part, parent: Part | None) -> bool:
    if part.maintype != b"text" or part.subtype in (b"calendar", b"vcard", b"csv"):
        return False
    return not is_attachment(part, parent)


def _is_listed(part: Part, parent: Part | None) -> bool:
    """Attachments, and whatever is neither text nor shown within the text."""
    return is_attachment(part, parent) or not (parent is not None and parent.subtype == b"related" and part.content_id)


def _visit_alternatives(place: Place, layout: Layout) -> None:
    """The last HTML and the first plain text are one text in two forms; the rest counts as usual."""
    html: Place | None = None
    plain: Place | None = None
    for child in _children(place):
        part = child.part
        if part.is_multipart:
            inner = Layout()
            _visit(child, place.part, inner)
            found = next((text for text in inner.texts if text.html), None)
            html = found.html if found else html
            if plain is None and inner.texts and inner.texts[0].plain:
                plain = inner.texts[0].plain
            layout.attachments += inner.attachments
            layout.inline.update(inner.inline)
        elif part.maintype == b"text" and part.subtype in _HTML:
            html = child
        elif part.maintype == b"text" and part.subtype == b"plain":
            plain = plain or child
        elif len(layout.attachments) < MAX_ATTACHMENTS:
            layout.attachments.append(child)
    if html or plain:
        layout.texts.append(Text(html, plain))


def decoded_size(part: Part) -> int:
    """Octets of the content without its transfer encoding, estimated from its size."""
    if part.encoding in IDENTITY:
        return part.size_octets
    return part.size_octets * 3 * 76 // (4 * 78) if part.encoding == b"base64" else part.size_octets
