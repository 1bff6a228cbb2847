"""A mailbox's page, the next rows of its list, and what has changed in it."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from mailservers.store import lists
from mailservers.store.errors import NotPermitted
from mailservers.store.queries import changes_since
from webmail.access import MailRequest, mail_view, wants_part
from webmail.folders.tree import Folder, FolderTree, folder_tree
from webmail.listing.lines import lines_of

FILTERS = {
    "": lists.NO_MARKS,
    "unread": lists.Marks(seen=False),
    "starred": lists.Marks(flagged=True),
}
MAX_CHANGES = 200  # more rows than this: the list is drawn anew


@mail_view
@require_safe
def home(request: MailRequest) -> HttpResponse:
    """The inbox."""
    tree = folder_tree(request.user.pk)
    inbox = next((folder for folder in tree.folders if folder.is_inbox), None)
    if inbox is None:
        raise Http404
    return redirect("mailbox", inbox.id)


@mail_view
@require_safe
def mailbox(request: MailRequest, mailbox_id: int) -> HttpResponse:
    """The list, with nothing open beside it."""
    if wants_part(request):
        _folder(folder_tree(request.user.pk), mailbox_id)  # 404 for others'
        return render(request, "webmail/_reader_empty.html")
    return render(request, "webmail/mailbox.html", page_context(request, mailbox_id))


def page_context(request: MailRequest, mailbox_id: int) -> dict[str, Any]:
    """What the page of a mailbox needs: two queries, one for folders and one for rows. 404 for others' mailboxes."""
    tree = folder_tree(request.user.pk)
    folder = _folder(tree, mailbox_id)
    chosen = _filter_name(request)
    rows = lists.page(mailbox_id, marks=FILTERS[chosen], limit=lists.PAGE + 1)
    return {
        "tree": tree,
        "folder": folder,
        "filter": chosen,
        **_rows_context(rows, folder),
    }


@mail_view
@require_safe
def rows(request: MailRequest, mailbox_id: int) -> HttpResponse:
    """The rows after `before`, or the first ones."""
    tree = folder_tree(request.user.pk)
    folder = _folder(tree, mailbox_id)
    try:
        before = lists.Key.parse(request.GET["before"]) if "before" in request.GET else None
    except ValueError:
        raise Http404 from None
    chosen = _filter_name(request)
    found = lists.page(mailbox_id, before, FILTERS[chosen], lists.PAGE + 1)
    context = {"folder": folder, "filter": chosen, **_rows_context(found, folder)}
    return render(request, "webmail/_rows.html", context)


@mail_view
@require_safe
def changes(request: MailRequest, mailbox_id: int) -> HttpResponse:
    """What happened since modseq `since`, as JSON: `rows` (HTML of new and changed lines), `gone` (their ids),
    `folders` (the sidebar's HTML), `modseq` to ask with next time; or `reset`: draw the list anew."""
    tree = folder_tree(request.user.pk)
    folder = _folder(tree, mailbox_id)
    try:
        since = int(request.GET.get("since", ""))
    except ValueError:
        raise Http404 from None
    answer: dict[str, Any] = {"folders": folders_html(request, tree, mailbox_id), "modseq": folder.box.highest_modseq}
    happened = changes_since(mailbox_id, since)
    if happened is None:
        raise Http404
    if happened.forgotten or len(happened.rows) > MAX_CHANGES:
        return JsonResponse({**answer, "reset": True})
    found = lists.rows_of(mailbox_id, [row.uid for row in happened.rows]) if happened.rows else []
    marks = FILTERS[_filter_name(request)]
    lines = lines_of(found, folder, marks)
    html = render_to_string("webmail/_lines.html", {"lines": lines, "folder": folder}, request) if lines else ""
    gone = [f"{mailbox_id}-{uid}" for uid in happened.expunged]
    return JsonResponse({**answer, "reset": False, "rows": html, "gone": gone})


def folders_html(request: MailRequest, tree: FolderTree, mailbox_id: int) -> str:
    return render_to_string("webmail/_folders.html", {"tree": tree, "folder": tree.by_id(mailbox_id)}, request)


def _folder(tree: FolderTree, mailbox_id: int) -> Folder:
    folder = tree.by_id(mailbox_id)
    if folder is None:
        raise Http404
    if not folder.may_read:
        raise NotPermitted("the mailbox's owner does not let you read it")
    return folder


def _filter_name(request: MailRequest) -> str:
    name = request.GET.get("show", "")
    return name if name in FILTERS else ""


def _rows_context(rows: list[lists.ListRow], folder: Folder) -> dict[str, Any]:
    """`rows` has one more than a page when there are more."""
    lines = lines_of(rows[: lists.PAGE], folder)
    more = str(rows[lists.PAGE - 1].key) if len(rows) > lists.PAGE else ""
    return {"lines": lines, "more": more}
