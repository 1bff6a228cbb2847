"""`…/why/`: why a message is here, and trusting or blocking who sent it. A part of the reader, or a page."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from mailservers.formats.headers import MAX_HEADER_OCTETS
from mailservers.formats.mime import load_parts
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.sender_rules import forget_rule, set_rule
from webmail.access import MailRequest, mail_view, wants_part
from webmail.folders.tree import folder_tree
from webmail.reading.opening import open_or_404, raw_or_404
from webmail.reading.origin import origin_of
from webmail.reading.views import read_fields

ACTIONS = ("trust", "block", "forget")


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def why(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    """POST: `action` on `pattern`, which has to be the sender's address, its domain, or a rule for them."""
    opened = open_or_404(request, mailbox_id, uid)
    raw = raw_or_404(opened)
    header_block = bytes(raw[: min(load_parts(opened.parts).body_start, MAX_HEADER_OCTETS)])
    people = read_fields(raw, opened)
    origin = origin_of(request.user, opened.row, header_block, people)
    error = ""
    if request.method == "POST":
        action, pattern = request.POST.get("action", ""), request.POST.get("pattern", "")
        known = {origin.address, origin.domain, *(rule.pattern for rule in origin.rules)} - {""}
        if action not in ACTIONS or pattern not in known:
            raise Http404
        try:
            _set(request.user.pk, action, pattern)
        except StoreError as refusal:
            if refusal.temporary:
                raise
            error = str(refusal)
        if not wants_part(request):
            messages.info(request, f"Not done: {error}." if error else "Your lists of senders have been changed.")
            return redirect("message", mailbox_id, uid)
        origin = origin_of(request.user, opened.row, header_block, people)
    tree = folder_tree(request.user.pk)
    context = {
        "tree": tree,
        "folder": tree.by_id(mailbox_id),
        "row": opened.row,
        "origin": origin,
        "error": error,
        "is_open": request.method == "POST" or not wants_part(request),
    }
    return render(request, "webmail/_why.html" if wants_part(request) else "webmail/why.html", context)


def _set(user_id: int, action: str, pattern: str) -> None:
    if action == "forget":
        store.call_sync(forget_rule, pattern, user_id=user_id)
    else:
        store.call_sync(set_rule, pattern, is_block=action == "block", user_id=user_id)
