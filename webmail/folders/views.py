"""The sidebar by itself, and the page where folders are made, renamed and deleted."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mailservers.store.access import place_for
from mailservers.store.engine import store
from mailservers.store.errors import NotPermitted, StoreError
from mailservers.store.mailboxes import create_mailbox, delete_mailbox, rename_mailbox, subscribe
from mailservers.store.transaction import Transaction
from webmail.access import MailRequest, mail_view
from webmail.folders.tree import Folder, folder_tree


@mail_view
@require_safe
def sidebar(request: MailRequest) -> HttpResponse:
    """The folder list with its counts, for pages that show no single mailbox."""
    context = {"tree": folder_tree(request.user.pk), "folder": None, "is_deleted_page": "deleted" in request.GET}
    return render(request, "webmail/_folders.html", context)


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def manage(request: MailRequest) -> HttpResponse:
    """All folders with their actions; POST makes a new one."""
    name, error = request.POST.get("name", "").strip(), ""
    if request.method == "POST":
        parent = _parent(request)
        try:
            store.call_sync(_create, request.user.pk, f"{parent}/{name}" if parent and name else name)
        except StoreError as refusal:
            error = _sentence(refusal)
        else:
            messages.info(request, f"Folder “{name}” made.")
            return redirect("folders")
    context = {"tree": folder_tree(request.user.pk), "folder": None, "name": name, "error": error}
    return render(request, "webmail/folders.html", context, status=422 if error else 200)


@mail_view
@require_POST
def rename(request: MailRequest, mailbox_id: int) -> HttpResponse:
    folder = _droppable(request, mailbox_id)
    name = request.POST.get("name", "").strip()
    try:
        store.call_sync(rename_mailbox, folder.box.owner_id, folder.own_name or folder.box.name, name)
    except StoreError as refusal:
        messages.error(request, _sentence(refusal))
    else:
        messages.info(request, f"Renamed to “{name}”.")
    return redirect("folders")


@mail_view
@require_POST
def delete(request: MailRequest, mailbox_id: int) -> HttpResponse:
    """Deletes the folder with its messages."""
    folder = _droppable(request, mailbox_id)
    try:
        store.call_sync(delete_mailbox, folder.box.owner_id, folder.own_name or folder.box.name)
    except StoreError as refusal:
        messages.error(request, _sentence(refusal))
    else:
        messages.info(request, f"Folder “{folder.full_label}” deleted.")
    return redirect("folders")


def _create(tx: Transaction, user_id: int, name: str) -> None:
    owner_id, own_name = place_for(user_id, name)
    create_mailbox(tx, owner_id, own_name)
    if owner_id == user_id:
        subscribe(tx, owner_id, own_name)  # so that mail clients show it too


def _droppable(request: MailRequest, mailbox_id: int) -> Folder:
    """A folder that the user may rename and delete: made by them, or shared with the right "x"."""
    folder = folder_tree(request.user.pk).by_id(mailbox_id)
    if folder is None or not (folder.is_custom or folder.owner):
        raise Http404
    if not folder.may_drop:
        raise NotPermitted("the folder's owner does not let you do that")
    return folder


def _parent(request: MailRequest) -> str:
    """The name of the folder in which to make one; "" at the top."""
    parent = request.POST.get("parent", "")
    if not parent:
        return ""
    folder = folder_tree(request.user.pk).by_id(int(parent)) if parent.isdecimal() and len(parent) < 16 else None
    if folder is None or not (folder.is_custom or folder.owner):
        raise Http404
    return folder.box.name


def _sentence(error: StoreError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
