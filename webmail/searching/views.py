"""The page of search results."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from mailservers.store import lists
from webmail.access import MailRequest, mail_view, wants_part
from webmail.folders.tree import folder_tree
from webmail.listing.lines import line_of
from webmail.searching.query import parse_query


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
    terms = parse_query(query)
    boxes = [scope.id] if scope else [folder.id for folder in tree.folders if folder.use not in ("trash", "junk")]
    found = lists.search(request.user.pk, terms, boxes) if terms else None
    rows = found.rows if found else []
    context = {
        "tree": tree,
        "folder": None,
        "scope": scope,
        "query": query,
        "found": found,
        "limit": lists.SEARCH_LIMIT,
        "lines": [line_of(row, tree.by_id(row.mailbox_id), show_folder=scope is None) for row in rows],
        "has_words": bool(terms.words),
    }
    return render(request, "webmail/search.html", context)
