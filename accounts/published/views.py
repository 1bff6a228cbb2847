"""Answers to programs that have no cookie and no session; which domain is meant, the Host header or the address says.

Nothing here tells whether a user exists. Unknown domains get 404.
"""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.models import Domain
from accounts.published import documents
from accounts.services import acme_orders
from accounts.services.mta_sts import policy_text
from mailservers.formats.mailbox_address import InvalidAddress, domain_spellings, domain_to_ascii

MAX_REQUEST_OCTETS = 16 * 1024
MAX_ADDRESS = 320
_PORT = re.compile(r":[0-9]*\Z")
_XML = "application/xml; charset=utf-8"


def mta_sts_policy(request: HttpRequest) -> HttpResponse:
    """RFC 8461 section 3.3: at mta-sts.<domain>, nowhere else."""
    host = _host(request)
    row = _domain(host.removeprefix("mta-sts.")) if host.startswith("mta-sts.") else None
    if row is None:
        return _not_here()
    return HttpResponse(policy_text(row), content_type="text/plain; charset=utf-8")


def acme_challenge(request: HttpRequest, token: str) -> HttpResponse:
    """The key authorization of an order that is under way."""
    text = acme_orders.key_authorization(token)
    return _not_here() if text is None else HttpResponse(text, content_type="application/octet-stream")


def autoconfig(request: HttpRequest) -> HttpResponse:
    row = _asked_domain(request.GET.get("emailaddress", "")) or _domain(_host(request).removeprefix("autoconfig."))
    return HttpResponse(documents.autoconfig(row.name), content_type=_XML) if row is not None else _not_here()


def autodiscover(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _autodiscover_error(600, "Invalid Request")
    try:
        length = int(request.headers.get("Content-Length") or 0)
        if length > MAX_REQUEST_OCTETS:
            raise ValueError("too long")
        address, schema = documents.asked_of_autodiscover(request.body)
    except ValueError:
        return _autodiscover_error(600, "Invalid Request")
    if not documents.knows_schema(schema):
        return _autodiscover_error(601, "Provider is not available")
    if _asked_domain(address) is None:
        return _autodiscover_error(500, "The email address can't be found.")
    return HttpResponse(documents.autodiscover(address), content_type=_XML)


def configuration_profile(request: HttpRequest) -> HttpResponse:
    address = request.GET.get("emailaddress", "")
    if _asked_domain(address) is None:
        return _not_here()
    answer = HttpResponse(documents.configuration_profile(address), content_type="application/x-apple-aspen-config")
    answer["Content-Disposition"] = 'attachment; filename="mail.mobileconfig"'
    return answer


def _autodiscover_error(code: int, message: str) -> HttpResponse:
    at = f"{timezone.now():%H:%M:%S.%f}"
    return HttpResponse(documents.autodiscover_error(code, message, at), content_type=_XML)


def _asked_domain(address: str) -> Domain | None:
    """The domain of ours that an address is in. None: it is no address, or not of ours."""
    local, at, domain = address.rpartition("@")
    if not at or len(address) > MAX_ADDRESS:
        return None
    try:
        validate_email(f"{local}@{domain_to_ascii(domain)}")
    except (ValidationError, InvalidAddress):
        return None
    return _domain(domain)


def _domain(name: str) -> Domain | None:
    return Domain.objects.filter(is_active=True, name__in=domain_spellings(name)).first()


def _host(request: HttpRequest) -> str:
    """Of the Host header, without its port; what it says is only looked up among our domains."""
    return _PORT.sub("", request.META.get("HTTP_HOST", "")).lower().rstrip(".")


def _not_here() -> HttpResponse:
    return HttpResponse("Not found\n", status=404, content_type="text/plain; charset=utf-8")
