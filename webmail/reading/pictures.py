"""Remote pictures: blocked until the reader wants them, for one message or always for a sender; fetched by this server
through addresses that only it can make, and only for the user they were made for."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.core import signing
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from mailservers.outbound.https import FetchFailed
from mailservers.outbound.pictures import MAX_ADDRESS, Picture, fetch_picture
from mailservers.outbound.resolve import MailResolver
from mailservers.store.engine import store
from mailservers.store.lists import OpenMessage
from mailservers.store.pictures import block_pictures_of, show_pictures_of, shows_pictures_of
from mailservers.store.verdicts import read_verdict
from webmail.access import MailRequest, mail_view, wants_part
from webmail.reading.opening import open_or_404

MAX_PICTURES = 500  # of one message
_SALT = "webmail.picture"
_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


class Proxied:
    """Our addresses for the remote pictures of one message."""

    def __init__(self, user_id: int) -> None:
        self._user_id = user_id
        self._left = MAX_PICTURES

    def __call__(self, url: str) -> str | None:
        url = f"https:{url}" if url.startswith("//") else url
        self._left -= 1
        if self._left < 0 or len(url) > MAX_ADDRESS or not url.isascii():
            return None
        return f"{reverse('picture')}?of={signing.dumps([self._user_id, url], salt=_SALT, compress=True)}"


def are_shown(request: MailRequest, opened: OpenMessage) -> bool:
    """For this time (`?pictures=1`), or always: then not where the sender's domain does not vouch for the message."""
    if request.GET.get("pictures") == "1":
        return True
    address = opened.row.from_address
    if not address or not shows_pictures_of(request.user.pk, address):
        return False
    verdict = read_verdict(opened.row.message_id)
    return verdict is None or verdict.data["results"].get("dmarc") != "fail"


@mail_view
@require_safe
def picture(request: MailRequest) -> HttpResponse:
    """`of`: as `Proxied` made it."""
    try:
        user_id, url = signing.loads(request.GET.get("of", ""), salt=_SALT)
    except signing.BadSignature:
        raise Http404 from None
    if user_id != request.user.pk:
        raise Http404
    try:
        found = async_to_sync(_fetch)(url)
    except FetchFailed as error:
        return HttpResponse(f"Not shown: {error}", status=502, content_type="text/plain; charset=utf-8")
    response = HttpResponse(found.content, content_type=found.type)
    response["Content-Security-Policy"] = _POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


async def _fetch(url: str) -> Picture:
    return await fetch_picture(MailResolver(), url)


@mail_view
@require_POST
def pictures(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    """`action` "always" or "never" for the sender of this message."""
    address = open_or_404(request, mailbox_id, uid).row.from_address
    operation = {"always": show_pictures_of, "never": block_pictures_of}.get(request.POST.get("action", ""))
    if operation is None or not address:
        raise Http404
    store.call_sync(operation, request.user.pk, address)
    shown = "always shown" if operation is show_pictures_of else "blocked"
    if not wants_part(request):
        messages.info(request, f"Pictures from {address} are {shown}.")
    return redirect("message", mailbox_id, uid)
