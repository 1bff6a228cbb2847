"""Routes of outgoing mail: list, add, change, delete."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.console.access import StaffRequest, add_store_error, attempt, found, needs, page
from accounts.console.paging import page_before, words_of
from accounts.roles import Permission
from accounts.services import create_route, delete_route, update_route
from accounts.services.routes import RouteValues, Security, Transport, describe, values_of
from mailservers.models import SendingRoute
from mailservers.store.engine import store
from mailservers.store.errors import StoreError

_TYPED = {"class": "input", "autocapitalize": "none", "spellcheck": "false"}


def _text(label: str, help_text: str = "", max_length: int = 320) -> forms.CharField:
    widget = forms.TextInput(attrs=_TYPED)
    return forms.CharField(label=label, max_length=max_length, required=False, help_text=help_text, widget=widget)


class RouteForm(forms.Form):
    recipient = _text("Recipients", "A domain or an address; empty for all of them.")
    sender = _text("Senders", "A domain or an address; empty for all of them.")
    transport = forms.ChoiceField(
        label="Goes to", choices=Transport.choices, initial="smtp", widget=forms.Select(attrs={"class": "input"})
    )
    host = _text("Host", "A name or an IP address, used as it is: no MX record is asked for.", 255)
    port = forms.IntegerField(
        label="Port",
        required=False,
        min_value=1,
        max_value=65535,
        help_text="25 for SMTP, 24 for LMTP; smarthosts mostly have 587, or 465 with TLS from the first octet.",
        widget=forms.NumberInput(attrs={"class": "input"}),
    )
    security = forms.ChoiceField(
        label="Security", choices=Security.choices, widget=forms.Select(attrs={"class": "input"})
    )
    is_implicit_tls = forms.BooleanField(label="TLS from the first octet", required=False)
    login = _text("Login", "For a smarthost that wants one; it is sent over TLS only.")
    password = forms.CharField(
        label="Password",
        max_length=500,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "input", "autocomplete": "new-password"}),
    )
    reason = _text("Reason", "Of what is refused: the sender reads it.", 300)
    source = _text("Sent from", "Our own IP addresses: an IPv4, an IPv6 or both; empty for whichever.", 100)
    ehlo_name = _text("Our name", "For EHLO; empty for the name of this host.", 255)

    def values(self) -> RouteValues:
        fields: dict[str, Any] = dict(self.cleaned_data)
        return RouteValues(**{**fields, "password": fields["password"] or None})


@needs(Permission.ROUTES)
def route_list(request: StaffRequest) -> HttpResponse:
    rows, words = SendingRoute.objects.all(), words_of(request, "q")
    for word in words.split()[:5]:
        rows = rows.filter(Q(recipient__icontains=word) | Q(sender__icontains=word) | Q(host__icontains=word))
    return page(request, "routes.html", "routes", {"page": page_before(request, rows), "q": words})


@needs(Permission.ROUTES)
def route_new(request: StaffRequest) -> HttpResponse:
    form = RouteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            store.call_sync(create_route, form.values(), actor=request.user.login)
        except StoreError as error:
            add_store_error(form, error)
        else:
            messages.success(request, "The route is here; it counts from now on.")
            return redirect("console:routes")
    return page(request, "route.html", "routes", {"form": form}, 422 if form.errors else 200)


@needs(Permission.ROUTES)
def route(request: StaffRequest, route_id: int) -> HttpResponse:
    row = found(SendingRoute.objects.all(), pk=route_id)
    values = values_of(row)
    initial = {name: getattr(values, name) for name in RouteForm.base_fields if name != "password"}
    form = RouteForm(request.POST or None, initial=initial)
    if row.password:
        form.fields["password"].help_text = "There is one; empty leaves it as it is."
    if request.method == "POST" and form.is_valid():
        try:
            store.call_sync(update_route, route_id, form.values(), actor=request.user.login)
        except StoreError as error:
            add_store_error(form, error)
        else:
            messages.success(request, "The route is saved.")
            return redirect("console:routes")
    context = {"form": form, "row": row, "name": describe(row)}
    return page(request, "route.html", "routes", context, 422 if form.errors else 200)


@needs(Permission.ROUTES)
@require_POST
def route_delete(request: StaffRequest, route_id: int) -> HttpResponse:
    found(SendingRoute.objects.all(), pk=route_id)
    done = attempt(
        request,
        lambda: store.call_sync(delete_route, route_id, actor=request.user.login),
        "The route was deleted.",
    )
    return redirect("console:routes") if done else redirect("console:route", route_id)
