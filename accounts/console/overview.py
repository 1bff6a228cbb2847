"""The first page: how much there is, what waits, what happened last."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Sum
from django.http import HttpResponse
from django.utils import timezone

from accounts.console.access import StaffRequest, needs, page
from accounts.console.events import Filter, log_page
from accounts.console.figures import PERIODS, figures
from accounts.roles import Permission
from accounts.services import health
from accounts.services.watching import alerts
from mailservers.models import Mailbox
from mailservers.outbound.queue import queue_totals
from mailservers.store.events import Step

SHOWN_EVENTS = 12
LAST_HOUR = (
    (Step.RECEIVED, "received"),
    (Step.SUBMITTED, "submitted by our users"),
    (Step.SENT, "sent to other servers"),
    (Step.ATTEMPTED, "attempts deferred"),
    (Step.FAILED, "failed"),
    (Step.REFUSED, "refused"),
)


@needs(Permission.OVERVIEW)
def overview(request: StaffRequest) -> HttpResponse:
    since = timezone.now() - timedelta(hours=1)
    scope = request.remit
    period = next((one for one in PERIODS if one.name == request.GET.get("period")), PERIODS[0])
    steps = dict(scope.events().filter(at__gte=since).values_list("step").annotate(n=Count("id")))
    stored = Mailbox.objects.filter(owner__in=scope.users()).aggregate(message_count=Sum("messages"), size=Sum("size"))
    context = {
        "alerts": alerts() if scope.may(Permission.SERVER) else [],
        "users": scope.users().count(),
        "users_off": scope.users().filter(is_active=False).count(),
        "domains": scope.domains().count(),
        "addresses": scope.addresses().count(),
        "message_count": stored["message_count"] or 0,
        "size": stored["size"] or 0,
        "queue": queue_totals(scope.queued()),
        "last_hour": [(words, steps.get(step, 0)) for step, words in LAST_HOUR],
        "figures": figures(scope, period),
        "period": period,
        "periods": PERIODS,
        "checks": health.look_lately() if scope.may(Permission.SERVER) else (),
        "events": log_page(scope, Filter()).rows[:SHOWN_EVENTS],
    }
    return page(request, "overview.html", "overview", context)
