"""Domains: list, add, look at (with DNS records), switch off, delete."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts import keys
from accounts.console.access import StaffRequest, add_store_error, attempt, found, needs, page
from accounts.console.paging import page_after
from accounts.console.users import QuotaForm, fills, quota_initial
from accounts.roles import Permission
from accounts.services import create_domain, delete_domain, set_domain_active, set_domain_quota
from accounts.services.dns_checks import are_settled, check_records
from accounts.services.dns_records import records_of, zone_file
from accounts.services.mta_sts import MODES_EXPLAINED, set_mta_sts_mode
from mailservers.formats.mailbox_address import domain_to_ascii
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.quota import domain_allowance

COUNTED = {
    "user_count": Count("users", distinct=True),
    "address_count": Count("addresses", distinct=True),
}


class DomainForm(forms.Form):
    domain = forms.CharField(
        label="Domain",
        max_length=260,
        help_text="What follows the “@” in your addresses.",
        widget=forms.TextInput(
            attrs={"class": "input", "placeholder": "example.org", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )


@needs(Permission.DOMAINS)
def domain_list(request: StaffRequest) -> HttpResponse:
    rows = page_after(request, request.remit.domains().annotate(**COUNTED), "name")
    return page(request, "domains.html", "domains", {"page": rows})


@needs(Permission.OWN_DOMAINS)
def domain_new(request: StaffRequest) -> HttpResponse:
    form = DomainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            domain_id = store.call_sync(
                create_domain, form.cleaned_data["domain"], keys.generate(), actor=request.user.login
            )
        except StoreError as error:
            add_store_error(form, error)
        else:
            messages.success(request, "The domain is here. Now publish its DNS records.")
            return redirect("console:domain", domain_id)
    return page(request, "domain_new.html", "domains", {"form": form}, 422 if form.errors else 200)


@needs(Permission.DOMAINS)
def domain(request: StaffRequest, domain_id: int) -> HttpResponse:
    row = found(request.remit.domains().annotate(**COUNTED), pk=domain_id)
    form = QuotaForm(request.POST or None, initial=quota_initial(row))
    if request.method == "POST" and not request.remit.may(Permission.CHANGE_DOMAINS):
        raise Http404
    if request.method == "POST" and form.is_valid():
        try:
            octets, count = form.limits()
            store.call_sync(set_domain_quota, domain_id, octets, count, actor=request.user.login)
        except StoreError as error:
            add_store_error(form, error)
        else:
            messages.success(request, f"{row.name} is saved.")
            return redirect("console:domain", domain_id)
    held = domain_allowance(domain_id)
    context = {
        "domain": row,
        "rows": [{"record": record} for record in records_of(row)],
        "form": form,
        "held": held,
        "fills": held and fills(held),
    }
    context["mta_sts_modes"] = MODES_EXPLAINED
    return page(request, "domain.html", "domains", context, 422 if form.errors else 200)


@needs(Permission.DOMAINS)
def domain_dns(request: StaffRequest, domain_id: int) -> HttpResponse:
    """The records' part of the page, each as it is now; it comes again by itself until all are fine."""
    row = found(request.remit.domains(), pk=domain_id)
    rows = async_to_sync(check_records)(list(records_of(row)))
    return render(
        request, "console/parts/dns_records.html", {"domain": row, "rows": rows, "settled": are_settled(rows)}
    )


@needs(Permission.DOMAINS)
def domain_zone(request: StaffRequest, domain_id: int) -> HttpResponse:
    row = found(request.remit.domains(), pk=domain_id)
    response = HttpResponse(zone_file(row), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{domain_to_ascii(row.name)}.zone"'
    return response


@needs(Permission.CHANGE_DOMAINS)
@require_POST
def domain_mta_sts(request: StaffRequest, domain_id: int) -> HttpResponse:
    row = found(request.remit.domains(), pk=domain_id)
    mode = request.POST.get("mode", "")
    attempt(
        request,
        lambda: store.call_sync(set_mta_sts_mode, domain_id, mode, actor=request.user.login),
        f"The MTA-STS policy of {row.name} says “{mode}”. Now publish its new record.",
    )
    return redirect("console:domain", domain_id)


@needs(Permission.CHANGE_DOMAINS)
@require_POST
def domain_active(request: StaffRequest, domain_id: int) -> HttpResponse:
    row = found(request.remit.domains(), pk=domain_id)
    wanted = request.POST.get("active") == "1"
    attempt(
        request,
        lambda: store.call_sync(set_domain_active, domain_id, wanted, actor=request.user.login),
        f"{row.name} is {'on' if wanted else 'off'}.",
    )
    return redirect("console:domain", domain_id)


@needs(Permission.OWN_DOMAINS)
@require_POST
def domain_delete(request: StaffRequest, domain_id: int) -> HttpResponse:
    row = found(request.remit.domains(), pk=domain_id)
    done = attempt(
        request,
        lambda: store.call_sync(delete_domain, domain_id, actor=request.user.login),
        f"{row.name} was deleted.",
    )
    return redirect("console:domains") if done else redirect("console:domain", domain_id)
