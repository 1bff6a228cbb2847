"""One message: the reader, its HTML in a document of its own, its parts, its source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from mailservers.formats.addresses import Address, parse_address_list
from mailservers.formats.headers import MAX_HEADER_OCTETS, first_field
from mailservers.formats.mime import Part, decode_body, load_parts
from mailservers.formats.octets import Octets, chunks
from mailservers.formats.text import decode_charset, html_to_text, part_source, part_text
from mailservers.formats.transfer_stream import decoded
from mailservers.store import lists
from mailservers.store.pictures import shows_pictures_of
from mailservers.store.tracing.opening import Opener, openings
from webmail.access import MailRequest, mail_view, wants_part
from webmail.folders.tree import Folder, FolderTree, folder_tree
from webmail.labels import known_labels, labels_of
from webmail.listing.lines import Line, colour, initial, line_of
from webmail.listing.views import page_context
from webmail.reading import parts
from webmail.reading.html import BODY_POLICY, CleanHtml, TooComplex, clean_html
from webmail.reading.layout import Place, decoded_size, lay_out, part_at
from webmail.reading.opening import open_or_404, raw_or_404
from webmail.reading.pictures import Proxied, are_shown
from webmail.reading.plain import text_to_html
from webmail.reading.unsubscribing import has_left, way_of
from webmail.sending.views import tracker_context

MAX_SOURCE = 1_000_000  # octets shown; the download has all
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
MAX_PICTURE = 10 * 1024 * 1024  # octets of an attached picture that is shown
MAX_PREVIEW = 64 * 1024  # octets of an attached text that are shown
MAX_CONVERSATION = 100  # messages shown of one
MAX_PEOPLE = 500  # addresses shown of one field


@dataclass(frozen=True, slots=True)
class Attachment:
    """One line of the attachment list; `address` as in `Place`."""

    address: str
    name: str
    type: str
    icon: str
    size: int

    @property
    def is_picture(self) -> bool:
        """One that browsers draw, and that is sent as what it is."""
        return self.type in PICTURES and self.size <= MAX_PICTURE

    @property
    def is_text(self) -> bool:
        return self.type.startswith("text/") and self.type not in ("text/html", "text/rtf", "text/calendar")


@dataclass(frozen=True, slots=True)
class Body:
    """One text of the message: a document to frame (`frame`, an address), or safe HTML made of plain text.

    `other`: the address of the same message with the text in its other form, "" if there is none."""

    frame: str
    text: SafeString
    other: str


@mail_view
@require_safe
def message(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    """The reader alone when htmx asks, else the whole page around it."""
    opened = open_or_404(request, mailbox_id, uid)
    opener = Opener(request.user.login, "webmail", "", request.META.get("REMOTE_ADDR", ""))
    openings.note(mailbox_id, [opened.row.message_id], opener)
    if wants_part(request):
        context: dict[str, Any] = {"tree": (tree := folder_tree(request.user.pk)), "folder": tree.by_id(mailbox_id)}
        template = "webmail/_reader.html"
    else:
        context = page_context(request, mailbox_id)
        template = "webmail/mailbox.html"
    folder: Folder | None = context["folder"]
    if folder is not None and folder.use in ("sent", "outbox"):
        context |= tracker_context(request.user, opened.message_id_field)
    conversation = conversation_lines(request.user.pk, opened, context["tree"])
    return render(request, template, {**context, **reader_context(request, opened), "conversation": conversation})


def conversation_lines(user_id: int, opened: lists.OpenMessage, tree: FolderTree) -> list[Line]:
    """What belongs together, wherever it lies; of what was thrown away only from there."""
    here = tree.by_id(opened.row.mailbox_id)
    hidden = {"trash", "junk", "outbox"} - ({here.use} if here else set())
    found = []
    for row in lists.conversation(user_id, opened.row.place_id, MAX_CONVERSATION):
        folder = tree.by_id(row.mailbox_id)
        if folder is not None and folder.use not in hidden:
            found.append(line_of(row, folder, show_folder=True))
    return found


@mail_view
@require_safe
@xframe_options_exempt  # the policy says who may frame it
def html_body(request: MailRequest, mailbox_id: int, uid: int, address: str) -> HttpResponse:
    """One HTML text as a document for the sandboxed frame."""
    opened, raw, found = _part(request, mailbox_id, uid, address)
    if found.maintype != b"text":
        raise Http404
    source = part_source(raw, found)
    inline = lay_out(load_parts(opened.parts)).inline
    remote = Proxied(request.user.pk) if are_shown(request, opened) else None
    try:
        cleaned = clean_html(source, partial(_inline_address, mailbox_id, uid, inline), remote)
    except TooComplex:
        note = "This HTML is too large or too deeply nested to be shown; here is its text."
        cleaned = CleanHtml(f"<p><em>{note}</em></p><pre>{text_to_html(html_to_text(source))}</pre>", 0, False)
    context = {"markup": mark_safe(cleaned.markup), "cleaned": cleaned}  # made by the sanitiser
    response = render(request, "webmail/html_body.html", context)
    response["Content-Security-Policy"] = BODY_POLICY
    response["Referrer-Policy"] = "no-referrer"
    return response


@mail_view
@require_safe
def part(request: MailRequest, mailbox_id: int, uid: int, address: str) -> HttpResponseBase:
    """A part, decoded, to be saved."""
    _, raw, found = _part(request, mailbox_id, uid, address)
    pieces = decoded(chunks(raw, found.body_start, found.end), found.encoding)
    content = decode_body(raw, found) if isinstance(raw, bytes) else pieces
    return parts.download(content, parts.file_name(found, address), parts.safe_type(found))


@mail_view
@require_safe
def part_preview(request: MailRequest, mailbox_id: int, uid: int, address: str) -> HttpResponse:
    """The beginning of an attached text, as text."""
    _, raw, found = _part(request, mailbox_id, uid, address)
    if found.maintype != b"text":
        raise Http404
    context = {"text": part_source(raw, found, MAX_PREVIEW), "is_cut": decoded_size(found) > MAX_PREVIEW}
    return render(request, "webmail/_part_preview.html", context)


@mail_view
@require_safe
def source(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    """Header fields and the octets as text."""
    opened = open_or_404(request, mailbox_id, uid)
    raw = raw_or_404(opened)
    context = {
        "opened": opened,
        "subject": opened.row.subject or "(no subject)",
        "text": decode_charset(raw[:MAX_SOURCE], None),
        "is_cut": len(raw) > MAX_SOURCE,
        "tree": (tree := folder_tree(request.user.pk)),
        "folder": tree.by_id(mailbox_id),
    }
    return render(request, "webmail/source.html", context)


@mail_view
@require_safe
def raw_message(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponseBase:
    """The whole message as a file."""
    opened = open_or_404(request, mailbox_id, uid)
    name = parts.clean_name(opened.row.subject) or "message"
    raw = raw_or_404(opened)
    content = raw if isinstance(raw, bytes) else raw.chunks()
    return parts.download(content, f"{name}.eml", "application/octet-stream", len(raw))


# ---------------------------------------------------------------- what the reader shows


def reader_context(request: MailRequest, opened: lists.OpenMessage) -> dict[str, Any]:
    row = opened.row
    raw = raw_or_404(opened)
    layout = lay_out(load_parts(opened.parts))
    wants_text = request.GET.get("view") == "text"
    with_pictures = request.GET.get("pictures") == "1"
    has_html = any(text.html for text in layout.texts)
    header = read_fields(raw, opened)
    sender = header["from"][0] if header["from"] else None
    name = (sender.name or sender.spec) if sender else "(unknown sender)"
    return {
        "opened": opened,
        "row": row,
        "item": f"{row.mailbox_id}-{row.uid}",
        "subject": row.subject or "(no subject)",
        "sender": sender,
        "pictures_always": has_html and shows_pictures_of(request.user.pk, row.from_address),
        "sender_name": name,
        "initial": initial(name),
        "colour": colour(sender.spec if sender else ""),
        "header": header,
        "bodies": [
            _body(row, raw, text.html, text.plain, wants_text, with_pictures=with_pictures) for text in layout.texts
        ],
        "attachments": [attachment(place) for place in layout.attachments],
        "way_out": way_of(opened, raw),
        "has_left": has_left(opened),
        "labels": labels_of(row.keywords),
        "known_labels": known_labels(request.user.pk),
        "is_calendar": any(place.part.subtype == b"calendar" for place in layout.attachments),
    }


def read_fields(raw: Octets, opened: lists.OpenMessage) -> dict[str, list[Address]]:
    """The address fields, decoded, up to MAX_PEOPLE each."""
    header = raw[: min(load_parts(opened.parts).body_start, MAX_HEADER_OCTETS)]
    names = (("from", b"from"), ("to", b"to"), ("cc", b"cc"), ("bcc", b"bcc"), ("reply_to", b"reply-to"))
    return {key: _people(first_field(header, name)) for key, name in names}


def _people(value: bytes | None) -> list[Address]:
    return [a for a in parse_address_list(value or b"") if a.is_mailbox][:MAX_PEOPLE]


def _body(
    row: lists.ListRow, raw: Octets, html: Place | None, plain: Place | None, wants_text: bool, *, with_pictures: bool
) -> Body:
    here = reverse("message", args=[row.mailbox_id, row.uid])
    if html is not None and not (wants_text and plain is not None):
        frame = reverse("message-html", args=[row.mailbox_id, row.uid, html.address])
        frame += "?pictures=1" if with_pictures else ""
        return Body(frame, SafeString(), f"{here}?view=text" if plain is not None else "")
    assert plain is not None
    return Body("", text_to_html(part_text(raw, plain.part)), here if html is not None else "")


def attachment(place: Place) -> Attachment:
    found = place.part
    return Attachment(
        place.address,
        parts.file_name(found, place.address),
        parts.content_type(found),
        parts.icon(found),
        decoded_size(found),
    )


def _inline_address(mailbox_id: int, uid: int, inline: dict[str, Place], content_id: str) -> str | None:
    place = inline.get(content_id.strip().strip("<>"))
    if place is None or place.part.maintype != b"image":
        return None
    return reverse("message-part", args=[mailbox_id, uid, place.address])


def _part(request: MailRequest, mailbox_id: int, uid: int, address: str) -> tuple[lists.OpenMessage, Octets, Part]:
    opened = open_or_404(request, mailbox_id, uid)
    found = part_at(load_parts(opened.parts), address)
    if found is None:
        raise Http404
    return opened, raw_or_404(opened), found
