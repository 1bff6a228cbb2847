"""The page "Import and export"."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.transfer.exporting import zipped
from webmail.access import MailRequest, mail_view
from webmail.folders.tree import folder_tree
from webmail.reading.parts import download
from webmail.transfer import imports

PIECE = 4 * 1024 * 1024  # octets of an upload in one request
FORMS = (
    ("mbox", gettext_lazy("One mbox file for each folder (Thunderbird, Apple Mail)")),
    ("eml", gettext_lazy("One .eml file for each message (Outlook, Windows)")),
)


class BeginForm(forms.Form):
    name = forms.CharField(max_length=1000)
    size = forms.IntegerField(min_value=1)
    folder = forms.CharField(required=False, max_length=255)


@mail_view
@require_safe
def transfer(request: MailRequest) -> HttpResponse:
    tree = folder_tree(request.user.pk)
    context = {
        "tree": tree,
        "forms": FORMS,
        "piece": PIECE,
        "limit": settings.IMPORT_SIZE_LIMIT,
        "one_go": settings.WEB_ATTACHMENTS_LIMIT,
        "current": imports.current(request.user.pk),
    }
    return render(request, "webmail/transfer.html", context)


@mail_view
@require_safe
def state(request: MailRequest) -> HttpResponse:
    """How far the import is; asked for again and again."""
    return render(request, "webmail/_import.html", {"current": imports.current(request.user.pk)})


@mail_view
@require_safe
def export(request: MailRequest) -> HttpResponseBase:
    form, wanted = request.GET.get("form", "mbox"), request.GET.get("folder", "")
    boxes = [folder.box for folder in folder_tree(request.user.pk).folders if folder.box.owner_id == request.user.pk]
    if wanted:
        boxes = [box for box in boxes if str(box.id) == wanted]
    if not boxes or form not in dict(FORMS):
        raise Http404
    return download(zipped(boxes, form), f"mail-{timezone.localdate():%Y-%m-%d}.zip", "application/zip")


@mail_view
@require_POST
def begin(request: MailRequest) -> HttpResponse:
    """An upload in pieces: JSON with its token."""
    form = BeginForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"reason": _("This file cannot be read.")}, status=400)
    try:
        return JsonResponse({"token": imports.begin(request.user.pk, **form.cleaned_data)})
    except StoreError as error:
        return JsonResponse({"reason": str(error)}, status=400)


@mail_view
@require_POST
def piece(request: MailRequest, token: str, at: int) -> HttpResponse:
    """The octets from `at`; the last one begins the reading."""
    try:
        there = imports.take(request.user.pk, token, at, request.body)
        if there == imports.size_of(request.user.pk, token):
            imports.start(request.user.pk, token)
    except StoreError as error:
        return JsonResponse({"reason": str(error)}, status=400)
    return JsonResponse({"received": there})


@mail_view
@require_POST
def whole(request: MailRequest) -> HttpResponse:
    """A file in one request: without JavaScript."""
    file = request.FILES.get("file")
    if file is None:
        messages.error(request, _("Choose a file first."))
        return redirect("transfer")
    user_id = request.user.pk
    try:
        token = imports.begin(user_id, file.name or "", file.size or 0, request.POST.get("folder", "").strip())
        at = 0
        for chunk in file.chunks(PIECE):
            at = imports.take(user_id, token, at, chunk)
        imports.start(user_id, token)
    except StoreError as error:
        messages.error(request, str(error))
    return redirect("transfer")


@mail_view
@require_POST
def cancel(request: MailRequest) -> HttpResponse:
    store.call_sync(imports.cancel, request.user.pk)
    return redirect("transfer")
