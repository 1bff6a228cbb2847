"""The page of a user's own blocked and trusted senders."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.sender_rules import forget_rule, list_rules, set_rule
from webmail.access import MailRequest, mail_view
from webmail.folders.tree import folder_tree

MAX_PATTERN = 320
DONE = {"block": "blocked: its mail goes to Junk", "trust": "trusted: its mail stays out of Junk"}


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def senders(request: MailRequest) -> HttpResponse:
    """The lists; `?sender=` fills the field in. POST `action` block, trust or forget on `pattern`."""
    pattern = request.POST.get("pattern", request.GET.get("sender", "")).replace("\0", "").strip()[:MAX_PATTERN]
    error = ""
    if request.method == "POST":
        try:
            messages.info(request, _act(request.user.pk, request.POST.get("action", ""), pattern))
            return redirect("senders")
        except StoreError as refusal:
            if refusal.temporary:
                raise
            error = f"{str(refusal)[:1].upper()}{str(refusal)[1:]}."
    rules = list_rules(request.user.pk)
    context = {
        "tree": folder_tree(request.user.pk),
        "folder": None,
        "blocked": [rule.pattern for rule in rules if rule.is_block],
        "trusted": [rule.pattern for rule in rules if not rule.is_block],
        "pattern": pattern,
        "error": error,
    }
    return render(request, "webmail/senders.html", context, status=422 if error else 200)


def _act(user_id: int, action: str, pattern: str) -> str:
    """What has been done, for the user."""
    if action == "forget":
        store.call_sync(forget_rule, pattern, user_id=user_id)
        return f"{pattern} is on your lists no more."
    if action not in DONE:
        raise Http404
    pattern = store.call_sync(set_rule, pattern, is_block=action == "block", user_id=user_id)
    return f"{pattern} is {DONE[action]}."
