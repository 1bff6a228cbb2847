"""Leaving a mailing list: List-Unsubscribe (RFC 2369 3.2), and in one click where the sender allows it (RFC 8058).

One click is a POST from our host, without cookies, to an address that the message names: only when one of the DKIM
signatures that we found good covers both fields (RFC 8058 section 4), else anybody could make us ask anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from mailservers.formats.authentication_results import parse_results
from mailservers.formats.dkim_signature import parse_signature
from mailservers.formats.headers import MAX_HEADER_OCTETS, first_field, iter_fields, unfold
from mailservers.formats.mime import load_parts
from mailservers.formats.octets import Octets
from mailservers.formats.tag_list import TagListError
from mailservers.outbound.https import FetchFailed, post
from mailservers.outbound.resolve import MailResolver
from mailservers.store.access import access_by_id, may_change
from mailservers.store.engine import store
from mailservers.store.flags import FlagChange, store_flags
from mailservers.store.lists import OpenMessage
from mailservers.store.transaction import Transaction
from webmail.access import MailRequest, mail_view
from webmail.reading.opening import open_or_404, raw_or_404

KEYWORD = "$Unsubscribed"  # on the message, so that every browser knows
ONE_CLICK = b"List-Unsubscribe=One-Click"
MAX_ADDRESS = 2000  # characters
_ADDRESS = re.compile(r"<\s*((?:https?|mailto):[^<>\s]+)\s*>", re.IGNORECASE)
_COVERED = {"list-unsubscribe", "list-unsubscribe-post"}


@dataclass(frozen=True, slots=True)
class Way:
    """How to leave the list. `post`: an address for one click; `compose`: ours, with the mail to send; `page`: the
    sender's own. "" where there is none; the first that is there is the best."""

    post: str = ""
    compose: str = ""
    page: str = ""
    host: str = ""  # who is asked

    def __bool__(self) -> bool:
        return bool(self.post or self.compose or self.page)


def way_out(header: bytes) -> Way:
    """By the fields of a message's header."""
    field = _text(first_field(header, b"list-unsubscribe"))
    addresses = [one for one in _ADDRESS.findall(field) if len(one) <= MAX_ADDRESS and one.isascii()]
    page = next((one for one in addresses if one[:8].lower() == "https://"), "")
    mailto = next((one for one in addresses if one[:7].lower() == "mailto:"), "")
    wants_post = _text(first_field(header, b"list-unsubscribe-post")).strip().lower() == ONE_CLICK.decode().lower()
    host = _host(page) if page else mailto.partition("?")[0].rpartition("@")[2]
    return Way(
        page if page and host and wants_post and _is_covered(header) else "",
        f"{reverse('compose')}?{urlencode({'mailto': mailto})}" if mailto else "",
        page if host else "",
        host,
    )


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "") if urlsplit(url).port != 0 else ""
    except ValueError:
        return ""


def _is_covered(header: bytes) -> bool:
    """By a signature that was good when the message came: our own Authentication-Results says so, and is on top."""
    results = parse_results(first_field(header, b"authentication-results") or b"")
    if results.authserv_id.lower() != settings.HOSTNAME.lower():
        return False
    passed = {dict(one.properties).get("header.d", "").lower() for one in results.results
              if (one.method, one.result) == ("dkim", "pass")}  # fmt: skip
    for name, value in iter_fields(header):
        if name.lower() != b"dkim-signature":
            continue
        try:
            signature = parse_signature(unfold(value))
        except TagListError:
            continue
        if signature.domain.lower() in passed and set(signature.signed) >= _COVERED:
            return True
    return False


def _text(value: bytes | None) -> str:
    return unfold(value or b"").decode("utf-8", "replace")


def way_of(opened: OpenMessage, raw: Octets) -> Way:
    return way_out(raw[: min(load_parts(opened.parts).body_start, MAX_HEADER_OCTETS)])


def has_left(opened: OpenMessage) -> bool:
    return KEYWORD.lower() in opened.row.keywords.lower().split()


@mail_view
@require_POST
def unsubscribe(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    """One click: we ask, and say what came of it."""
    opened = open_or_404(request, mailbox_id, uid)
    way = way_of(opened, raw_or_404(opened))
    if not way.post:
        raise Http404
    try:
        async_to_sync(_ask)(way.post)
    except FetchFailed as error:
        reason = _("%(host)s did not take it: %(error)s.") % {"host": way.host, "error": error}
        messages.error(request, reason)
    else:
        store.call_sync(_remember, request.user.pk, mailbox_id, uid)
        messages.info(request, _("%(host)s has been asked to send you no more.") % {"host": way.host})
    return redirect("message", mailbox_id, uid)


def _remember(tx: Transaction, user_id: int, mailbox_id: int, uid: int) -> None:
    """In another's mailbox as far as the rights go."""
    found = access_by_id(user_id, mailbox_id)
    if found is not None:
        may = may_change(found.rights)
        store_flags(tx, found.row.owner_id, mailbox_id, [uid], FlagChange.ADD, keywords=(KEYWORD,), may=may)


async def _ask(url: str) -> None:
    await post(MailResolver(), url, ONE_CLICK, "application/x-www-form-urlencoded")
