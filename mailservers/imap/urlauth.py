"""URLs that authorize: GENURLAUTH, URLFETCH, RESETKEY (RFC 4467).

A URL is signed with its user's key for its mailbox, and gives whoever it names what that user may read at the time.
"""

from __future__ import annotations

import hmac
import secrets

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from mailservers.formats.imap.urls import AuthorizedUrl, BadUrl, parse_authorized_url
from mailservers.formats.imap.writer import astring
from mailservers.formats.octets import Octets, chunks
from mailservers.imap.appending import read_url
from mailservers.imap.replies import Refusal, Reply
from mailservers.imap.session import Session
from mailservers.store.access import Access, find_access
from mailservers.store.engine import store
from mailservers.store.errors import InvalidMailboxName, NoSuchMailbox, NoSuchMessage, NotPermitted
from mailservers.store.url_keys import KEY_OCTETS, find_key, key_for, remove_keys, reset_key, token

MAX_URLS = 100  # in one command
_UNREADABLE = (BadUrl, NoSuchMailbox, NotPermitted, NoSuchMessage, InvalidMailboxName)


def _require_few(urls: tuple[object, ...]) -> None:
    if len(urls) > MAX_URLS:
        raise Refusal("LIMIT", "Too many URLs")


async def genurlauth(session: Session, pairs: tuple[tuple[bytes, str], ...]) -> None:
    """GENURLAUTH: all of the URLs or none."""
    _require_few(pairs)
    made = [await _authorize(session, url, mechanism) for url, mechanism in pairs]
    session.untagged(b"GENURLAUTH " + b" ".join(astring(url) for url in made))


async def _authorize(session: Session, url: bytes, mechanism: str) -> bytes:
    assert session.identity is not None
    _require_internal((mechanism,))
    try:
        wanted = parse_authorized_url(url)
        if wanted.mechanism:
            raise BadUrl("the URL has a token already")
        if wanted.user != session.identity.login:
            raise BadUrl("the URL is another user's")
        access: Access = await store.read(find_access, session.user_id, wanted.message.mailbox)
    except (BadUrl, NoSuchMailbox, InvalidMailboxName) as error:
        raise Refusal(None, f"Cannot authorize this: {error}", "BAD") from error
    key = await store.call(key_for, session.user_id, access.row.id)
    return b"%b:internal:%b" % (url, token(key, url).encode("ascii"))


async def urlfetch(session: Session, urls: tuple[bytes, ...]) -> None:
    """URLFETCH: NIL for what is invalid, whatever the reason."""
    assert session.identity is not None
    _require_few(urls)
    for url in urls:
        octets = await store.read(_fetch, session.identity.login, url)
        if octets is None:
            session.untagged(b"URLFETCH %b NIL" % astring(url))
            continue
        session.raw(b"* URLFETCH %b {%d}\r\n" % (astring(url), len(octets)))
        pieces = chunks(octets)
        while piece := await store.read(next, pieces, b""):
            session.raw(piece)
            await session.flush()
        session.raw(b"\r\n")


def _fetch(login: str, text: bytes) -> Octets | None:
    """In a reader thread. An unknown mailbox costs what a known one does (section 6)."""
    try:
        url = parse_authorized_url(text)
    except BadUrl:
        return None
    owner_id = User.objects.filter(login=url.user, is_active=True).values_list("pk", flat=True).first()
    try:
        access = find_access(owner_id or 0, url.message.mailbox)
        key = find_key(owner_id or 0, access.row.id)
    except (NoSuchMailbox, InvalidMailboxName):
        key = None
    wanted = token(key or secrets.token_bytes(KEY_OCTETS), url.rump)
    is_authentic = url.mechanism == "INTERNAL" and hmac.compare_digest(wanted, url.token)
    if owner_id is None or key is None or not is_authentic or not _is_meant_for(login, url):
        return None
    try:
        return read_url(owner_id, url.message.mailbox, url.message)
    except _UNREADABLE:
        return None


def _is_meant_for(login: str, url: AuthorizedUrl) -> bool:
    """Whether the session's user may use it, now."""
    if url.expires is not None and timezone.now() > url.expires:
        return False
    if url.access == "SUBMIT":
        return bool(settings.IMAP_SUBMIT_USER) and login == settings.IMAP_SUBMIT_USER.lower()
    return login == url.who if url.access == "USER" else True


async def resetkey(session: Session, request: tuple[str, tuple[str, ...]]) -> Reply:
    """RESETKEY: of one mailbox, or of all."""
    name, mechanisms = request
    _require_internal(mechanisms)
    if not name:
        await store.call(remove_keys, session.user_id)
        return Reply("All keys removed")
    access: Access = await store.read(find_access, session.user_id, name)
    await store.call(reset_key, session.user_id, access.row.id)
    return Reply("RESETKEY completed", b"URLMECH INTERNAL")


def _require_internal(mechanisms: tuple[str, ...]) -> None:
    if any(mechanism != "INTERNAL" for mechanism in mechanisms):
        raise Refusal("CANNOT", "The only mechanism is INTERNAL")
