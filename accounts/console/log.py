"""The delivery log."""

from __future__ import annotations

from django.http import HttpResponse

from accounts.console.access import StaffRequest, needs, page
from accounts.console.events import OUTCOMES, Filter, log_page
from accounts.console.paging import number, query, words_of
from accounts.roles import Permission


@needs(Permission.TRACE)
def log(request: StaffRequest) -> HttpResponse:
    wanted = Filter.of(words_of(request, "address"), request.GET.get("outcome", ""))
    before = number(request.GET.get("before", ""))
    shown = log_page(request.remit, wanted, before)
    context = {
        "log": shown,
        "wanted": wanted,
        "outcomes": OUTCOMES,
        "is_first": not before,
        "older_query": query(request, before=str(shown.older)) if shown.older else "",
        "first_query": query(request, before=""),
    }
    return page(request, "log.html", "log", context)
