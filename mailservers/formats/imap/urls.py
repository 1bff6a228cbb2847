"""IMAP URLs of messages and their parts (RFC 5092): relative ones, as CATENATE uses them (RFC 4469 section 3), and
those that carry an authorization (URLAUTH, RFC 4467).

    icommand-ref = [ "/" ] [ enc-mailbox ] [";UIDVALIDITY=" nz-number] "/;UID=" nz-number
                   ["/;SECTION=" enc-section] ["/;PARTIAL=" number ["." nz-number]]

Without a mailbox the selected one is meant; a mailbox without the leading "/" stands beside the selected one
(RFC 3986 section 5.2).

    authimapurlfull = "imap://" enc-user [iauth] "@" hostport "/" imessagepart iurlauth
    iurlauth        = [";EXPIRE=" date-time] ";URLAUTH=" access ":" mechanism ":" enc-urlauth
    access          = ("submit+" enc-user) / ("user+" enc-user) / "authuser" / "anonymous"
"""

import re
from dataclasses import dataclass
from datetime import datetime
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
_AUTHORIZED = re.compile(
    rb"imap://(?P<user>[^/;@:?#]+)(?:;AUTH=[^/;@:?#]+)?@(?P<host>[^/;@?#]+)(?P<message>/[^?#]*?)"
    rb"(?:;EXPIRE=(?P<expire>[0-9T:.Z+-]{20,35}))?"
    rb";URLAUTH=(?P<access>submit|user|authuser|anonymous)(?:\+(?P<who>[^/;@:?#]+))?",
    re.IGNORECASE,
)
_VERIFIER = re.compile(rb":(?P<mechanism>[A-Za-z0-9.-]+):(?P<token>[0-9A-Fa-f]{32,})\Z")
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


@dataclass(frozen=True, slots=True)
class AuthorizedUrl:
    """``user``: whose URL it is; ``access``: SUBMIT, USER (both of ``who``), AUTHUSER or ANONYMOUS; ``rump``: what the
    token is of; ``mechanism`` in upper case, "" where the URL is but a rump."""

    user: str
    message: MessageUrl
    expires: datetime | None
    access: str
    who: str
    rump: bytes
    mechanism: str = ""
    token: str = ""


def parse_authorized_url(url: bytes) -> AuthorizedUrl:
    """A URL with an access identifier, with or without its token. Raises BadUrl."""
    match = _AUTHORIZED.match(url)
    if match is None:
        raise BadUrl("not the URL of a message with its owner and an access identifier")
    rest = url[match.end() :]
    verifier = _VERIFIER.match(rest)
    access, who = match["access"].decode("ascii").upper(), _user(match["who"] or b"")
    if (rest and verifier is None) or (access in ("SUBMIT", "USER")) != bool(who):
        raise BadUrl("not a valid access identifier or token")
    message = parse_message_url(match["message"])
    if not message.mailbox:
        raise BadUrl("the URL names no mailbox")
    return AuthorizedUrl(
        _user(match["user"]),
        message,
        _moment(match["expire"]),
        access,
        who,
        url[: match.end()],
        verifier["mechanism"].decode("ascii").upper() if verifier else "",
        verifier["token"].decode("ascii").lower() if verifier else "",
    )


def _user(encoded: bytes) -> str:
    if _LEGAL.match(encoded) is None:
        raise BadUrl("not a valid user")
    try:
        return unquote_to_bytes(encoded).decode("utf-8").lower()
    except UnicodeDecodeError:
        raise BadUrl("the user is not UTF-8") from None


def _moment(text: bytes | None) -> datetime | None:
    """date-time of RFC 3339"""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.decode("ascii"))
    except ValueError:
        raise BadUrl("not a date and time") from None
    if moment.tzinfo is None:
        raise BadUrl("a date and time without a zone")
    return moment


def _section(encoded: bytes | None) -> BodySection | None:
    if encoded is None:
        return None
    try:
        return parse_section(unquote_to_bytes(encoded))
    except ImapSyntaxError as error:
        raise BadUrl(str(error)) from None
