"""Aliases and groups: list, add, change, delete."""

from __future__ import annotations

import re

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.console.access import StaffRequest, add_store_error, attempt, found, must_hold, needs, page
from accounts.console.paging import page_after, words_of
from accounts.roles import Permission
from accounts.services import create_address, delete_address, update_address
from accounts.services.addresses import targets_of
from mailservers.store.engine import store
from mailservers.store.errors import StoreError

_BETWEEN = re.compile(r"[\s,;]+")


class TargetsForm(forms.Form):
    targets = forms.CharField(
        label="Leads to",
        max_length=100_000,
        help_text="One address a line: people here, other aliases, or addresses elsewhere.",
        widget=forms.Textarea(attrs={"class": "input", "rows": 5, "autocapitalize": "none", "spellcheck": "false"}),
    )

    def addresses(self) -> list[str]:
        return [address for address in _BETWEEN.split(self.cleaned_data["targets"]) if address]


class NewAddressForm(TargetsForm):
    address = forms.CharField(
        label="Address",
        max_length=330,
        help_text="Mail for it goes to everyone below. “@example.org” is the catch-all: what nobody else there has.",
        widget=forms.TextInput(
            attrs={"class": "input", "inputmode": "email", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    field_order = ("address", "targets")


@needs(Permission.ADDRESSES)
def address_list(request: StaffRequest) -> HttpResponse:
    rows = request.remit.addresses().prefetch_related("targets__user")
    words = words_of(request, "q")
    for word in words.split()[:5]:
        matching = Q(address__icontains=word) | Q(targets__remote__icontains=word)
        rows = rows.filter(matching | Q(targets__user__login__icontains=word)).distinct()
    return page(request, "addresses.html", "addresses", {"page": page_after(request, rows, "address"), "q": words})


@needs(Permission.CHANGE_ADDRESSES)
def address_new(request: StaffRequest) -> HttpResponse:
    form = NewAddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            must_hold(request.remit, form.cleaned_data["address"], "address")
            store.call_sync(create_address, form.cleaned_data["address"], form.addresses(), actor=request.user.login)
        except StoreError as error:
            add_store_error(form, error)
        else:
            messages.success(request, f"{form.cleaned_data['address']} is here.")
            return redirect("console:addresses")
    domains = list(request.remit.domains().order_by("name").values_list("name", flat=True)[:200])
    context = {"form": form, "domains": domains}
    return page(request, "address_new.html", "addresses", context, 422 if form.errors else 200)


@needs(Permission.CHANGE_ADDRESSES)
def address(request: StaffRequest, address_id: int) -> HttpResponse:
    row = found(request.remit.addresses(), pk=address_id)
    targets = targets_of(row)
    form = TargetsForm(request.POST or None, initial={"targets": "\n".join(targets)})
    if request.method == "POST" and form.is_valid():
        try:
            store.call_sync(update_address, address_id, form.addresses(), actor=request.user.login)
        except StoreError as error:
            add_store_error(form, error)
        else:
            messages.success(request, f"{row.address} is saved.")
            return redirect("console:addresses")
    context = {"form": form, "row": row, "targets": targets}
    return page(request, "address.html", "addresses", context, 422 if form.errors else 200)


@needs(Permission.CHANGE_ADDRESSES)
@require_POST
def address_delete(request: StaffRequest, address_id: int) -> HttpResponse:
    row = found(request.remit.addresses(), pk=address_id)
    done = attempt(
        request,
        lambda: store.call_sync(delete_address, address_id, actor=request.user.login),
        f"{row.address} was deleted.",
    )
    return redirect("console:addresses") if done else redirect("console:address", address_id)
