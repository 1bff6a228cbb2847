"""The letter that a reply or a forward begins with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.utils import formats, timezone

from mailservers.formats.addresses import Address
from mailservers.formats.headers import MAX_HEADER_OCTETS, first_field
from mailservers.formats.mime import load_parts
from mailservers.formats.octets import Octets
from mailservers.formats.text import part_text
from mailservers.store.lists import OpenMessage
from webmail.compose.building import Person
from webmail.compose.identities import Sender, sign
from webmail.compose.letter import WHOLE, CarriedFile, Letter, Origin, choose_sender
from webmail.compose.mailto import parse_mailto
from webmail.compose.people import as_text, people_of
from webmail.reading.layout import Place, decoded_size, lay_out
from webmail.reading.parts import file_name

MAX_QUOTED = 200_000  # characters
_REPLY = re.compile(r"(?:re|aw|sv|antw|rif|odp)(?:\[\d+\])?\s*:\s*", re.IGNORECASE)
_FORWARD = re.compile(r"(?:fwd?|wg|tr|vs)\s*:\s*", re.IGNORECASE)

Fields = dict[str, list[Address]]


def reply(opened: OpenMessage, raw: Octets, fields: Fields, own: Sequence[Sender], *, to_all: bool) -> Letter:
    """To the Reply-To, else the From; one's own messages are continued to whom they went (RFC 5322 3.6.3)."""
    mine = {one.address.lower() for one in own}
    author = people_of(fields["from"])
    to = people_of(fields["reply_to"]) or author
    cc: list[Person] = []
    if author and author[0].address.lower() in mine:
        to = people_of(fields["to"]) or to
        cc = people_of(fields["cc"]) if to_all else []
    elif to_all:
        cc = [*people_of(fields["to"]), *people_of(fields["cc"])]
    taken = mine | {one.address.lower() for one in to}
    cc = list({one.address.lower(): one for one in cc if one.address.lower() not in taken}.values())
    subject = opened.row.subject
    sender = _addressed(fields, own)
    quote = quoted(opened, raw, fields, "reply")
    return Letter(
        sender=sender,
        to=as_text(to),
        cc=as_text(cc),
        subject=subject if _REPLY.match(subject) else f"Re: {subject}".rstrip(),
        text=sign(quote, choose_sender(own, sender)),
        origin=_origin("reply", opened),
    )


def forward(opened: OpenMessage, raw: Octets, fields: Fields, own: Sequence[Sender]) -> Letter:
    """The text below a short header, and every attachment and picture of the original."""
    row = opened.row
    sender = _addressed(fields, own)
    return Letter(
        sender=sender,
        subject=row.subject if _FORWARD.match(row.subject) else f"Fwd: {row.subject}".rstrip(),
        text=sign(quoted(opened, raw, fields, "forward"), choose_sender(own, sender)),
        origin=_origin("forward", opened),
        files=carried_files(opened),
    )


def forward_whole(opened: OpenMessage, own: Sequence[Sender]) -> Letter:
    """The message itself as an attachment (RFC 2046 5.2.1)."""
    row = opened.row
    file = CarriedFile(row.mailbox_id, row.uid, WHOLE, f"{row.subject or 'message'}.eml", row.size)
    return Letter(
        sender=own[0].address,
        subject=row.subject if _FORWARD.match(row.subject) else f"Fwd: {row.subject}".rstrip(),
        text=sign("", own[0]),
        origin=_origin("forward", opened),
        files=[file],
    )


def quoted(opened: OpenMessage, raw: Octets, fields: Fields, kind: str) -> str:
    """The original in plain text, as a reply or a forward ends with it."""
    if kind == "reply":
        return f"\n\n{_attribution(opened)}\n{_quoted(_without_signature(_text(opened, raw)))}\n"
    row = opened.row
    head = [
        "---------- Forwarded message ----------",
        f"From: {as_text(people_of(fields['from'])) or row.from_name}",
        f"Date: {_moment(opened)}",
        f"Subject: {row.subject}",
        f"To: {row.to}",
    ]
    if opened.cc:
        head.append(f"Cc: {opened.cc}")
    return "\n\n" + "\n".join(head) + f"\n\n{_text(opened, raw)}\n"


def list_address(header: bytes) -> str:
    """Where one writes to the list that a message came by (List-Post, RFC 2369 3.4); "" without one."""
    found = re.search(
        r"<(mailto:[^<>\s]{1,400})>", (first_field(header, b"list-post") or b"").decode("utf-8", "replace")
    )
    return parse_mailto(found[1])["to"] if found else ""


def carried_files(opened: OpenMessage) -> list[CarriedFile]:
    """The attachments of a stored message, pictures shown within its HTML included."""
    layout = lay_out(load_parts(opened.parts))
    places = {place.path: place for place in (*layout.attachments, *layout.inline.values())}
    shown = {text.html.path for text in layout.texts if text.html} | {t.plain.path for t in layout.texts if t.plain}
    return [_carried(opened, place) for path, place in sorted(places.items()) if path not in shown]


def header_of(opened: OpenMessage, raw: Octets) -> bytes:
    return raw[: min(load_parts(opened.parts).body_start, MAX_HEADER_OCTETS)]


def _carried(opened: OpenMessage, place: Place) -> CarriedFile:
    name = file_name(place.part, place.address)
    return CarriedFile(opened.row.mailbox_id, opened.row.uid, place.address, name, decoded_size(place.part))


def message_text(opened: OpenMessage, raw: Octets) -> str:
    """All texts of a message, as plain text."""
    layout = lay_out(load_parts(opened.parts))
    chosen = [text.plain or text.html for text in layout.texts]
    texts = [part_text(raw, place.part) for place in chosen if place is not None]
    return "\n\n".join(texts).replace("\r\n", "\n").replace("\r", "\n")


def _text(opened: OpenMessage, raw: Octets) -> str:
    return message_text(opened, raw)[:MAX_QUOTED].strip("\n")


def _without_signature(text: str) -> str:
    """An answer quotes no signature (RFC 3676 4.3)."""
    return re.split(r"(?m)^-- $", text, maxsplit=1)[0].rstrip("\n")


def _quoted(text: str) -> str:
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in text.split("\n"))


def _attribution(opened: OpenMessage) -> str:
    return f"On {_moment(opened)}, {opened.row.from_name or opened.row.from_address} wrote:"


def _moment(opened: OpenMessage) -> str:
    moment = timezone.localtime(opened.date or opened.row.internal_date)
    return formats.date_format(moment, "j F Y, H:i")


def _addressed(fields: Fields, own: Sequence[Sender]) -> str:
    """The own address that the message was sent to: the answer comes from there."""
    named = {one.spec.lower() for key in ("to", "cc", "from") for one in fields[key]}
    return next((one.address for one in own if one.address.lower() in named), own[0].address)


def _origin(kind: str, opened: OpenMessage) -> Origin:
    return Origin(kind, opened.row.mailbox_id, opened.row.uid, opened.message_id_field)
