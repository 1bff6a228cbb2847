"""The delivery log, and one message's whole way."""

from __future__ import annotations

from django.http import Http404, HttpResponse

from accounts.console.access import StaffRequest, needs, page
from accounts.console.events import OUTCOMES, Filter, first_of, log_page, trace_rows
from accounts.console.paging import number, query, words_of
from accounts.roles import Permission
from mailservers.outbound.leases import WAITING_STATES


@needs(Permission.TRACE)
def log(request: StaffRequest) -> HttpResponse:
    wanted = Filter.of(words_of(request, "address"), request.GET.get("outcome", ""))
    before = number(request.GET.get("before", ""))
    shown = log_page(request.scope, wanted, before)
    context = {
        "log": shown,
        "wanted": wanted,
        "outcomes": OUTCOMES,
        "is_first": not before,
        "older_query": query(request, before=str(shown.older)) if shown.older else "",
        "first_query": query(request, before=""),
    }
    return page(request, "log.html", "log", context)


@needs(Permission.TRACE)
def trace(request: StaffRequest, trace_id: str) -> HttpResponse:
    rows = trace_rows(request.scope, trace_id) if trace_id.isalnum() else []
    if not rows:
        raise Http404
    waiting = request.scope.queued().filter(queued__trace_id=trace_id, state__in=WAITING_STATES)
    context = {
        "rows": rows,
        "trace_id": trace_id,
        "subject": first_of(rows, "subject"),
        "sender": first_of(rows, "sender"),
        "waiting": list(waiting.order_by("pk").values("address", "next_attempt")[:100]),
    }
    return page(request, "trace.html", "log", context)
