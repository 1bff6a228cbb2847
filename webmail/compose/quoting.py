"""The original's own HTML in an answer, and the pictures that go with a letter's HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.files.uploadedfile import UploadedFile
from django.urls import reverse

from mailservers.formats.mime import decode_body, load_parts
from mailservers.formats.octets import Octets
from mailservers.formats.text import part_source
from mailservers.store.lists import OpenMessage
from mailservers.store.stored import octets_of
from webmail.compose import answering, rich
from webmail.compose.building import File, Picture
from webmail.compose.letter import Letter, Origin
from webmail.reading.html import TooComplex, clean_html
from webmail.reading.layout import Place, lay_out
from webmail.reading.parts import content_type, file_name
from webmail.reading.views import read_fields

MAX_PICTURES = 100
_KINDS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_REMOTE = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quote:
    """`files`: the parts of the original that `pictures` were made of, as (mailbox, UID, address)."""

    html: str
    text: str
    pictures: Sequence[Picture]
    files: frozenset[tuple[int, int, str]]


def html_place(opened: OpenMessage) -> Place | None:
    """The text of a message that has an HTML form; None when it is plain."""
    return next((text.html for text in lay_out(load_parts(opened.parts)).texts if text.html), None)


def frame_of(opened: OpenMessage) -> str:
    """The address of the original's HTML, for a frame; "" when it has none."""
    place = html_place(opened)
    where = (opened.row.mailbox_id, opened.row.uid)
    return reverse("message-html", args=[*where, place.address]) if place else ""


def quote_of(user_id: int, origin: Origin) -> Quote | None:
    """What stands for the empty quote; None when the original is gone or has no HTML that can be quoted."""
    opened = origin.open(user_id)
    place = html_place(opened) if opened else None
    raw = octets_of(opened.row.message_id, opened.row.size) if opened else None
    if opened is None or place is None or raw is None:
        return None
    inline = lay_out(load_parts(opened.parts)).inline
    named: dict[str, Place] = {}

    def address(content_id: str) -> str | None:
        found = inline.get(content_id)
        if found is None or not content_type(found.part).startswith("image/"):
            return None
        own = next((name for name, known in named.items() if known is found), None)
        own = own or f"q{len(named) + 1}.{opened.row.message_id}@quoted"
        named[own] = found
        return f"cid:{own}"

    try:
        markup = clean_html(part_source(raw, place.part), address, _as_it_is).markup
    except TooComplex:
        return None
    text = answering.quoted(opened, raw, read_fields(raw, opened), origin.kind)
    pictures = [Picture(name, _file(raw, one)) for name, one in named.items()][:MAX_PICTURES]
    files = frozenset((opened.row.mailbox_id, opened.row.uid, one.address) for one in named.values())
    return Quote(_introduced(text, markup, origin.kind), text, pictures, files)


def _as_it_is(url: str) -> str | None:
    """Pictures on other hosts are not fetched by us: the reader's program decides about them."""
    return url if _REMOTE.match(url) else None


def _introduced(text: str, markup: str, kind: str) -> str:
    """Who wrote it, above; a reply's is set apart as a quotation."""
    head = text.strip("\n").split("\n\n" if kind == "forward" else "\n", 1)[0]
    introduction = rich.from_text(head).replace("<p>", '<p style="margin:0">')
    if kind == "forward":
        return f"{introduction}<br>{markup}"
    return f'{introduction}<blockquote type="cite" style="{rich.QUOTED}">{markup}</blockquote>'


def leave_out_quoted(user_id: int, letter: Letter) -> None:
    """The pictures that go with the quote are not attached once more."""
    if letter.files and letter.origin is not None and rich.EMPTY_QUOTE in letter.html:
        quote = quote_of(user_id, letter.origin)
        shown = quote.files if quote else frozenset()
        letter.files = [one for one in letter.files if (one.mailbox_id, one.uid, one.address) not in shown]


def _file(raw: Octets, place: Place) -> File:
    return File(file_name(place.part, place.address), content_type(place.part), decode_body(raw, place.part))


# ---------------------------------------------------------------- the letter's own pictures


def pictures_of(letter: Letter, uploads: Sequence[UploadedFile], drafts: Sequence[OpenMessage]) -> list[Picture]:
    """Those that the letter's HTML names: just uploaded (under its Content-ID as the file's name), or in the draft.
    One that is nowhere goes out of the HTML."""
    new = {upload.name.rpartition(".")[0]: upload for upload in uploads[:MAX_PICTURES] if upload.name}
    stored = [stored_pictures(opened) for opened in drafts]
    found: list[Picture] = []
    for content_id in rich.content_ids(letter.html):
        file = _uploaded(new[content_id]) if content_id in new else None
        file = file or next((files[content_id] for files in stored if content_id in files), None)
        if file is None or len(found) >= MAX_PICTURES:
            letter.html = rich.without_picture(letter.html, content_id)
        else:
            found.append(Picture(content_id, file))
    return found


def stored_pictures(opened: OpenMessage) -> Mapping[str, File]:
    raw = octets_of(opened.row.message_id, opened.row.size)
    inline = lay_out(load_parts(opened.parts)).inline if raw is not None else {}
    return {name: _file(raw, place) for name, place in inline.items() if raw is not None and _is_picture(place)}


def _is_picture(place: Place) -> bool:
    return content_type(place.part).startswith("image/")


def _uploaded(upload: UploadedFile) -> File | None:
    """None for what is no picture that every mail program shows, whatever it says of itself."""
    content = upload.read()
    kind = next((kind for magic, kind in _KINDS.items() if content.startswith(magic)), None)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kind = "image/webp"
    return File(f"image.{kind.partition('/')[2]}", kind, content) if kind else None
