"""All attachments of a message as one zip file, written while it is sent: one piece of one part in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from mailservers.formats.mime import load_parts
from mailservers.formats.octets import Octets, chunks
from mailservers.formats.transfer_stream import decoded
from mailservers.formats.zip_stream import ZipStream
from webmail.access import MailRequest, mail_view
from webmail.reading import parts
from webmail.reading.layout import Place, lay_out
from webmail.reading.opening import open_or_404, raw_or_404


@mail_view
@require_safe
def bundle(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponseBase:
    opened = open_or_404(request, mailbox_id, uid)
    places = lay_out(load_parts(opened.parts)).attachments
    name = parts.clean_name(opened.row.subject) or "attachments"
    return parts.download(zipped(raw_or_404(opened), places), f"{name}.zip", "application/zip")


def zipped(raw: Octets, places: Sequence[Place]) -> Iterator[bytes]:
    """The pieces of a zip file."""
    stream = ZipStream()
    for place, name in zip(places, names(places), strict=True):
        part = place.part
        yield from stream.entry(name, decoded(chunks(raw, part.body_start, part.end), part.encoding))
    yield from stream.end()


def names(places: Sequence[Place]) -> list[str]:
    """Safe names, each once whatever the letters' case."""
    taken: set[str] = set()
    found: list[str] = []
    for place in places:
        name = parts.file_name(place.part, place.address)
        if name.casefold() in taken:
            name = f"{place.address}-{name}"
        taken.add(name.casefold())
        found.append(name)
    return found
