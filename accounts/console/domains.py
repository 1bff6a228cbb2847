"""Domains: list, add, look at (with DNS records), switch off, delete."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts import keys
from accounts.console.access import AdminRequest, add_store_error, admin_only, attempt, found, page
from accounts.console.paging import page_after
from accounts.console.users import QuotaForm, fills, quota_initial
from accounts.models import DkimKey, Domain
from accounts.services import create_domain, delete_domain, set_domain_active, set_domain_quota
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


@admin_only
def domain_list(request: AdminRequest) -> HttpResponse:
    rows = page_after(request, Domain.objects.annotate(**COUNTED), "name")
    return page(request, "domains.html", "domains", {"page": rows})


@admin_only
def domain_new(request: AdminRequest) -> HttpResponse:
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


@admin_only
def domain(request: AdminRequest, domain_id: int) -> HttpResponse:
    row = found(Domain.objects.annotate(**COUNTED), pk=domain_id)
    form = QuotaForm(request.POST or None, initial=quota_initial(row))
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
    context = {"domain": row, "records": dns_records(row), "form": form, "held": held, "fills": held and fills(held)}
    return page(request, "domain.html", "domains", context, 422 if form.errors else 200)


def dns_records(row: Domain) -> list[dict[str, str]]:
    """What has to stand in the DNS for mail to come, and for what we send to be believed."""
    name = domain_to_ascii(row.name)
    records = [
        {"what": "Mail for the domain comes here", "name": name, "type": "MX", "value": f"10 {settings.HOSTNAME}."},
        {"what": "This server may send for the domain (SPF)", "name": name, "type": "TXT", "value": "v=spf1 mx -all"},
    ]
    for key in DkimKey.objects.filter(domain=row).select_related("domain").order_by("pk"):
        records.append(
            {
                "what": what_key_is_for(key),
                "name": keys.record_name(key),
                "type": "TXT",
                "value": keys.record_value(key),
            }
        )
    return records


def what_key_is_for(key: DkimKey) -> str:
    if key.retired_at is not None:
        return "Mail sent until lately was signed with this key (DKIM): leave it for a while, then remove it"
    if not key.is_active:
        return "A new key (DKIM): what we send is signed with it as soon as this record is found"
    return "What we send is signed with this key (DKIM)"


@admin_only
@require_POST
def domain_active(request: AdminRequest, domain_id: int) -> HttpResponse:
    row = found(Domain.objects.all(), pk=domain_id)
    wanted = request.POST.get("active") == "1"
    attempt(
        request,
        lambda: store.call_sync(set_domain_active, domain_id, wanted, actor=request.user.login),
        f"{row.name} is {'on' if wanted else 'off'}.",
    )
    return redirect("console:domain", domain_id)


@admin_only
@require_POST
def domain_delete(request: AdminRequest, domain_id: int) -> HttpResponse:
    row = found(Domain.objects.all(), pk=domain_id)
    done = attempt(
        request,
        lambda: store.call_sync(delete_domain, domain_id, actor=request.user.login),
        f"{row.name} was deleted.",
    )
    return redirect("console:domains") if done else redirect("console:domain", domain_id)
