"""Handing out single parts: file names that are safe to save, types that are safe to open."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from mailservers.formats.mime import Part

# What a browser may be told; everything else is octets. Text is never handed out as HTML, nor SVG as an image.
_SAFE_TYPES = """
    image/png image/jpeg image/gif image/webp image/avif image/bmp image/x-icon
    audio/mpeg audio/ogg audio/wav audio/mp4 video/mp4 video/webm application/pdf application/zip application/gzip
    application/msword application/vnd.ms-excel application/vnd.ms-powerpoint application/rtf
    application/vnd.openxmlformats-officedocument.wordprocessingml.document
    application/vnd.openxmlformats-officedocument.spreadsheetml.sheet
    application/vnd.openxmlformats-officedocument.presentationml.presentation
    application/vnd.oasis.opendocument.text application/vnd.oasis.opendocument.spreadsheet
"""
SAFE_TYPES = frozenset(_SAFE_TYPES.split())
PART_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
MAX_NAME = 150  # characters
_UNFIT = re.compile(r'[\\/:*?"<>|]')
_EXTENSIONS = {
    "message/rfc822": "eml", "text/plain": "txt", "text/html": "html", "text/calendar": "ics", "image/png": "png",
    "image/jpeg": "jpg", "image/gif": "gif", "application/pdf": "pdf",
}  # fmt: skip
_ICONS = {"image": "file-image", "text": "file-text", "message": "mail", "audio": "volume-2", "video": "film"}


def content_type(part: Part) -> str:
    """`maintype/subtype` as the message declares it."""
    return f"{part.maintype.decode('latin-1')}/{part.subtype.decode('latin-1')}"


def safe_type(part: Part) -> str:
    declared = content_type(part)
    return declared if declared in SAFE_TYPES else "application/octet-stream"


def file_name(part: Part, number: str) -> str:
    """The declared name without what file systems, headers or eyes could trip over; a made-up one if there is none."""
    name = clean_name(part.filename or "")
    if name:
        return name
    extension = _EXTENSIONS.get(content_type(part), "bin")
    return f"{'message' if part.is_message else 'part'}-{number}.{extension}"


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Django would collect a plain iterator before it sends."""
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def clean_name(name: str) -> str:
    """Without directories, control and direction-changing characters; at most MAX_NAME long, extension kept."""
    name = "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    name = " ".join(_UNFIT.sub("_", name.replace("\\", "/").rpartition("/")[2]).split()).strip(". ")
    if len(name) > MAX_NAME:
        stem, dot, extension = name.rpartition(".")
        name = f"{stem[: MAX_NAME - 12]}.{extension[:11]}" if dot else name[:MAX_NAME]
    return name


def icon(part: Part) -> str:
    if part.subtype == b"calendar":
        return "calendar"
    if part.subtype in (b"zip", b"gzip", b"x-tar", b"x-7z-compressed"):
        return "file-archive"
    if part.subtype == b"pdf":
        return "file-text"
    return _ICONS.get(part.maintype.decode("latin-1"), "file")


def download(content: bytes | Iterator[bytes], name: str, type_: str, size: int | None = None) -> HttpResponseBase:
    """Always saved, never shown in our origin (as an <img> it may be drawn all the same). What comes in pieces is
    sent as it is read; `size` where it is known."""
    response: HttpResponseBase
    if isinstance(content, bytes):
        response = HttpResponse(content, content_type=type_)
    else:
        response = StreamingHttpResponse(_in_threads(content), content_type=type_)
        if size is not None:
            response["Content-Length"] = str(size)
    fallback = name.encode("ascii", "replace").decode().replace('"', "_").replace("?", "_")
    response["Content-Disposition"] = f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{quote(name, safe='')}"
    response["Content-Security-Policy"] = PART_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
