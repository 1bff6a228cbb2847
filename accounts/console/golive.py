"""Go live: from an installation on this machine to one that the internet knows; each part checks itself."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.console.access import StaffRequest, add_store_error, attempt, needs, page
from accounts.models import Domain, ServerCertificate
from accounts.roles import Permission
from accounts.sealing import Unreadable
from accounts.services import ports
from accounts.services.acme_orders import acme_state, acme_wanted, stop_acme, want_acme
from accounts.services.certificates import (
    MAX_OCTETS,
    CertificateFacts,
    check_certificate,
    facts_of,
    stored_certificate,
    use_certificate,
)
from accounts.services.dns_checks import CheckedRecord, are_settled, check_records
from accounts.services.dns_records import host_records, records_of, tlsa_value
from accounts.services.outside import look_outside, public_addresses
from mailservers.dns_client import BadName, DnsFailure, client
from mailservers.serving.certificates import pem_in_use
from mailservers.store.engine import store
from mailservers.store.errors import StoreError

SHOWN_DOMAINS = 20


class AcmeForm(forms.Form):
    email = forms.EmailField(
        label="E-mail address for the authority",
        required=False,
        help_text="It may warn you there; it can stay empty.",
        widget=forms.EmailInput(attrs={"class": "input"}),
    )
    agrees = forms.BooleanField(label="I agree to the authority’s terms", required=False)


class UploadForm(forms.Form):
    certificate = forms.FileField(
        label="Certificate with its chain",
        help_text="PEM; your own certificate first, then those of its issuers.",
        widget=forms.FileInput(attrs={"class": "input"}),
    )
    key = forms.FileField(
        label="Private key",
        help_text="PEM, without a password. It is kept encrypted.",
        widget=forms.FileInput(attrs={"class": "input"}),
    )


@needs(Permission.SERVER)
def go_live(request: StaffRequest) -> HttpResponse:
    return _page(request, AcmeForm(), UploadForm())


def _page(request: StaffRequest, acme: AcmeForm, upload: UploadForm) -> HttpResponse:
    context = {
        "hostname": settings.HOSTNAME,
        "is_plain_name": "." not in settings.HOSTNAME.strip("."),
        "ports": ports.ports(),
        "is_loopback_only": ports.is_loopback_only(),
        "may_bind": ports.may_bind_low_ports(),
        "environment": "\n".join(ports.environment_lines()),
        "unit": ports.systemd_unit(),
        "setcap": ports.setcap_line(),
        "domains": request.remit.domains().order_by("name")[:SHOWN_DOMAINS],
        "acme": acme,
        "upload": upload,
        "directory": settings.ACME_DIRECTORY,
        "egress_test": settings.EGRESS_TEST,
        **_certificate(),
    }
    return page(request, "golive.html", "golive", context, 422 if acme.errors or upload.errors else 200)


def _certificate() -> dict[str, Any]:
    """What is in use, and what is being done about it."""
    wanted, state = acme_wanted(), acme_state()
    try:
        facts: CertificateFacts | None = facts_of(pem_in_use(stored_certificate()))
    except (Unreadable, OSError, ValueError):
        facts = None
    row = None if settings.TLS_CERT_FILE else ServerCertificate.objects.order_by("-pk").first()
    return {
        "facts": facts,
        "covers": facts is not None and facts.covers(settings.HOSTNAME),
        "is_file": bool(settings.TLS_CERT_FILE),
        "source": row.get_source_display() if row is not None else "",
        "wanted": wanted,
        "state": state,
        "pending": wanted is not None and (row is None or row.source != ServerCertificate.Source.ACME),
    }


@needs(Permission.SERVER)
def certificate(request: StaffRequest) -> HttpResponse:
    """The certificate's part of the page; it comes again by itself while an order is under way."""
    return render(request, "console/parts/golive_certificate.html", _certificate())


@needs(Permission.SERVER)
@require_POST
def acme(request: StaffRequest) -> HttpResponse:
    if "off" in request.POST:
        attempt(
            request,
            lambda: store.call_sync(stop_acme, actor=request.user.login),
            "The certificate is no longer renewed by itself.",
        )
        return redirect("console:golive")
    form = AcmeForm(request.POST)
    if form.is_valid():
        values = form.cleaned_data
        try:
            store.call_sync(want_acme, values["email"], agrees=values["agrees"], actor=request.user.login)
        except StoreError as error:
            add_store_error(form, error)
        else:
            return redirect("console:golive")
    return _page(request, form, UploadForm())


@needs(Permission.SERVER)
@require_POST
def upload(request: StaffRequest) -> HttpResponse:
    form = UploadForm(request.POST, request.FILES)
    if form.is_valid():
        chain, key = (form.cleaned_data[name].read(MAX_OCTETS + 1) for name in ("certificate", "key"))
        try:
            checked = check_certificate(chain, key)
            store.call_sync(use_certificate, checked, ServerCertificate.Source.UPLOAD, actor=request.user.login)
        except StoreError as error:
            add_store_error(form, error)
        else:
            return redirect("console:golive")
    return _page(request, AcmeForm(), form)


@needs(Permission.SERVER)
def dns(request: StaffRequest) -> HttpResponse:
    """The host's own records, and how far each domain is."""
    domains = list(request.remit.domains().order_by("name")[:SHOWN_DOMAINS])
    records = [(domain, list(records_of(domain))) for domain in domains]
    rows, summary = async_to_sync(_dns)(_pem(), records)
    settled = are_settled(rows) and not any(trouble or rest or unknown for _, trouble, rest, unknown in summary)
    return render(request, "console/parts/golive_dns.html", {"rows": rows, "summary": summary, "settled": settled})


def _pem() -> bytes:
    try:
        return pem_in_use(stored_certificate())
    except (Unreadable, OSError):
        return b""


async def _dns(pem: bytes, domains: list[tuple[Domain, list[Any]]]) -> tuple[list[CheckedRecord], list[Any]]:
    addresses = await public_addresses()
    tlsa = tlsa_value(pem) if pem and await _is_signed() else ""
    rows = await check_records(list(host_records(addresses, tlsa)))
    summary = []
    for domain, records in domains:
        checked = await check_records(records)
        trouble = sum(row.is_trouble for row in checked)
        unknown = sum(row.state == "unknown" for row in checked)
        rest = sum(row.state != "fine" for row in checked) - trouble - unknown
        summary.append((domain, trouble, rest, unknown))
    return rows, summary


async def _is_signed() -> bool:
    """A resolver that we trust has validated the host's address: only then does a TLSA record mean anything."""
    try:
        return (await client().ask(settings.HOSTNAME, "A")).is_secure
    except (DnsFailure, BadName):
        return False


@needs(Permission.SERVER)
@require_POST
def outside(request: StaffRequest) -> HttpResponse:
    """Tests that talk to others: only when asked for."""
    return render(request, "console/parts/golive_outside.html", {"findings": async_to_sync(look_outside)()})
