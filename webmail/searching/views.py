"""The page of search results."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from mailservers.formats.search_keys import All
from mailservers.store.searching.newest import SEARCH_LIMIT
from mailservers.store.searching.newest import search as search_newest
from webmail.access import MailRequest, mail_view, wants_part
from webmail.folders.tree import FolderTree, folder_tree
from webmail.listing.lines import line_of
from webmail.searching.query import parse_query


def _boxes(tree: FolderTree, names: Sequence[str]) -> list[int]:
    """Folders named with `in:`, by whole name, last level or use; without any, all but Trash and Junk."""
    if not names:
        return [folder.id for folder in tree.everything if folder.use not in ("trash", "junk")]
    wanted = {name.casefold() for name in names}
    if wanted & {"anywhere", "all"}:
        return [folder.id for folder in tree.everything]
    return [
        folder.id
        for folder in tree.everything
        if wanted & {folder.full_label.casefold(), folder.label.casefold(), folder.use or folder.box.name.casefold()}
    ]


@mail_view
@require_safe
def search(request: MailRequest) -> HttpResponse:
    """`q` in all folders, or in the folder `in`. Trash and Junk are left out unless they are the folder."""
    if wants_part(request) and request.htmx.target == "reader":
        return render(request, "webmail/_reader_empty.html")
    query = request.GET.get("q", "").strip()
    tree = folder_tree(request.user.pk)
    scope = None
    if request.GET.get("in"):
        scope = tree.by_id(int(request.GET["in"])) if request.GET["in"].isdecimal() else None
        if scope is None:
            raise Http404
    asked = parse_query(query)
    boxes = [scope.id] if scope else _boxes(tree, asked.folders)
    found = search_newest(request.user.pk, asked.key or All(), boxes) if asked.key or asked.folders else None
    rows = found.rows if found else []
    context = {
        "tree": tree,
        "folder": None,
        "scope": scope,
        "query": query,
        "found": found,
        "limit": SEARCH_LIMIT,
        "named": asked.folders,
        "lines": [line_of(row, tree.by_id(row.mailbox_id), show_folder=scope is None) for row in rows],
    }
    return render(request, "webmail/search.html", context)
