"""The queue: what waits to be sent to other hosts, why, and retrying or removing it."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.console.access import AdminRequest, admin_only, page
from accounts.console.paging import PAGE, number, query, words_of
from accounts.services import audit
from mailservers.models import RecipientState
from mailservers.outbound.queue import MAX_IDS, cancel, list_queue, queue_totals, retry_now
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.transaction import Transaction

STATES = (
    ("", "All"),
    (RecipientState.QUEUED.value, "Not tried yet"),
    (RecipientState.DEFERRED.value, "Deferred"),
    (RecipientState.HELD.value, "Held"),
)


@admin_only
def queue(request: AdminRequest) -> HttpResponse:
    search, state = words_of(request, "q"), request.GET.get("state", "")
    before = number(request.GET.get("before", "")) or None
    rows = list_queue(before=before, limit=PAGE + 1, search=search, state=state)
    context = {
        "rows": rows[:PAGE],
        "next_query": query(request, before=str(rows[PAGE - 1].id)) if len(rows) > PAGE else "",
        "first_query": query(request, before=""),
        "is_first": before is None,
        "totals": queue_totals(),
        "q": search,
        "state": state,
        "states": STATES,
        "now": timezone.now(),
        "here": request.get_full_path(),
    }
    return page(request, "queue.html", "queue", context)


@admin_only
@require_POST
def queue_act(request: AdminRequest) -> HttpResponse:
    """POST `act` ("retry" or "remove") and `id`s of recipients, or `one` ("retry:7", a row's own button); back to the
    page of the queue it came from."""
    act, _, one = request.POST.get("one", "").partition(":")
    chosen = [one] if act else request.POST.getlist("id")
    act = act or request.POST.get("act", "")
    ids = [number(value) for value in chosen][:MAX_IDS]
    if not any(ids) or act not in ("retry", "remove"):
        messages.error(request, "Choose what to retry or remove first.")
        return _back(request)
    try:
        changed = store.call_sync(_act, act, ids, request.user.login)
    except StoreError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _told(act, changed))
    return _back(request)


def _act(tx: Transaction, act: str, ids: Sequence[int], actor: str) -> int:
    changed = retry_now(tx, ids) if act == "retry" else cancel(tx, ids, actor)
    if changed:
        audit.record(actor, f"queue.{act}", f"{changed} recipients", ids=list(ids))
    return changed


def _told(act: str, changed: int) -> str:
    if not changed:
        return "Nothing to do: it has left the queue, or is being tried right now."
    some = "1 recipient" if changed == 1 else f"{changed} recipients"
    return f"{some} will be tried now." if act == "retry" else f"{some} taken out of the queue; the sender is not told."


def _back(request: AdminRequest) -> HttpResponse:
    here, start = request.POST.get("here", ""), reverse("console:queue")
    return redirect(here if here == start or here.startswith(f"{start}?") else start)
