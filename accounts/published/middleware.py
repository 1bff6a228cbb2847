"""Answers for `views`, before sessions, cookies and the check of the Host header: these paths are asked for under names
(mta-sts.example.org, autoconfig.example.org) that are in the database and not in ALLOWED_HOSTS."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from accounts.published import monitoring, views

VIEWS: dict[str, Callable[[HttpRequest], HttpResponse]] = {  # by path in lower case
    "/.well-known/mta-sts.txt": views.mta_sts_policy,
    "/.well-known/autoconfig/mail/config-v1.1.xml": views.autoconfig,
    "/mail/config-v1.1.xml": views.autoconfig,
    "/autodiscover/autodiscover.xml": views.autodiscover,
    "/mail.mobileconfig": views.configuration_profile,
    "/health": monitoring.healthy,
    "/metrics": monitoring.metrics,
}
ACME_CHALLENGES = "/.well-known/acme-challenge/"  # RFC 8555 section 8.3; what follows is case-sensitive


class PublishedDocuments:
    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(ACME_CHALLENGES):
            return views.acme_challenge(request, request.path_info.removeprefix(ACME_CHALLENGES))
        view = VIEWS.get(request.path_info.lower())
        return self._get_response(request) if view is None else view(request)
