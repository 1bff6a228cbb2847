"""The queue: what waits to be sent to other hosts, why, and what an administrator can do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.console.access import StaffRequest, needs, page
from accounts.console.paging import PAGE, number, query, words_of
from accounts.roles import Permission
from accounts.services import queue as services
from accounts.services.queue import MAX_IDS, Act
from mailservers.models import RecipientState
from mailservers.outbound.acts import Acted
from mailservers.outbound.queue import SCHEDULED, QueueFilter, list_queue, queue_totals
from mailservers.store.engine import store
from mailservers.store.errors import StoreError

STATES = (
    ("", "Any state"),
    (SCHEDULED, "Scheduled"),
    (RecipientState.QUEUED.value, "Not tried yet"),
    (RecipientState.DEFERRED.value, "Deferred"),
    (RecipientState.HELD.value, "Held"),
)
AGES = (
    (0, "Any age"),
    (3600, "Over an hour old"),
    (4 * 3600, "Over 4 hours old"),
    (24 * 3600, "Over a day old"),
    (3 * 24 * 3600, "Over 3 days old"),
)


@dataclass(frozen=True, slots=True)
class Words:
    """What the page says after an act on one recipient, or on several."""

    one: str
    many: str


WORDS = {
    Act.RETRY: Words("1 recipient will be tried now.", "{} recipients will be tried now."),
    Act.HOLD: Words("1 recipient is held.", "{} recipients are held."),
    Act.RELEASE: Words("1 recipient is released.", "{} recipients are released."),
    Act.REROUTE: Words("1 recipient takes the new way.", "{} recipients take the new way."),
    Act.REMOVE: Words(
        "1 recipient taken out of the queue; the sender is not told.",
        "{} recipients taken out of the queue; the senders are not told.",
    ),
    Act.BOUNCE: Words(
        "1 recipient taken out of the queue; the sender is told.",
        "{} recipients taken out of the queue; the senders are told.",
    ),
}


def filter_of(request: HttpRequest) -> QueueFilter:
    older = number(request.GET.get("older", ""))
    return QueueFilter(
        state=request.GET.get("state", "") if request.GET.get("state") in dict(STATES) else "",
        domain=words_of(request, "domain"),
        sender=words_of(request, "sender"),
        older_s=older if older in dict(AGES) else 0,
        text=words_of(request, "q"),
    )


@needs(Permission.QUEUE)
def queue(request: StaffRequest) -> HttpResponse:
    wanted = filter_of(request)
    before = number(request.GET.get("before", "")) or None
    rows = list_queue(wanted, before=before, limit=PAGE + 1, among=request.remit.queued())
    context = {
        "rows": rows[:PAGE],
        "next_query": query(request, before=str(rows[PAGE - 1].id)) if len(rows) > PAGE else "",
        "first_query": query(request, before=""),
        "is_first": before is None,
        "totals": queue_totals(request.remit.queued()),
        "wanted": wanted,
        "is_filtered": wanted != QueueFilter(),
        "states": STATES,
        "ages": AGES,
        "now": timezone.now(),
        "here": request.get_full_path(),
    }
    return page(request, "queue.html", "queue", context)


@needs(Permission.CHANGE_QUEUE)
@require_POST
def queue_act(request: StaffRequest) -> HttpResponse:
    """POST `act` and `id`s of recipients, or `one` ("retry:7", a row's own button), with `target` to reroute; back to
    the page of the queue it came from."""
    name, _, one = request.POST.get("one", "").partition(":")
    chosen = [one] if name else request.POST.getlist("id")
    ids = [pk for value in chosen if (pk := number(value))][:MAX_IDS]
    act = next((act for act in Act if act == (name or request.POST.get("act", ""))), None)
    if not ids or act is None:
        messages.error(request, "Choose some recipients first.")
        return _back(request)
    ids = list(request.remit.queued().filter(pk__in=ids).values_list("pk", flat=True))
    target = request.POST.get("target", "").strip()
    if act is Act.REROUTE and not request.remit.may(Permission.ROUTES):
        raise Http404
    _say(request, act, lambda: store.call_sync(services.act, act, ids, actor=request.user.login, target=target))
    return _back(request)


def _say(request: StaffRequest, act: Act, carry_out: Callable[[], Acted]) -> None:
    try:
        acted = carry_out()
    except StoreError as error:
        text = str(error)
        messages.error(request, f"{text[:1].upper()}{text[1:]}.")
        return
    for level, text in told(act, acted):
        messages.add_message(request, level, text)


def told(act: Act, acted: Acted) -> Sequence[tuple[int, str]]:
    """(level, words) of what came of it."""
    words: list[tuple[int, str]] = []
    if acted.done:
        text = WORDS[act].one if acted.done == 1 else WORDS[act].many.format(acted.done)
        words.append((messages.SUCCESS, text))
    if acted.in_flight:
        left = "1 is" if acted.in_flight == 1 else f"{acted.in_flight} are"
        words.append((messages.WARNING, f"{left} being tried right now: nothing was changed there."))
    return words or [(messages.INFO, "Nothing to do: it has left the queue, or is in that state already.")]


def _back(request: StaffRequest) -> HttpResponse:
    here, start = request.POST.get("here", ""), reverse("console:queue")
    return redirect(here if here == start or here.startswith(f"{start}?") else start)
