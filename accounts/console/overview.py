"""The first page: how much there is, what waits, what happened last."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Sum
from django.http import HttpResponse
from django.utils import timezone

from accounts.console.access import AdminRequest, admin_only, page
from accounts.console.events import Filter, log_page
from accounts.models import Address, Domain, User
from mailservers.models import DeliveryEvent, Mailbox
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


@admin_only
def overview(request: AdminRequest) -> HttpResponse:
    since = timezone.now() - timedelta(hours=1)
    steps = dict(DeliveryEvent.objects.filter(at__gte=since).values_list("step").annotate(n=Count("id")))
    stored = Mailbox.objects.aggregate(message_count=Sum("messages"), size=Sum("size"))
    context = {
        "users": User.objects.count(),
        "users_off": User.objects.filter(is_active=False).count(),
        "domains": Domain.objects.count(),
        "addresses": Address.objects.count(),
        "message_count": stored["message_count"] or 0,
        "size": stored["size"] or 0,
        "queue": queue_totals(),
        "last_hour": [(words, steps.get(step, 0)) for step, words in LAST_HOUR],
        "events": log_page(Filter()).rows[:SHOWN_EVENTS],
    }
    return page(request, "overview.html", "overview", context)
