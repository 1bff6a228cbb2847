"""For machines that look after machines: `/health` for everybody, `/metrics` (Prometheus text) with a token."""

from __future__ import annotations

import resource
from collections.abc import Iterator

from django.conf import settings
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare

from accounts.services import health
from mailservers.models import HourCount, Mailbox, QueuedRecipient
from mailservers.outbound.leases import WAITING_STATES
from mailservers.serving.listener import open_connections
from mailservers.store.tracing.hours import Measure

Sample = tuple[str, str, str, list[tuple[str, float]]]  # name, type, help, [(labels, value)]


def healthy(request: HttpRequest) -> HttpResponse:
    """503 when mail cannot be accepted. No names, no addresses, no sentences that tell a stranger anything."""
    checks = health.look_lately()
    status = health.worst(checks)
    answer = {"status": status.value, "checks": {check.name: check.level.value for check in checks}}
    response = JsonResponse(answer, status=503 if status is health.Level.DOWN else 200)
    response["Cache-Control"] = "no-store"
    return response


def metrics(request: HttpRequest) -> HttpResponse:
    """404 without a token in the settings, 401 without it in the request."""
    if not settings.METRICS_TOKEN:
        return HttpResponse(status=404)
    if not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse("A bearer token is needed.\n", status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(exposition(samples()), content_type="text/plain; version=0.0.4; charset=utf-8")


def exposition(rows: Iterator[Sample]) -> str:
    """The text format, version 0.0.4: HELP, TYPE, then a line a sample."""
    lines = []
    for name, kind, text, values in rows:
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{labels}}} {value:.15g}" if labels else f"{name} {value:.15g}" for labels, value in values]
    return "\n".join(lines) + "\n"


def samples() -> Iterator[Sample]:
    totals = HourCount.objects.filter(party="").values_list("measure").annotate(n=Sum("count"), amount=Sum("amount"))
    counted = {measure: (n, amount) for measure, n, amount in totals}
    values = [(f'step="{measure.value}"', float(counted.get(measure, (0, 0))[0])) for measure in Measure]
    yield "postroom_steps_total", "counter", "What happened to messages, by step.", values
    octets = [(f'step="{m}"', float(counted.get(m, (0, 0))[1])) for m in (Measure.RECEIVED, Measure.SUBMITTED)]
    yield "postroom_octets_total", "counter", "Octets of accepted messages.", octets
    sent = float(counted.get(Measure.SENT, (0, 0))[1]) / 1000
    yield "postroom_sent_seconds_total", "counter", "Seconds between accepting and sending, of all sent.", [("", sent)]
    waiting = QueuedRecipient.objects.filter(state__in=WAITING_STATES).values_list("state").annotate(n=Count("pk"))
    states = dict(waiting)
    queued = [(f'state="{state.value}"', float(states.get(state.value, 0))) for state in WAITING_STATES]
    yield "postroom_queue_recipients", "gauge", "Recipients that wait.", queued
    stored = Mailbox.objects.aggregate(messages=Sum("messages"), size=Sum("size"))
    yield "postroom_stored_messages", "gauge", "Messages in mailboxes.", [("", float(stored["messages"] or 0))]
    yield "postroom_stored_octets", "gauge", "Their octets.", [("", float(stored["size"] or 0))]
    open_now = [(f'service="{name}"', float(count)) for name, count in sorted(open_connections().items())]
    yield "postroom_connections", "gauge", "Open connections of this process.", open_now
    yield from _health_samples()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = [("", usage.ru_utime + usage.ru_stime)]
    yield "process_cpu_seconds_total", "counter", "CPU time of this process.", cpu
    yield "process_max_resident_memory_bytes", "gauge", "Most memory it had.", [("", usage.ru_maxrss * 1024.0)]


def _health_samples() -> Iterator[Sample]:
    checks = health.look()
    levels = [(f'check="{c.name}"', float(list(health.Level).index(c.level))) for c in checks]
    yield "postroom_health", "gauge", "0 is well, 1 needs somebody, 2 is down.", levels
    names = {
        "disk": ("postroom_disk_free_bytes", "Free for mail."),
        "certificate": ("postroom_certificate_days", "Until the certificate ends."),
        "queue": ("postroom_queue_oldest_seconds", "Age of the oldest message that waits."),
        "backup": ("postroom_backup_age_seconds", "Since the last backup."),
        "check": ("postroom_check_age_seconds", "Since the store was last proved."),
        "index": ("postroom_index_backlog", "Messages not in the search index yet."),
        "events": ("postroom_events_backlog", "Events not summed up yet."),
    }
    for check in checks:
        if check.name in names and check.number is not None:
            name, text = names[check.name]
            yield name, "gauge", text, [("", check.number)]
