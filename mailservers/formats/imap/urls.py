"""IMAP URLs of messages and their parts, as CATENATE uses them: relative ones (RFC 5092, RFC 4469 section 3).

    icommand-ref = [ "/" ] [ enc-mailbox ] [";UIDVALIDITY=" nz-number] "/;UID=" nz-number
                   ["/;SECTION=" enc-section] ["/;PARTIAL=" number ["." nz-number]]

Without a mailbox the selected one is meant; a mailbox without the leading "/" stands beside the selected one
(RFC 3986 section 5.2). URLAUTH and absolute URLs are none of ours.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from .fetch import BodySection, parse_section
from .lexer import ImapSyntaxError

_URL = re.compile(
    rb"(?P<mailbox>[^;?#]*?)(?:;UIDVALIDITY=(?P<validity>[1-9][0-9]{0,9}))?(?:/|\A);UID=(?P<uid>[1-9][0-9]{0,9})"
    rb"(?:/;SECTION=(?P<section>[^;?#]*?))?(?:/;PARTIAL=(?P<offset>[0-9]{1,10})(?:\.(?P<count>[1-9][0-9]{0,9}))?)?/?\Z",
    re.IGNORECASE,
)
_LEGAL = re.compile(rb"(?:[A-Za-z0-9._~!$'()*+,&=:@/;-]|%[0-9A-Fa-f]{2})*\Z")
_SCHEME = re.compile(rb"[^/]*:")
REST = (1 << 63) - 1  # a partial without a count


class BadUrl(ValueError):
    """Not a URL of a message that we understand."""


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """``mailbox`` "" is the selected one; ``section`` None is the whole message."""

    mailbox: str
    uid_validity: int | None
    uid: int
    section: BodySection | None = None
    offset: int = 0
    count: int = REST


def parse_message_url(url: bytes, selected: str = "") -> MessageUrl:
    """Raises BadUrl. ``selected`` is the mailbox that relative references start from."""
    match = _URL.match(url)
    if match is None or _LEGAL.match(url) is None or url.startswith(b"//") or _SCHEME.match(url):
        raise BadUrl("not the URL of a message")
    path = match["mailbox"]
    try:
        name = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise BadUrl("the mailbox name is not UTF-8") from None
    if name.startswith("/"):
        name = name[1:]
    elif name:
        name = selected.rpartition("/")[0] + "/" + name if "/" in selected else name
    uid = int(match["uid"])
    validity = int(match["validity"]) if match["validity"] else None
    if uid > 0xFFFFFFFF or (validity or 0) > 0xFFFFFFFF:
        raise BadUrl("number too large")
    return MessageUrl(
        name,
        validity,
        uid,
        _section(match["section"]),
        int(match["offset"] or 0),
        int(match["count"]) if match["count"] else REST,
    )


def _section(encoded: bytes | None) -> BodySection | None:
    if encoded is None:
        return None
    try:
        return parse_section(unquote_to_bytes(encoded))
    except ImapSyntaxError as error:
        raise BadUrl(str(error)) from None
