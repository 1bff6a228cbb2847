"""Where is my mail? Finding messages by what is known of them, one message's whole way, and handing that on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from django.contrib import messages
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.console.access import StaffRequest, needs, page
from accounts.console.events import Row, first_of, row, trace_rows
from accounts.console.paging import PAGE, number, query, words_of
from accounts.roles import Permission, Scope
from mailservers.models import DeliveryEvent, TraceSummary
from mailservers.outbound.leases import WAITING_STATES
from mailservers.store.tracing.finding import Wanted, find, visible
from mailservers.store.tracing.summary import Direction, State

LINK_LIFETIME = timedelta(days=7)
_SALT = "accounts.console.tracing.link"
STATES = {
    State.ACCEPTED: ("Accepted", ""),
    State.DELIVERED: ("Delivered", "badge-ok"),
    State.OPENED: ("Opened", "badge-ok"),
    State.SENT: ("Sent on", "badge-ok"),
    State.WAITING: ("Waiting", "badge-warn"),
    State.HELD: ("Held", "badge-warn"),
    State.CANCELLED: ("Cancelled", ""),
    State.REFUSED: ("Refused", "badge-danger"),
    State.FAILED: ("Failed", "badge-danger"),
}
DIRECTIONS = (
    ("", "Any direction"),
    (Direction.IN, "From elsewhere"),
    (Direction.OUT, "From our users"),
    (Direction.OWN, "Notices and reports"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A line of the list."""

    summary: TraceSummary
    state: str
    badge: str
    places: list[tuple[str, str, str]]  # recipient, state, where
    more: int


def wanted_of(request: HttpRequest) -> Wanted:
    """What was asked for; what makes no sense asks for nothing."""
    state, direction = request.GET.get("state", ""), request.GET.get("direction", "")
    return Wanted(
        party=words_of(request, "party"),
        other=words_of(request, "other"),
        message_id=words_of(request, "message_id"),
        subject=words_of(request, "subject"),
        state=state if state in STATES else "",
        direction=direction if direction in dict(DIRECTIONS) else "",
        number=words_of(request, "number").lower(),
        peer=words_of(request, "peer"),
        since=_moment(words_of(request, "since")),
        until=_moment(words_of(request, "until")),
    )


def _moment(text: str) -> datetime | None:
    """Of a datetime-local field, in the server's time zone."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment


@needs(Permission.TRACE)
def trace_search(request: StaffRequest) -> HttpResponse:
    wanted = wanted_of(request)
    before = number(request.GET.get("before", ""))
    domains = None if request.remit.is_everything else request.remit.domain_names
    rows = find(wanted, domains=domains, before=before, limit=PAGE + 1)
    context = {
        "found": [line for one in rows[:PAGE] if (line := _line(visible(one, domains), wanted)) is not None],
        "next_query": query(request, before=str(rows[PAGE - 1].pk)) if len(rows) > PAGE else "",
        "first_query": query(request, before=""),
        "is_first": not before,
        "wanted": wanted,
        "asked": {name: words_of(request, name) for name in ("since", "until")},
        "is_filtered": any(getattr(wanted, field.name) for field in fields(wanted)),
        "has_more_fields": any((wanted.other, wanted.direction, wanted.number, wanted.peer, wanted.message_id)),
        "states": [("", "Any outcome"), *((state, words) for state, (words, _) in STATES.items())],
        "directions": DIRECTIONS,
    }
    return page(request, "trace_search.html", "trace", context)


def _line(summary: TraceSummary, wanted: Wanted) -> Found | None:
    """None for what is only elsewhere in the wanted state."""
    if wanted.state and wanted.state not in {summary.state, *(place[0] for place in summary.places.values())}:
        return None
    words, badge = STATES.get(State(summary.state), (summary.state, ""))
    places = [(who, STATES[State(state)][0], where) for who, (state, where) in summary.places.items()]
    return Found(summary, words, badge, places[:3], max(0, len(places) - 3))


# ---------------------------------------------------------------- one message


@needs(Permission.TRACE)
def trace(request: StaffRequest, trace_id: str) -> HttpResponse:
    rows = _rows(request.remit, trace_id)
    waiting = request.remit.queued().filter(queued__trace_id=trace_id, state__in=WAITING_STATES)
    context = {
        **about(rows),
        "trace_id": trace_id,
        "waiting": list(waiting.order_by("pk").values("address", "next_attempt")[:100]),
        "parties": parties(request.remit, rows),
    }
    return page(request, "trace.html", "trace", context)


@needs(Permission.TRACE)
def trace_text(request: StaffRequest, trace_id: str) -> HttpResponse:
    """The same for a support ticket."""
    text = as_text(trace_id, _rows(request.remit, trace_id))
    answer = HttpResponse(text, content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="trace-{trace_id}.txt"'
    return answer


@needs(Permission.TRACE)
@require_POST
def trace_share(request: StaffRequest, trace_id: str) -> HttpResponse:
    """A link that shows this message's way to somebody who does not sign in: the part of one of its parties."""
    rows = _rows(request.remit, trace_id)
    party = request.POST.get("party", "")
    if party not in parties(request.remit, rows):
        messages.error(request, "Choose whom the link is for.")
        return page(
            request,
            "trace.html",
            "trace",
            {**about(rows), "trace_id": trace_id, "parties": parties(request.remit, rows)},
        )
    link = request.build_absolute_uri(reverse("shared-trace", args=[make_token(trace_id, party)]))
    context = {"link": link, "party": party, "trace_id": trace_id, "until": timezone.now() + LINK_LIFETIME}
    return page(request, "trace_shared.html", "trace", context)


@never_cache
@require_safe
def shared_trace(request: HttpRequest, token: str) -> HttpResponse:
    """No sign-in: the token names the trace and whose part of it is shown."""
    trace_id, party = read_token(token)
    events = DeliveryEvent.objects.filter(trace_id=trace_id).order_by("pk")[:500] if trace_id else ()
    rows = [part for event in events if (part := part_of(event, party)) is not None]
    context = {**about(rows), "party": party}
    answer = render(request, "console/trace_public.html", context, status=200 if rows else 404)
    answer["Referrer-Policy"], answer["X-Robots-Tag"] = "no-referrer", "noindex"
    return answer


def make_token(trace_id: str, party: str) -> str:
    return signing.dumps([trace_id, party], salt=_SALT, compress=True)


def read_token(token: str) -> tuple[str, str]:
    """("", "") for one that is not ours or too old."""
    try:
        trace_id, party = signing.loads(token, salt=_SALT, max_age=LINK_LIFETIME)
    except (signing.BadSignature, ValueError, TypeError):
        return "", ""
    return str(trace_id), str(party)


def part_of(event: DeliveryEvent, party: str) -> Row | None:
    """The step as this party may see it: the sender every one, a recipient their own, without the other recipients."""
    if event.sender.lower() == party:
        return row(event)
    addresses = [address for address in event.recipient.split(", ") if address.lower() == party]
    if not addresses:
        return None
    event.recipient = addresses[0]
    return row(event)


def parties(scope: Scope, rows: list[Row]) -> list[str]:
    """For whom a link can be made: with fewer domains than all, only for one's own people."""
    names = [step.sender for step in rows] + [address for step in rows for address in step.recipient.split(", ")]
    return list(dict.fromkeys(name.lower() for name in names if name and scope.sees(name, "")))[:50]


def about(rows: list[Row]) -> dict[str, object]:
    return {"rows": rows, "subject": first_of(rows, "subject"), "sender": first_of(rows, "sender")}


def as_text(trace_id: str, rows: list[Row]) -> str:
    """Plain text, in UTC: a ticket is read elsewhere."""
    lines = [
        f"Trace {trace_id}",
        f"From: {first_of(rows, 'sender') or '<> (the mail system)'}",
        f"Subject: {first_of(rows, 'subject') or '(none)'}",
        "",
    ]
    for step in rows:
        lines.append(f"{step.at:%Y-%m-%d %H:%M:%S} UTC  {step.label}: {step.sentence}")
        reasons = [
            f"{reason.get('name')} {reason.get('weight', '')} {reason.get('text', '')}" for reason in step.reasons
        ]
        lines += [f"    {line}" for line in (reasons or step.detail.splitlines())]
    return "\n".join(lines) + "\n"


def _rows(scope: Scope, trace_id: str) -> list[Row]:
    """404 for what is not there, or not one's own."""
    rows = trace_rows(scope, trace_id) if trace_id.isalnum() else []
    if not rows:
        raise Http404
    return rows
