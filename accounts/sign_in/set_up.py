"""The page behind the set-up link: the first domain, the first owner, and straight on to the console."""

from __future__ import annotations

from django import forms
from django.contrib import auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import keys
from accounts.models import User
from accounts.services.errors import AccountError
from accounts.services.passwords import hash_typed, scram_keys_for
from accounts.services.set_up import FirstOwner, is_valid, set_up
from accounts.sign_in import second_step
from mailservers.store.engine import store
from mailservers.store.errors import StoreError


class SetUpForm(forms.Form):
    login = forms.CharField(
        label="Your e-mail address",
        max_length=320,
        help_text="At your own domain, as in anna@example.org: the domain is set up with it.",
        widget=forms.EmailInput(
            attrs={"class": "input", "autocomplete": "username", "autofocus": True, "spellcheck": "false"}
        ),
    )
    name = forms.CharField(
        label="Your name",
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "name"}),
    )
    password = forms.CharField(
        label="Password",
        max_length=1024,
        strip=False,
        help_text="At least 10 characters.",
        widget=forms.PasswordInput(attrs={"class": "input", "autocomplete": "new-password"}),
    )


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def first_set_up(request: HttpRequest, token: str) -> HttpResponse:
    """Once there is an owner, nothing is here."""
    if not is_valid(token):
        return render(request, "sign_in/link_spent.html", status=404)
    form = SetUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            owner = FirstOwner(
                values["login"].strip(),
                values["name"],
                hash_typed(values["password"]),
                scram_keys_for(values["login"], values["password"]),
            )
            user_id = store.call_sync(set_up, token, owner, keys.generate())
        except StoreError as error:
            field = error.field if isinstance(error, AccountError) and error.field in form.fields else "login"
            form.add_error(field, str(error))
        else:
            auth.login(request, User.objects.get(pk=user_id), backend=second_step.BACKEND)
            return redirect("console:golive")
    return render(request, "sign_in/set_up.html", {"form": form}, status=422 if form.errors else 200)
