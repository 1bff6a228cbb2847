"""The pages of identities and of templates (canned answers)."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from mailservers.store.engine import store
from webmail.access import MailRequest, mail_view
from webmail.compose import identities
from webmail.folders.tree import folder_tree
from webmail.models import CannedAnswer, SendingIdentity


def _sentence(refusal: Exception) -> str:
    text = str(refusal)
    return f"{text[:1].upper()}{text[1:]}."


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def identity_page(request: MailRequest) -> HttpResponse:
    """One form for each address; POST `action` save or forget."""
    post, user, error = request.POST, request.user, ""
    typed = identities.Sender(
        post.get("name", ""), post.get("address", ""), post.get("reply_to", ""), post.get("signature", "")
    )
    if request.method == "POST":
        try:
            _change_identity(request, typed)
            return redirect("identities")
        except identities.Refused as refusal:
            error = _sentence(refusal)
    rows = {row.address: row.is_default for row in SendingIdentity.objects.filter(user=user)}
    own = identities.identities(user)
    if error and typed.address in {one.address for one in own}:
        own = [typed if one.address == typed.address else one for one in own]
    context = {
        "tree": folder_tree(user.pk),
        "folder": None,
        "own": [(one, one.address in rows, rows.get(one.address, False)) for one in own],
        "refused": typed if error else None,
        "error": error,
        "is_new": bool(error) and typed.address not in {one.address for one in own},
    }
    return render(request, "webmail/identities.html", context, status=422 if error else 200)


def _change_identity(request: MailRequest, typed: identities.Sender) -> None:
    user_id = request.user.pk
    match request.POST.get("action"):
        case "save":
            store.call_sync(
                identities.save_identity,
                user_id,
                typed.address,
                name=typed.name,
                reply_to=typed.reply_to,
                signature=typed.signature,
                is_default=request.POST.get("is_default") == "yes",
            )
            messages.info(request, "Saved.")
        case "forget":
            store.call_sync(identities.forget_identity, user_id, typed.address)
            messages.info(request, "As it was at first.")
        case _:
            raise Http404


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def template_page(request: MailRequest) -> HttpResponse:
    """All templates, each in its form; POST `action` save or delete, on `answer` or a new one."""
    post, user, error = request.POST, request.user, ""
    number = post.get("answer", "")
    answer_id = int(number) if number.isascii() and number.isdecimal() and len(number) < 16 else None
    if request.method == "POST":
        try:
            if post.get("action") == "delete" and answer_id is not None:
                store.call_sync(identities.forget_answer, user.pk, answer_id)
                messages.info(request, "Deleted.")
            else:
                store.call_sync(identities.save_answer, user.pk, post.get("name", ""), post.get("text", ""), answer_id)
                messages.info(request, "Saved.")
            return redirect("templates")
        except identities.Refused as refusal:
            error = _sentence(refusal)
    context = {
        "tree": folder_tree(user.pk),
        "folder": None,
        "answers": CannedAnswer.objects.filter(user=user).order_by("name"),
        "name": post.get("name", "") if error else "",
        "text": post.get("text", "") if error else "",
        "answer_id": answer_id,
        "error": error,
    }
    return render(request, "webmail/templates.html", context, status=422 if error else 200)
